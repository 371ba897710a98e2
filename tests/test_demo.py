"""The laws of the demo: each path does what its name says, the list is whole, and nothing is left behind."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from status_probe.demo import DEMO_LIMITS, SITES, DemoServer, demo_urls
from status_probe.demo.pages import PAGES, Request, find_page

LIMIT = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with DemoServer() as demo:
        yield demo


def connect(server: DemoServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.sites["main"].port), timeout=LIMIT)


def ask(server: DemoServer, path: str, method: str = "GET", headers: str = "") -> bytes:
    """Return all that *path* sends on a connection of its own."""
    with connect(server) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: a.test:1\r\nConnection: close\r\n{headers}\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def location(reply: bytes) -> str:
    return reply.partition(b"\r\nLocation: ")[2].partition(b"\r\n")[0].decode()


@pytest.mark.parametrize("status", [200, 201, 204, 206, 304, 400, 403, 404, 410, 418, 500, 502, 504, 999])
def test_a_status_page_answers_with_its_status(server: DemoServer, status: int) -> None:
    """/status/N answers N, whatever N is, and 204 and 304 have no body."""
    head, _, body = ask(server, f"/status/{status}").partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert bool(body) is (status not in (204, 304))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/status/401", b'WWW-Authenticate: Basic realm="demo"'),
        ("/status/405", b"Allow: POST"),
        ("/status/429", b"Retry-After: 1"),
        ("/status/503", b"Retry-After: 1"),
        ("/bot-filter", b"CF-Mitigated: challenge"),
        ("/reason/formula", b'HTTP/1.1 200 =HYPERLINK("http://example.com","click")'),
        ("/reason/chinese", "HTTP/1.1 404 找不到网页".encode()),
        ("/moved/nowhere", b"HTTP/1.1 302 Found"),
        ("/two-lengths", b"Content-Length: 5, 7"),
        ("/status/none", b"HTTP/1.1 400 Bad Request"),
        ("/no/such/page", b"HTTP/1.1 404 Not Found"),
        ("/%E9%A1%B5%E9%9D%A2", b"HTTP/1.1 200 OK"),
    ],
)
def test_a_page_shows_what_it_is_for(server: DemoServer, path: str, line: bytes) -> None:
    """The line that makes a page worth asking is in its head."""
    assert line in ask(server, path).partition(b"\r\n\r\n")[0].split(b"\r\n")


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [
        ("/moved/permanently", 301, "/status/200"),
        ("/moved/relative", 302, "../status/200?from=here#there"),
        ("/moved/see-other", 303, "/status/200"),
        ("/moved/temporarily", 307, "/status/200"),
        ("/moved/for-good", 308, "/status/200"),
        ("/moved/to-another-host", 302, "//localhost:1/status/200"),
        ("/moved/to-nothing", 301, "/status/404"),
        ("/moved/to-mail", 302, "mailto:webmaster@example.com"),
        ("/moved/to-utf-8", 302, "/页面"),
        ("/loop/a", 302, "/loop/b"),
        ("/loop/b", 302, "/loop/a"),
        ("/cookie-wall", 302, "/cookie-wall"),
    ],
)
def test_a_redirect_leads_where_its_name_says(server: DemoServer, path: str, status: int, target: str) -> None:
    """Each redirect has its own status and Location."""
    reply = ask(server, path)
    assert (int(reply[9:12]), location(reply)) == (status, target)


def test_a_chain_is_as_long_as_its_number(server: DemoServer) -> None:
    """/chain/N takes N redirects, of every kind, to a 200."""
    path, seen = "/chain/6", []
    while path:
        reply = ask(server, path)
        seen.append(int(reply[9:12]))
        path = location(reply)
    assert len(seen) == 7
    assert seen[-1] == 200
    assert set(seen[:-1]) == {301, 302, 303, 307, 308}


def test_some_pages_depend_on_the_request(server: DemoServer) -> None:
    """A cookie opens the wall, the password the private page, and GET the page that refuses HEAD."""
    assert b" 200 " in ask(server, "/cookie-wall", headers="Cookie: seen=1\r\n")[:16]
    assert b" 401 " in ask(server, "/private")[:16]
    assert b" 200 " in ask(server, "/private", headers="Authorization: Basic ZGVtbzpzZWNyZXQ=\r\n")[:16]
    assert b" 405 " in ask(server, "/no-head", "HEAD")[:16]
    assert b" 200 " in ask(server, "/no-head")[:16]


def test_early_hints_come_before_the_answer(server: DemoServer) -> None:
    """A 103 goes first, and its answer follows on the same connection."""
    reply = ask(server, "/early-hints")
    assert reply.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert reply.count(b"HTTP/1.1 200 OK\r\n") == 1


def test_head_gets_no_body(server: DemoServer) -> None:
    """To HEAD the same head is sent, and nothing behind it."""
    head = ask(server, "/bytes/1000", "HEAD")
    assert head.endswith(b"\r\n\r\n")
    assert ask(server, "/bytes/1000") == head + b"x" * 1000


def test_a_connection_serves_many_requests(server: DemoServer) -> None:
    """Without Connection: close it is kept, so that the demo can also be measured with."""
    with connect(server) as sock, sock.makefile("rb") as stream:
        for number in range(50):
            sock.sendall(f"GET /bytes/{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head = b"".join(iter(stream.readline, b"\r\n"))
            assert f"Content-Length: {number}\r\n".encode() in head
            assert stream.read(number) == b"x" * number


def test_a_slow_page_comes_late(server: DemoServer) -> None:
    """Its answer takes half a second."""
    began = time.monotonic()
    assert ask(server, "/slow").startswith(b"HTTP/1.1 200 OK")
    assert 0.5 <= time.monotonic() - began < LIMIT


def test_a_faulty_page_gives_no_whole_answer(server: DemoServer) -> None:
    """Silence, a reset, an end without a word, another protocol, a body that is cut short: each as named."""
    with connect(server) as sock:
        sock.sendall(b"GET /silent HTTP/1.1\r\n\r\n")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    with pytest.raises(ConnectionResetError):
        ask(server, "/reset")
    assert ask(server, "/hung-up") == b""
    assert ask(server, "/garbage").startswith(b"220 mail.example.com")
    assert len(ask(server, "/body/cut-short").partition(b"\r\n\r\n")[2]) < 1000


@pytest.mark.parametrize(("path", "piece"), [("/drip", b"X-Drip: .\r\n"), ("/body/endless", b"and so on\n")])
def test_an_endless_page_goes_on_in_pieces(server: DemoServer, path: str, piece: bytes) -> None:
    """The second piece comes after a wait, and there is more to come than any limit allows."""
    with connect(server) as sock, sock.makefile("rb") as stream:
        sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        assert [line for line in (stream.readline() for _ in range(4)) if line == piece][:2] == [piece] * 2
    waits = [step for step in find_page(Request("GET", path, {})) if isinstance(step, float)]
    assert sum(waits) > DEMO_LIMITS["max_time"]
    assert max(waits) < DEMO_LIMITS["read_timeout"]


def test_the_plain_port_refuses_tls_in_plain_text(server: DemoServer) -> None:
    """A TLS client learns that there is no TLS, rather than waiting."""
    context = ssl.create_default_context()
    with connect(server) as sock, pytest.raises(ssl.SSLError) as caught:
        context.wrap_socket(sock, server_hostname="localhost")
    assert caught.value.reason == "WRONG_VERSION_NUMBER"


def test_nothing_listens_on_the_closed_port(server: DemoServer) -> None:
    """It is refused for as long as the demo runs."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.closed_port), timeout=LIMIT)


def test_the_list_asks_only_for_pages_that_exist(server: DemoServer) -> None:
    """Every line is filled in, every path on a site of the demo has a page, and each site is asked."""
    lines = [line for line in demo_urls(server) if line and not line.startswith("#")]
    assert 30 <= len(lines) <= 45
    assert not [line for line in lines if "{" in line]
    places = {f"127.0.0.1:{server.sites[name].port}": name for name in SITES}
    on_sites = [parts for line in lines if "[" not in line and (parts := urlsplit(line)).netloc in places]
    assert {places[parts.netloc] for parts in on_sites} == set(SITES)
    families = {path[:-1] for path in PAGES if path.endswith("*")}
    unknown = [p.path for p in on_sites if p.path not in PAGES and p.path.rpartition("/")[0] + "/" not in families]
    assert unknown == ["/no-tls-on-this-port"]


def test_leaving_ends_every_page_at_once() -> None:
    """Pages that wait for an hour, drip or have no reader left end with the block."""
    socks = []
    with DemoServer() as demo:
        for path in ("/silent", "/drip", "/body/endless", "/bytes/10000000", ""):
            sock = connect(demo)
            socks.append(sock)
            sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode() if path else b"GET")
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 1
    for sock in socks:
        sock.close()


def test_leaving_ends_where_nothing_wakes_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system may leave a thread blocked in a socket that is shut down: it is waited for a moment, not for ever."""
    with ExitStack() as clients:
        with ExitStack() as stack:
            demo = stack.enter_context(DemoServer())
            for path in ("/silent", "/bytes/10000000"):
                sock = clients.enter_context(connect(demo))
                sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            assert sock.recv(1)
            monkeypatch.setattr(socket.socket, "shutdown", lambda *_: None)
            leaving = threading.Thread(target=stack.pop_all().close)
            leaving.start()
        leaving.join(LIMIT)
        hangs = leaving.is_alive()
    leaving.join()
    assert not hangs
