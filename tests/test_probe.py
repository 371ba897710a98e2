"""One target, one row: methods, schemes, the URL as listed, hosts of all kinds, and nothing that leaks or leaps out."""

from __future__ import annotations

import base64
import logging
import time

import pytest

from status_probe import dial, opener, probe_urls
from status_probe.records import Outcome
from tests.asking import ask, ask_one, within
from tests.server import Script, Server, answer, close, closed_port, deaf_address, hang, redirect, reset, server_context

HEAD_FAILS: dict[str, Script] = {
    "405": answer(405), "404": answer(404), "500": answer(500), "400": answer(400), "reset": reset(), "closed": close(),
    "garbage": [b"nonsense\r\n", close()], "loop": redirect("/"),
    "bad redirect": redirect("ftp://x/"), "silent": hang(),
}  # fmt: skip


@pytest.mark.parametrize("tls", [None, server_context()], ids=["http", "https"])
@pytest.mark.parametrize("name", HEAD_FAILS)
def test_auto_asks_by_get_what_head_did_not_settle(name, tls):
    """A HEAD that failed, or was answered 400 or more, is followed by GET in the same attempt."""
    with Server(lambda request: HEAD_FAILS[name] if request.method == "HEAD" else answer(200), tls=tls) as server:
        row = ask_one(server.url(), method="auto", read_timeout=0.3)
        assert server.log[-1].method == "GET"
    assert (row.status, row.outcome, row.method, row.attempts, row.error) == (200, Outcome.OK, "GET", 1, "")


@pytest.mark.parametrize("status", [200, 204, 304, 399])
def test_auto_is_content_with_a_head_that_settled_it(status):
    """No GET follows a status below 400."""
    with Server(answer(status)) as server:
        row = ask_one(server.url(), method="auto")
        assert [request.method for request in server.log] == ["HEAD"]
    assert (row.status, row.method) == (status, "HEAD")


def test_auto_does_not_knock_twice_where_nobody_is():
    """A failure before any request, a refusal say, is not tried again by another method."""
    with Server(answer(200), tls=server_context("expired")) as server, closed_port() as (host, port):
        bad, refused = ask(server.url(), f"http://{host}:{port}/", method="auto")
        assert server.connections == 1
    assert (bad.outcome, refused.outcome) == (Outcome.TLS_ERROR, Outcome.CONNECT_REFUSED)


TARGETS = [
    ("/a%20b%zz%41%7e", "/a%20b%zz%41%7e"), ("/?", "/?"), ("/?c=%41&d", "/?c=%41&d"), ("/%2e%2E/b", "/%2e%2E/b"),
    ("/A/../b/./c", "/A/../b/./c"), ("/x#fragment", "/x"), ("/x?y#z?w", "/x?y"), ("", "/"), ("?q", "/?q"),
    ("/caf\u00e9?\u00e9", "/caf%C3%A9?%C3%A9"), ("/a b", "/a%20b"), ("//x//y", "//x//y"), ("/CaSe", "/CaSe"),
]  # fmt: skip


@pytest.mark.parametrize(("listed", "sent"), TARGETS)
def test_the_url_sent_is_the_url_listed(listed, sent):
    """Good and bad escapes, case, dots and an empty query are sent as they stand, a fragment never is."""
    with Server(answer(200)) as server:
        row = ask_one(f" \t{server.url('')}{listed} ")
        assert server.targets == [sent]
    assert row.status == 200


@pytest.mark.parametrize(
    "host",
    ["127.1", "0x7f.1", "0177.0.0.1", "2130706433", "127.0.0.1.", "\uff11\uff12\uff17.0.0.1"],
)
def test_an_address_in_any_form_is_that_address(host):
    """Short, octal, hexadecimal and full-width forms lead where browsers go, and Host is the plain address."""
    with Server(answer(200)) as server:
        row = ask_one(f"http://{host}:{server.port}/")
        assert server.log[0].header("Host") == f"127.0.0.1:{server.port}"
    assert (row.status, row.ip) == (200, "127.0.0.1")


@pytest.mark.parametrize(
    ("listed", "name"),
    [("\U0001f4a9.test", "xn--ls8h.test"), ("\uff41\uff42.test", "ab.test"), ("x\u3002test", "x.test"),
     ("B\u00dcCHER.test", "xn--bcher-kva.test"), ("a_b.test", "a_b.test"), ("a.test.", "a.test.")],
)  # fmt: skip
def test_names_that_browsers_accept_are_asked(listed, name):
    """Emoji, full-width letters, ideographic dots, underscores and a trailing dot give the name's answer."""
    with Server(answer(410)) as server:
        row = ask_one(f"http://{listed}:{server.port}/", hosts={name.rstrip("."): ["127.0.0.1"]})
        assert server.log[0].header("Host") == f"{name}:{server.port}"
    assert row.status == 410


@pytest.mark.parametrize(
    "url", ["http://", "http://a..b/", "http://.a/", f"http://{'a' * 64}.test/", "http://a:0/", "http://a:99999/",
            "http://a:b/", "http://[::1/", "http://[1.2.3.4]/", "http://999.1.1.1/", "ftp://a/", "mailto:a@b.test",
            "javascript:alert(1)", "http://a b/", "not a url", "http://\u2100.test/", "http://[fe80::1%25/]/", ":",
            "//"],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_row(url):
    """Each is invalid_url with a reason, and nothing is opened."""
    row = ask_one(url)
    assert (row.status, row.outcome) == (None, Outcome.INVALID_URL)
    assert row.error
    assert row.url == url
    assert row.elapsed_ms is None


def test_a_password_is_in_no_cell():
    """Whatever becomes of a URL with a password, no cell holds it, and neither does the log."""
    with Server(answer(200)) as server, closed_port() as (host, port):
        authority = server.url("").removeprefix("http://")
        urls = [f"{prefix}me:geheim{rest}" for prefix, rest in [
            ("http://", f"@{authority}/"), ("http://", f"@{host}:{port}/"), ("http://", "@a..b/"), ("ftp://", "@a/"),
            ("http://", "@nowhere.invalid/"), ("http://", ":x@a:99999/"), ("", "@a/"),
        ]]  # fmt: skip
        rows = ask(*urls)
        sent = server.log[0].header("Authorization")
    assert sent == "Basic " + base64.b64encode(b"me:geheim").decode()
    assert "geheim" not in repr(rows)


def test_a_fault_of_ours_is_a_row_and_a_log_entry(monkeypatch, caplog):
    """An exception that nothing explains is internal_error; its traceback is logged, without a password."""
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("x")

    monkeypatch.setattr("status_probe.transport.Transport.ask", fail)
    with caplog.at_level(logging.ERROR, "status_probe"):
        row = ask_one("http://me:geheim@127.0.0.1:1/")
    assert (row.outcome, row.status) == (Outcome.INTERNAL_ERROR, None)
    assert "ZeroDivisionError" in caplog.text
    assert "geheim" not in caplog.text + repr(row)


@pytest.mark.parametrize("scheme", ["", "//"])
def test_a_line_without_a_scheme_is_asked_by_https_first(scheme):
    """https answers where it is spoken; where it cannot be connected http is asked."""
    with Server(answer(410), tls=server_context()) as secure, Server(answer(411)) as plain:
        rows = ask(*[f"{scheme}127.0.0.1:{server.port}/" for server in (secure, plain)])
    assert [(row.status, row.final_url.partition(":")[0]) for row in rows] == [(410, "https"), (411, "http")]


@pytest.mark.parametrize("method", ["get", "head", "auto"])
def test_a_line_without_a_scheme_is_asked_twice_at_most_where_nobody_is(method, monkeypatch):
    """By https, then by http; a refusal of both ends it."""
    tried = []

    def connect(*arguments):
        tried.append(arguments)
        return dial.connect(*arguments)

    monkeypatch.setattr(opener, "connect", connect)
    with closed_port() as (host, port), within(1.0):
        row = ask_one(f"{host}:{port}/", method=method)
    assert (row.status, row.outcome, row.redirects) == (None, Outcome.CONNECT_REFUSED, 0)
    assert len(tried) == 2


def test_a_handshake_that_failed_is_told_where_http_has_no_answer_either():
    """A line without a scheme: that somebody refused TLS says more than that http, asked then, is not spoken."""
    refused = [b"\x15\x03\x03\x00\x02\x02\x28", close()]
    with Server(on_connect=lambda number: [b"SSH-2.0\r\n", close()] if number else refused) as server:
        row = ask_one(f"127.0.0.1:{server.port}/")
        assert server.connections == 2
    assert (row.outcome, row.ip, row.redirects) == (Outcome.TLS_ERROR, "127.0.0.1", 0)


@pytest.mark.parametrize("end", [reset(), close()], ids=["reset", "close"])
def test_what_is_lost_after_the_handshake_is_not_asked_for_in_the_clear(end):
    """A line without a scheme: there is TLS, and what was sent under it is not sent again without."""
    with Server(end, tls=server_context()) as server:
        row = ask_one(f"127.0.0.1:{server.port}/", headers=(("X-Key", "geheim"),))
        assert server.connections == 1
    assert (row.status, row.outcome) == (None, Outcome.CONNECTION_LOST)


def test_a_handshake_that_failed_is_told_where_http_does_not_go_to_that_port():
    """A line without a scheme: a port that refused TLS calls plain HTTP a bad request, which says nothing of the site.

    A port that speaks no TLS means it.
    """
    refused = [b"\x15\x03\x03\x00\x02\x02\x70", close()]
    with Server(answer(400), on_connect=lambda number: () if number else refused) as server, Server(answer(400)) as web:
        row, other = ask(f"127.0.0.1:{server.port}/", f"127.0.0.1:{web.port}/")
    assert (row.status, row.outcome) == (None, Outcome.TLS_ERROR)
    assert row.error == "the server knows no certificate for this host name"
    assert (other.status, other.final_url.partition(":")[0]) == (400, "http")


def test_http_is_asked_again_where_that_may_help():
    """A line without a scheme whose https cannot be had, and whose http fails in passing, is tried again."""
    refused = [b"\x15\x03\x03\x00\x02\x02\x28", close()]
    scripts = [refused, [reset()], refused]
    with Server(answer(410), on_connect=lambda number: scripts[number] if number < 3 else ()) as server:
        [row] = probe_urls([f"127.0.0.1:{server.port}/"], proxy="", retry_wait=0.0)
    assert (row.status, row.attempts) == (410, 2)


@pytest.mark.parametrize("status", [200, 404])
def test_auto_asks_http_by_head_and_get_where_https_cannot_be_connected(status):
    """A line without a scheme and --method auto: the server, which speaks plain HTTP, sees what it takes to settle."""
    with Server(answer(status)) as server:
        row = ask_one(f"127.0.0.1:{server.port}/x", method="auto")
        methods = [request.method for request in server.log if request.target == "/x"]
    assert methods == (["HEAD"] if status == 200 else ["HEAD", "GET"])
    assert (row.status, row.method) == (status, methods[-1])


@pytest.mark.parametrize(("listed", "options"), [("https://", {}), ("", {"default_scheme": "https"})])
def test_https_that_is_asked_for_is_asked_for_once_and_nothing_else(listed, options):
    """Where the line or the user names the scheme, a port without TLS is asked neither by http nor a second time."""
    with Server(answer(200)) as server:
        row = ask_one(f"{listed}127.0.0.1:{server.port}/", **options)
        assert server.connections == 1
    assert (row.status, row.outcome) == (None, Outcome.TLS_ERROR)


def test_a_bad_certificate_is_no_reason_for_http():
    """A line without a scheme whose https has a bad certificate is a tls_error: visitors are warned there."""
    with Server(answer(200), tls=server_context("expired")) as server:
        assert ask_one(f"127.0.0.1:{server.port}").outcome is Outcome.TLS_ERROR


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0x7f.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "a.test"],
)
def test_public_only_connects_to_nothing_else(host):
    """No form of a loopback address is connected to, listed or by name."""
    with Server(answer(200), address="0.0.0.0") as server:
        row = ask_one(f"http://{host}:{server.port}/", public_only=True, hosts={"a.test": ["127.0.0.1"]})
        assert server.connections == 0
    assert row.outcome is Outcome.BLOCKED_ADDRESS
    assert "not public" in row.error


def test_public_only_holds_on_each_hop(monkeypatch):
    """A redirect to an address that is not public is not followed, and the row keeps the status before it."""
    monkeypatch.setattr("status_probe.names.is_public", lambda ip: ip == "127.0.0.1")
    with Server() as server:
        server.routes = {"/": redirect(f"http://127.0.0.2:{server.port}/inner"), "*": answer(200)}
        row = ask_one(server.url(), public_only=True)
        assert len(server.log) == 1
    assert (row.status, row.outcome) == (302, Outcome.BLOCKED_ADDRESS)


def test_own_headers_replace_ours():
    """--header wins over what is sent by default, whatever its case, and Host may be set."""
    own = (("host", "other.test"), ("ACCEPT", "x/y"), ("User-Agent", "me"), ("X-A", "1"))
    with Server(answer(200)) as server:
        ask_one(server.url(), headers=own)
        names = [name.lower() for name, _ in server.log[0].headers]
        assert len(names) == len(set(names))
        assert [server.log[0].header(name) for name in ("Host", "Accept", "User-Agent", "X-A")] == [
            "other.test", "x/y", "me", "1",
        ]  # fmt: skip


def test_cookies_of_answers_cost_nothing():
    """Two thousand answers that set three cookies each take no more of the CPU than those that set none."""
    def seconds(headers: list[tuple[str, str]]) -> float:
        with Server(answer(200, headers=headers, body=b"x")) as server:
            began = time.process_time()
            rows = ask(*[server.url(f"/{number}") for number in range(2000)])
            assert {row.status for row in rows} == {200}
            assert not any(request.header("Cookie") for request in server.log)
            return time.process_time() - began

    without = seconds([("X-A", "a=1; Path=/")] * 3)
    assert seconds([("Set-Cookie", f"c{number}=1; Path=/") for number in range(3)]) < 1.6 * without + 0.2


def test_a_deaf_host_delays_only_its_own_time():
    """connect_timeout bounds an attempt at a host that drops everything."""
    with deaf_address() as (host, port), within(0.7, 0.35):
        row = ask_one(f"http://{host}:{port}/", connect_timeout=0.4)
    assert row.outcome is Outcome.CONNECT_TIMEOUT
    assert "0.4 s" in row.error
