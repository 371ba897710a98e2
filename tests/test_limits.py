"""max_time and its parts hold against whatever a server does, and the row says where the time went."""

from __future__ import annotations

import tracemalloc

import pytest

from status_probe.records import Outcome
from tests.asking import ask_at_once, ask_one, within
from tests.server import (
    Server,
    Step,
    answer,
    close,
    deaf_address,
    drip,
    drip_handshake,
    hang,
    pause,
    repeat,
    server_context,
)

OK = b"HTTP/1.1 200 OK\r\n"
both_schemes = pytest.mark.parametrize("tls", [None, server_context()], ids=["http", "https"])
LIMITS = {"connect_timeout": 0.3, "read_timeout": 0.3, "max_time": 0.4}
SLACK = 0.3


@both_schemes
def test_silence_ends_at_the_read_timeout(tls):
    """A server that says nothing costs the read timeout, once."""
    with Server(hang(), tls=tls) as server, within(0.3 + SLACK, 0.25):
        row = ask_one(server.url(), **LIMITS)
    assert row.outcome is Outcome.READ_TIMEOUT
    assert "silent for 0.3 s while waiting for the answer" in row.error


DRIPS = {
    "/head": drip(OK + b"X: " + b"y" * 1000, 0.05),
    "/lines": [OK, repeat(b"A: b\r\n", 0.1)],
    "/interim": repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "/status": drip(b"HTTP/1.1 200 " + b"y" * 1000, 0.05),
}


@both_schemes
def test_a_drip_ends_at_max_time(tls):
    """Bytes that come now and then keep no worker for longer than max_time, and the next URL is in order."""
    with Server({**DRIPS, "/next": answer(404)}, tls=tls) as server, within(0.4 + SLACK, 0.35):
        lists = [[server.url(path), server.url("/next")] for path in DRIPS]
        for row, following in ask_at_once(*lists, **{**LIMITS, "connect_timeout": 1.0}):
            assert (row.outcome, row.status) == (Outcome.DEADLINE_EXCEEDED, None), row
            assert "0.4 s ran out while" in row.error, row
            assert following.status == 404, following


def test_a_head_that_stalls_names_the_status_it_began_with():
    """A status line without the end of its head is a time-out whose error names the status."""
    with Server([OK, hang()]) as server:
        row = ask_one(server.url(), **LIMITS)
    assert (row.outcome, row.status) == (Outcome.READ_TIMEOUT, None)
    assert "which began with status 200" in row.error


BODIES = {
    "/endless": [OK + b"\r\n", repeat(b"x" * 65536)],
    "/chunks": [OK + b"Transfer-Encoding: chunked\r\n\r\n", repeat(b"1000\r\n" + b"x" * 4096 + b"\r\n")],
    "/stalled": [b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 10\r\n\r\n", hang()],
    "/dripped": [OK + b"Content-Length: 3000\r\n\r\n", drip(b"x" * 3000, 0.1)],
}


@both_schemes
def test_a_body_delays_no_row(tls):
    """The status is known with the head: a body may stall, drip or never end."""
    with Server(BODIES, tls=tls) as server, within(0.9):
        rows = ask_at_once(*[[server.url(path)] for path in BODIES], read_timeout=5.0, max_time=5.0)
    assert [row.status for [row] in rows] == [200, 200, 503, 200]
    assert all(row.elapsed_ms < 300 for [row] in rows)


@pytest.mark.parametrize("status", [200, 302])
def test_a_bomb_is_neither_read_nor_unpacked(status):
    """A body of 300 MB, or a small one that unpacks to as much, costs no memory."""
    body = repeat(b"\x1f\x8b\x08" + b"\0" * 65533, times=5000)
    head = f"HTTP/1.1 {status} X\r\nLocation: /end\r\nContent-Encoding: gzip\r\n\r\n".encode()
    with Server({"/": [head, body, close()], "/end": answer(410)}) as server, within(1.0):
        tracemalloc.start()
        row = ask_one(server.url())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert row.status == (200 if status == 200 else 410)
    assert peak < 8_000_000


@pytest.mark.parametrize("on_connect", [hang(), drip_handshake(server_context(), 0.05)], ids=["stall", "drip"])
def test_a_handshake_ends_at_the_connect_timeout(on_connect):
    """A TLS handshake that stalls or drips costs the connect timeout, and the row says so."""
    with Server(answer(200), on_connect=on_connect) as server, within(0.3 + SLACK, 0.25):
        row = ask_one(server.url(scheme="https"), **LIMITS)
    assert row.outcome is Outcome.CONNECT_TIMEOUT
    assert "in the TLS handshake" in row.error


def test_no_other_method_is_begun_when_the_time_is_over():
    """HEAD that took it all is what the row tells of; GET is not begun for nothing."""
    with Server(hang()) as server:
        row = ask_one(server.url(), method="auto", max_time=0.4)
        assert [request.method for request in server.log] == ["HEAD"]
    assert row.error == "the time of 0.4 s ran out while waiting for the answer"


def test_max_time_also_ends_a_handshake():
    """Where max_time is the shorter one, the row says that it ran out, and in which phase."""
    with Server(answer(200), on_connect=hang()) as server, within(0.4 + SLACK, 0.35):
        row = ask_one(server.url(scheme="https"), connect_timeout=5.0, max_time=0.4)
    assert row.outcome is Outcome.DEADLINE_EXCEEDED
    assert "0.4 s ran out while in the TLS handshake" in row.error


def test_max_time_covers_all_hops():
    """Ten hops of 0.2 s each are cut at max_time, with the hops that were made and the last status."""
    def hop(request):
        return [pause(0.2), answer(302, headers=[("Location", f"/{request.overall + 1}")])]

    with Server(hop) as server, within(0.7 + SLACK, 0.6):
        row = ask_one(server.url("/0"), max_time=0.7)
    assert (row.outcome, row.status) == (Outcome.DEADLINE_EXCEEDED, 302)
    assert row.redirects == 3
    assert row.redirect_chain.count("302 ") == 3


def test_six_dead_addresses_share_one_connect_timeout():
    """A name with six addresses that drop everything costs the connect timeout once."""
    with deaf_address("0.0.0.0") as (_, port), within(0.4 + SLACK, 0.35):
        hosts = {"six.test": [f"127.0.0.{number}" for number in range(1, 7)]}
        row = ask_one(f"http://six.test:{port}/", hosts=hosts, connect_timeout=0.4)
    assert row.outcome is Outcome.CONNECT_TIMEOUT
    assert "0.4 s" in row.error


def test_auto_does_not_wait_beyond_max_time():
    """HEAD and GET that both hang cost max_time, not two read timeouts."""
    with Server(hang()) as server, within(0.5 + SLACK, 0.45):
        row = ask_one(server.url(), method="auto", read_timeout=0.3, max_time=0.5)
        assert [request.method for request in server.log] == ["HEAD", "GET"]
    assert row.outcome is Outcome.DEADLINE_EXCEEDED


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_sending_ends_in_time_too(scheme):
    """A server that takes no bytes of a long request cannot hold it."""
    handshake = [Step(lambda connection: connection.start_tls(server_context()))] if scheme == "https" else []
    with Server(answer(200), on_connect=[*handshake, pause(5.0)]) as server, within(0.8 + SLACK, 0.25):
        row = ask_one(server.url("/" + "x" * 8_000_000, scheme=scheme), **LIMITS)
    assert row.outcome in (Outcome.READ_TIMEOUT, Outcome.DEADLINE_EXCEEDED)
    assert "sending the request" in row.error
