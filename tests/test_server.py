"""The laws of the tests' own servers, seen through plain sockets."""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.server import (
    CERTIFICATES,
    Proxy,
    Request,
    Script,
    Server,
    SocksProxy,
    answer,
    ca_file,
    client_certificate_files,
    close,
    closed_port,
    deaf_address,
    drip,
    drip_handshake,
    hang,
    most_at_once,
    pause,
    redirect,
    repeat,
    reset,
    server_context,
)

LIMIT = 5.0
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback is one address, no backlog deaf")


def connect(server: Server) -> socket.socket:
    return socket.create_connection((server.address, server.port), timeout=LIMIT)


def ask(server: Server, path: str = "/", method: str = "GET") -> bytes:
    """Return all that *server* sends on a connection of its own, until it closes."""
    with connect(server) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_a_script_is_sent_byte_for_byte() -> None:
    """Bytes of a script reach the client as they are, in order, up to an orderly end."""
    script: Script = [b"HTTP/1.1 103 Early\r\n\r\n", pause(0.01), b"garbage\0", drip(b"slow", 0.001), close()]
    with Server({"/odd": script}) as server:
        assert ask(server, "/odd") == b"HTTP/1.1 103 Early\r\n\r\ngarbage\0slow"


def test_an_answer_is_framed_and_has_no_body_for_head() -> None:
    """A proper answer carries its length, and to HEAD the same head alone."""
    with Server(answer(200, headers=[("X-A", "é")], body=b"abc", keep=False)) as server:
        head = b"HTTP/1.1 200 OK\r\nX-A: \xc3\xa9\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        assert ask(server) == head + b"abc"
        assert ask(server, method="HEAD") == head


def test_the_route_is_the_exact_target_then_the_path_then_the_longest_prefix() -> None:
    """Of several fitting keys the most exact one answers, and without any it is 404."""
    statuses = {"/a?q": 201, "/a": 202, "/b/*": 203, "/b/c/*": 206}
    with Server({key: answer(status, keep=False) for key, status in statuses.items()} | {"/x": close()}) as server:
        asked = ["/a?q", "/a", "/a?r", "/b/1", "/b/c/1"]
        assert [int(ask(server, path)[9:12]) for path in asked] == [201, 202, 202, 203, 206]
        with connect(server) as sock:
            sock.sendall(b"GET /none HTTP/1.1\r\n\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 404 Not Found")


def test_a_function_may_answer_by_the_request_number() -> None:
    """A connection stays open after an answer, and its second request is told from its first."""

    def handler(request: Request) -> Script:
        return answer(200) if request.first else reset()

    with Server(handler) as server, connect(server) as sock:
        sock.sendall(b"GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            b"".join(iter(lambda: sock.recv(65536), b""))
        assert server.targets == ["/1", "/2"]
        assert [(r.connection, r.number, r.overall, r.header("HOST")) for r in server.log] == [
            (0, 0, 0, "a.test"),
            (0, 1, 1, ""),
        ]


@pytest.mark.parametrize(("script", "error"), [(close(), None), (reset(), ConnectionResetError)])
def test_a_connection_can_end_before_its_request(script: Script, error: type[Exception] | None) -> None:
    """What on_connect does comes before anything is read; a reset may be seen in connecting already."""
    with Server(answer(200), on_connect=script) as server:
        if error is None:
            with connect(server) as sock:
                assert sock.recv(1) == b""
        else:
            with pytest.raises(error), connect(server) as sock:
                sock.recv(1)


@pytest.mark.parametrize(
    "script", [hang(), pause(3600), repeat(b"x" * 65536), repeat(b"x", 0.01), drip(b"x" * 99, 3600)]
)
def test_leaving_ends_every_script_at_once(script: Script) -> None:
    """The end of the block wakes whatever a script waits for, a full socket included."""
    with Server(script) as server:
        sock = connect(server)
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        server.wait_until(lambda: len(server.log) == 1)
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 1
    assert server.open_connections == 0
    sock.close()


def test_a_fault_of_a_handler_reaches_the_test() -> None:
    """What a test's own function raises is raised again by the block's end."""

    def faulty(request: Request) -> Script:
        raise KeyError(request.target)

    with pytest.raises(KeyError, match="/boom"), Server(faulty) as server:
        assert ask(server, "/boom") == b""


def test_in_flight_counts_overlapping_requests_only() -> None:
    """Requests that wait together count together, and those one after another do not."""
    with Server({"/wait": hang(), "/now": answer(200, keep=False)}) as server:
        for _ in range(3):
            ask(server, "/now")
        assert most_at_once(server.log) == 1
        socks = [connect(server) for _ in range(2)]
        for sock in socks:
            sock.sendall(b"GET /wait HTTP/1.1\r\n\r\n")
        server.wait_until(lambda: len(server.log) == 5)
        assert most_at_once(server.log) == 2
        for sock in socks:
            sock.close()
        server.wait_until(lambda: server.open_connections == 0)
        assert all(request.ended < time.monotonic() for request in server.log)


@linux_only
def test_one_server_hears_all_of_loopback() -> None:
    """On 0.0.0.0 the log tells which address was meant."""
    with Server(redirect("/x"), address="0.0.0.0") as server:
        for address in ("127.0.0.1", "127.0.0.7"):
            assert requests.get(server.url(host=address), allow_redirects=False, timeout=LIMIT).status_code == 302
        assert [request.local for request in server.log] == ["127.0.0.1", "127.0.0.7"]


def test_a_closed_port_refuses() -> None:
    """Connecting to it is refused at once."""
    with closed_port() as place, pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, timeout=LIMIT)


@linux_only
@pytest.mark.parametrize(("address", "asked"), [("127.0.0.1", ""), ("::1", ""), ("0.0.0.0", "127.0.0.9")])
def test_a_deaf_address_keeps_silent(address: str, asked: str) -> None:
    """Connecting to it runs into the limit, and no sooner; on 0.0.0.0 to each address."""
    with deaf_address(address) as (_, port), pytest.raises(TimeoutError):
        socket.create_connection((asked or address, port), timeout=0.3)


def shake_hands(server: Server, trust: Path, name: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(trust))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context.wrap_socket(connect(server), server_hostname=name)


@pytest.mark.parametrize(
    ("certificate", "name", "code"),
    [
        ("good", "127.0.0.1", 0),
        ("good", "b.test", 0),
        ("good", "www.host.test", 0),
        ("without_key_identifier", "b.test", 0),
        ("expired", "b.test", 10),
        ("not_yet_valid", "b.test", 9),
        ("self_signed", "b.test", 18),
        ("unknown_issuer", "b.test", 20),
        ("missing_intermediate", "b.test", 20),
        ("elsewhere", "b.test", 62),
        ("elsewhere", "127.0.0.1", 64),
    ],
)
def test_each_certificate_is_bad_in_its_own_way(certificate: str, name: str, code: int, tmp_path: Path) -> None:
    """OpenSSL names the fault that the certificate's name promises, and finds none in a good one."""
    assert certificate in CERTIFICATES
    with Server(answer(200), tls=server_context(certificate)) as server:
        try:
            with shake_hands(server, ca_file(tmp_path), name) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert sock.recv(65536).startswith(b"HTTP/1.1 200")
                assert server.log[0].server_name == ("" if name[0].isdigit() else name)
                seen = 0
        except ssl.SSLCertVerificationError as exc:
            seen = exc.verify_code
        assert seen == code


def test_a_client_certificate_can_be_demanded(tmp_path: Path) -> None:
    """A client without one gets no answer, one with the authority's own does."""
    with Server(answer(200), tls=server_context(wants_client=True)) as server:
        ask_it = {"verify": str(ca_file(tmp_path)), "timeout": LIMIT}
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url(), **ask_it)  # type: ignore[arg-type]
        certificate, key = client_certificate_files(tmp_path)
        assert requests.get(server.url(), cert=(str(certificate), str(key)), **ask_it).ok  # type: ignore[arg-type]


@pytest.fixture
def bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_tls_can_be_old_dripped_or_absent(bare_context: ssl.SSLContext) -> None:
    """A server may speak only an old version, a byte at a time, or no TLS at all."""
    old = server_context(highest=ssl.TLSVersion.TLSv1_1)
    for options, error in (
        ({"tls": old}, "TLSV1_ALERT_PROTOCOL_VERSION"),
        ({}, "WRONG_VERSION_NUMBER"),
    ):
        with Server(answer(200), **options) as server, connect(server) as sock:  # type: ignore[arg-type]
            with pytest.raises(ssl.SSLError) as caught:
                bare_context.wrap_socket(sock)
            assert caught.value.reason == error
    with Server(on_connect=drip_handshake(server_context(), 0.05)) as server, connect(server) as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            bare_context.wrap_socket(sock)


def test_a_proxy_tunnels_forwards_refuses_and_keeps_a_log(tmp_path: Path) -> None:
    """Both of a proxy's ways lead to the server, by name; credentials and refusals are as asked for."""
    with (
        Server(answer(200)) as plain,
        Server(answer(201), tls=server_context()) as secure,
        Proxy(user="u", password="p") as proxy,
        Proxy(refusal=403) as strict,
        closed_port() as (_, closed),
    ):
        way = proxy.url.replace("//", "//u:p@")
        options = {"proxies": {"http": way, "https": way}, "verify": str(ca_file(tmp_path)), "timeout": LIMIT}
        assert requests.get(plain.url("/a?b", host="a.test"), **options).status_code == 200  # type: ignore[arg-type]
        assert requests.get(secure.url("/c", host="a.test"), **options).status_code == 201  # type: ignore[arg-type]
        assert requests.get(f"http://a.test:{closed}/", **options).status_code == 502  # type: ignore[arg-type]
        assert plain.targets + secure.targets == ["/a?b", "/c"]
        assert plain.log[0].header("Proxy-Authorization") == ""
        assert proxy.targets[:2] == [plain.url("/a?b", host="a.test"), f"a.test:{secure.port}"]
        assert requests.get(plain.url(), proxies={"http": proxy.url}, timeout=LIMIT).status_code == 407
        assert requests.get(plain.url(), proxies={"http": strict.url}, timeout=LIMIT).status_code == 403


def test_a_socks_proxy_gets_names_unresolved() -> None:
    """The name reaches the proxy, and wrong credentials or a refusing reply end the matter."""
    with Server(answer(200)) as server, SocksProxy(user="u", password="p") as proxy, SocksProxy(reply=2) as strict:
        for way, wanted in ((proxy.url.replace("//", "//u:p@"), 200), (proxy.url, 0), (strict.url, 0)):
            try:
                got = requests.get(server.url(host="a.test"), proxies={"http": way}, timeout=LIMIT).status_code
            except requests.ConnectionError:
                got = 0
            assert got == wanted
        assert proxy.asked == strict.asked == [("a.test", server.port)]


def test_many_connections_are_served_side_by_side() -> None:
    """Forty kept connections get a thousand answers, each its own."""
    with Server(lambda request: answer(200, body=request.target.encode())) as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT) for _ in range(40)]
        for number in range(1000):
            client = clients[number % 40]
            client.request("GET", f"/{number}")
            assert client.getresponse().read() == f"/{number}".encode()
        assert server.connections == 40
        for client in clients:
            client.close()
