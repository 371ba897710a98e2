"""A status belongs to the URL that was asked, and is never lost to what follows it."""

from __future__ import annotations

import pytest

from status_probe import probe_urls
from status_probe.records import Outcome
from tests.asking import ask, ask_at_once, ask_one
from tests.server import Request, Script, Server, answer, close, hang, pause, reset, server_context

OK = b"HTTP/1.1 200 OK\r\n"
FORGED = b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n"

both_schemes = pytest.mark.parametrize("tls", [None, server_context()], ids=["http", "https"])


@both_schemes
@pytest.mark.parametrize("method", ["get", "head", "auto"])
def test_each_url_gets_its_own_status_after_late_interim_answers(tls, method):
    """103 now and the answer 50 ms later, eight times on one host: each row has its own status."""
    statuses = [404, 500, 200, 403, 410, 200, 503, 201]
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    routes = {f"/{place}/{status}": [early, pause(0.03), answer(status)] for place, status in enumerate(statuses)}
    with Server(routes, tls=tls) as server:
        rows = ask(*[server.url(path) for path in routes], method=method)
    assert [row.status for row in rows] == statuses


def test_a_hundred_and_two_and_a_hundred_are_passed_over():
    """Interim answers of any code arrive with the answer or before it, and are no row."""
    with Server([b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 100 C\r\n\r\n" * 20, answer(410)]) as server:
        assert ask_one(server.url()).status == 410


@pytest.mark.parametrize("end", [close(), hang()], ids=["closed", "silent"])
def test_interim_answers_without_a_final_one_are_a_failure(end):
    """103 ninety-nine times and nothing else is an error row in time."""
    with Server([b"HTTP/1.1 103 E\r\n\r\n" * 99, end]) as server:
        row = ask_one(server.url(), read_timeout=0.3)
    assert row.status is None
    assert row.outcome in (Outcome.CONNECTION_LOST, Outcome.READ_TIMEOUT)


@both_schemes
def test_a_switch_of_protocols_ends_the_connection(tls):
    """101 is the row's status, and the next URL is asked on another connection."""
    routes = {"/ws": [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", FORGED], "/next": answer(404)}
    with Server(routes, tls=tls) as server:
        rows = ask(server.url("/ws"), server.url("/next"))
        assert [row.status for row in rows] == [101, 404]
        assert [request.connection for request in server.log] == [0, 1]


ODD_ANSWERS = {
    "head": OK + b"Content-Length: 6\r\n\r\n",
    "204": b"HTTP/1.1 204 N\r\n\r\n",
    "304": b"HTTP/1.1 304 N\r\n\r\n",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "short": OK + b"Content-Length: 3\r\n\r\nabc",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@both_schemes
@pytest.mark.parametrize("late", [0.0, 0.04])
@pytest.mark.parametrize("stray", [b"<html>", FORGED], ids=["text", "answer"])
@pytest.mark.parametrize("odd", ODD_ANSWERS)
def test_what_trails_behind_an_answer_is_no_other_urls_status(odd, stray, late, tls):
    """A body that must not be there, or another whole answer, at once or late: the next rows are their own."""
    truth = 204 if odd == "204" else 304 if odd == "304" else 200
    routes = {"/odd": [ODD_ANSWERS[odd], pause(late), stray], "/next": answer(404)}
    paths = ["/odd", "/next", "/odd", "/next"]
    with Server(routes, tls=tls) as server:
        rows = ask(*[server.url(path) for path in paths], method="head" if odd == "head" else "get")
    assert [row.status for row in rows] == [truth, 404, truth, 404]


@both_schemes
@pytest.mark.parametrize("odd", ["204", "short"])
def test_a_host_that_was_in_order_may_not_go_wrong_later(odd, tls):
    """After answers with nothing behind them, one with a late second answer spoils no row."""
    routes = {"/odd": [ODD_ANSWERS[odd], pause(0.03), FORGED], "/next": answer(404)}
    with Server(routes, tls=tls) as server:
        urls = [server.url(path) for path in ["/next"] * 4 + ["/odd", "/next", "/next"]]
        rows = ask(*urls)
    assert [row.status for row in rows] == [404] * 4 + [204 if odd == "204" else 200] + [404] * 2


def test_leftovers_decrypted_in_tls_are_no_answer():
    """A body of 12 KiB behind HEAD, in one TLS record with its head, is not read as the next answer."""
    page = OK + b"Content-Length: 12288\r\n\r\n" + FORGED * 280
    with Server({"/page": page, "/next": answer(404)}, tls=server_context()) as server:
        rows = ask(server.url("/page"), server.url("/next"), server.url("/next"), method="head")
    assert [row.status for row in rows] == [200, 404, 404]


FRAMINGS: dict[str, Script] = {
    "two lengths": OK + b"Content-Length: 5, 7\r\n\r\nhello",
    "length and chunks": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + FORGED,
    "negative length": [OK + b"Content-Length: -5\r\n\r\nhello", close()],
    "bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello",
    "fake gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    "body cut short": [OK + b"Content-Length: 300\r\n\r\nabc", close()],
    "no length": [OK + b"\r\nabc", close()],
    "5,000 lines": OK + b"Set-Cookie: a=b\r\n" * 5000 + b"Content-Length: 0\r\n\r\n",
    "a line of 2 MB": OK + b"X: " + b"y" * 2_000_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"nonsense\r\nContent-Length: 0\r\n\r\n",
    "cut in the head": [OK + b"X: ", close()],
    "reset in the head": [OK + b"X: ", pause(0.05), reset()],
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "http 1.0": [b"HTTP/1.0 200 OK\r\n\r\nbye", close()],
    "http 2": b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
    "lower case": b"http/1.1 200 ok\r\nContent-Length: 0\r\n\r\n",
    "endless": [OK + b"\r\n" + b"x" * 2_000_000, hang()],
}


@both_schemes
def test_a_valid_status_line_is_kept_whatever_follows(tls):
    """Bad headers, lengths, chunks and bodies lose neither this status nor the next URL's."""
    odd = {"/" + name.replace(" ", "-"): script for name, script in FRAMINGS.items()}
    with Server({**odd, "/next": answer(404)}, tls=tls) as server:
        rows = ask_at_once(*[[server.url(path), server.url("/next"), server.url(path)] for path in odd])
    statuses = {path: [row.status for row in three] for path, three in zip(odd, rows, strict=True)}
    assert {path: found for path, found in statuses.items() if found != [200, 404, 200]} == {}


@pytest.mark.parametrize(
    ("reason", "text"),
    [("未找到".encode("gbk"), "未找到"), ("未找到".encode(), "未找到"), (b"", ""), (b"Not Found", "Not Found")],
)
def test_a_reason_is_read_in_any_encoding(reason, text):
    """A reason phrase in GBK, in UTF-8, or none at all, goes with its status."""
    with Server(b"HTTP/1.1 404 " + reason + b"\r\nContent-Length: 0\r\n\r\n") as server:
        row = ask_one(server.url())
    assert (row.status, row.reason) == (404, text)


NO_ANSWERS: dict[str, tuple[Script, Outcome, str]] = {
    "garbage": ([b"hello\r\n", close()], Outcome.PROTOCOL_ERROR, "no HTTP answer"),
    "0.9": ([b"<html>", close()], Outcome.PROTOCOL_ERROR, "without a status line"),
    "ICY": (b"ICY 200 OK\r\n\r\n", Outcome.PROTOCOL_ERROR, "no HTTP answer"),
    "000": (b"HTTP/1.1 000 X\r\n\r\n", Outcome.PROTOCOL_ERROR, "not valid"),
    "099": (b"HTTP/1.1 099 X\r\n\r\n", Outcome.PROTOCOL_ERROR, "not valid"),
    "2000": (b"HTTP/1.1 2000 X\r\n\r\n", Outcome.PROTOCOL_ERROR, "not valid"),
    "2_00": (b"HTTP/1.1 2_00 X\r\n\r\n", Outcome.PROTOCOL_ERROR, "not valid"),
    "SSH": ([b"SSH-2.0-OpenSSH_9.6\r\n", hang()], Outcome.PROTOCOL_ERROR, "SSH"),
    "empty": (close(), Outcome.CONNECTION_LOST, "closed the connection without an answer"),
    "reset": (reset(), Outcome.CONNECTION_LOST, "without an answer|before an answer"),
}


@both_schemes
@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_has_its_outcome_and_a_sentence(name, tls):
    """Without a valid status line there is no status, but one outcome and words for the owner of the site."""
    script, outcome, words = NO_ANSWERS[name]
    with Server({"/odd": script, "/next": answer(404)}, tls=tls) as server:
        row, following = ask(server.url("/odd"), server.url("/next"))
    assert (row.status, row.outcome) == (None, outcome)
    assert any(part in row.error for part in words.split("|"))
    assert not any(mark in row.error for mark in ("Error(", "Errno", "0x"))
    assert following.status == 404


def test_what_is_asked_again_goes_over_a_new_connection():
    """Of two idle connections that the server both gave up, one costs a try: the other one is not tried as well."""
    def once(request: Request) -> Script:
        return answer(200) if request.first else close()

    with Server(once) as server:
        rows = ask(*[server.url(f"/{number}") for number in range(3)])
        assert server.targets == ["/0", "/1", "/2", "/2"]
    assert [row.status for row in rows] == [200] * 3


@both_schemes
@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("end", [close(), reset(), [b"HTTP/1.1 408 T\r\n\r\n", close()]], ids=["fin", "rst", "408"])
def test_a_kept_connection_that_the_server_gave_up_costs_one_fresh_try(end, method, tls):
    """A server that ends each connection at its second request gives 200 ten times, in one attempt each."""
    with Server(lambda request: answer(200, body=b"x") if request.first else end, tls=tls) as server:
        rows = ask(*[server.url(f"/{number}") for number in range(10)], method=method)
        assert len(server.log) <= 20
    assert [(row.status, row.attempts, row.error) for row in rows] == [(200, 1, "")] * 10


def test_a_silent_server_is_asked_once():
    """No second request goes to a server that was silent, also on a connection used before."""
    with Server({"/": answer(200), "/silent": hang()}) as server:
        rows = ask(server.url(), server.url(), server.url(), server.url("/silent"), read_timeout=0.3)
        assert server.targets.count("/silent") == 1
    assert rows[-1].outcome is Outcome.READ_TIMEOUT


@pytest.mark.parametrize("method", ["get", "head"])
@both_schemes
def test_one_worker_needs_two_connections_to_a_host(method, tls):
    """A hundred URLs of one host, one at a time, go over two connections at most."""
    with Server(answer(200, body=b"x"), tls=tls) as server:
        rows = ask(*[server.url(f"/{number}") for number in range(100)], method=method)
        assert server.connections <= 2
    assert {row.status for row in rows} == {200}


def test_statuses_taking_turns_are_each_asked_once():
    """A host with many statuses is neither asked twice for one URL nor made to wait for long."""
    statuses = [200, 404, 500, 204, 403] * 6
    with Server({f"/{number}/{status}": answer(status) for number, status in enumerate(statuses)}) as server:
        rows = ask(*[server.url(f"/{number}/{status}") for number, status in enumerate(statuses)])
        assert len(server.log) == len(statuses)
    assert [row.status for row in rows] == statuses


def test_a_head_in_two_hundred_pieces_is_read():
    """A head that comes byte by byte is the same head."""
    head = OK + b"Content-Type: text/html\r\nContent-Length: 0\r\n\r\n"
    with Server([head[place : place + 1] for place in range(len(head))]) as server:
        row = ask_one(server.url())
    assert (row.status, row.content_type, row.content_length) == (200, "text/html", 0)


@both_schemes
def test_an_answer_unlike_any_before_is_looked_at_twice(tls):
    """Where pages of one shape were in order, one of them with a late second answer spoils no row either."""
    page = OK + b"Content-Length: 3\r\n\r\nabc"
    with Server({"/odd": [page, pause(0.03), FORGED], "/next": page}, tls=tls) as server:
        rows = ask(*[server.url(path) for path in ["/next"] * 4 + ["/odd", "/next", "/next"]])
    assert [row.status for row in rows] == [200] * 7


def test_a_server_deaf_after_head_delays_no_other_url():
    """A server that answers HEAD and hears nothing more on that connection costs the next URL a moment only."""

    def deaf(request: Request) -> Script:
        if request.path == "/deaf":
            return [b"HTTP/1.1 501 No\r\nContent-Length: 10\r\n\r\n", hang()]
        return answer(int(request.path[1:]))

    with Server(deaf) as server:
        urls = [server.url(path) for path in ("/deaf", "/403", "/404", "/200")]
        rows = list(probe_urls(urls, method="head", workers=1, retries=0, read_timeout=3.0, proxy=""))
    assert sorted(row.status or 0 for row in rows) == [200, 403, 404, 501]
    assert max(row.elapsed_ms or 0 for row in rows) < 1500
