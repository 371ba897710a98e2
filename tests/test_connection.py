"""Connections are made to the first address that answers, and what failed is told by the most telling of them."""

from __future__ import annotations

import errno
import socket
import sys
import time

import pytest

from status_probe import dial
from status_probe.connection import Connection
from status_probe.limits import SYSTEM_WAITS, ConnectFailed, Limits, ReadTimedOut, is_exhaustion
from status_probe.records import Outcome, Phase
from tests.asking import ask, ask_one, within
from tests.server import Server, answer, closed_port, deaf_address, hang, server_context

NO_PORT = 10048 if sys.platform == "win32" else errno.EADDRNOTAVAIL  # what says that all ports are used up
HAS_IPV6 = socket.has_ipv6
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
both_schemes = pytest.mark.parametrize("tls", [None, server_context()], ids=["http", "https"])


@both_schemes
@pytest.mark.parametrize("dead_first", [True, False])
def test_a_dead_address_costs_a_fraction_of_a_second(dead_first, tls):
    """Of two addresses one drops everything: the other answers at once or after a short while."""
    server = Server(answer(200), address="127.0.0.2", tls=tls)
    with deaf_address("127.0.0.1") as (dead, server.port), server:
        ips = [dead, "127.0.0.2"] if dead_first else ["127.0.0.2", dead]
        with within(0.6):
            row = ask_one(server.url(host="a.test"), hosts={"a.test": ips}, connect_timeout=2.0)
    assert (row.status, row.ip) == (200, "127.0.0.2")


@pytest.mark.parametrize("default", [0.05, 4.0])
def test_limits_are_ours_whatever_the_program_set_for_its_sockets(default):
    """socket.setdefaulttimeout() neither shortens nor lengthens the connect timeout."""
    before = socket.getdefaulttimeout()
    with deaf_address() as (host, port):
        socket.setdefaulttimeout(default)
        try:
            with within(0.6, 0.25):
                row = ask_one(f"http://{host}:{port}/", connect_timeout=0.3)
        finally:
            socket.setdefaulttimeout(before)
    assert row.outcome is Outcome.CONNECT_TIMEOUT


@needs_ipv6
def test_a_dead_address_family_costs_a_fraction_of_a_second():
    """A dual-stack name whose IPv6 is deaf is reached by IPv4."""
    with deaf_address("::1") as (_, port), Server(answer(200), port=port) as server, within(0.6):
        hosts = {"a.test": ["::1", "127.0.0.1"]}
        row = ask_one(server.url(host="a.test"), hosts=hosts, connect_timeout=2.0)
    assert (row.status, row.ip) == (200, "127.0.0.1")


def test_refused_addresses_are_passed_over_at_once():
    """Addresses on which nothing listens cost nothing where a later one answers."""
    with Server(answer(200), address="127.0.0.9") as server, within(0.3):
        ips = [f"127.0.0.{number}" for number in range(3, 10)]
        row = ask_one(server.url(host="a.test"), hosts={"a.test": ips})
    assert (row.status, row.ip) == (200, "127.0.0.9")


def test_a_refusal_is_told_as_one():
    """A port on which nothing listens is connect_refused, at once."""
    with closed_port() as (host, port), within(0.3):
        row = ask_one(f"http://{host}:{port}/")
    assert (row.status, row.outcome) == (None, Outcome.CONNECT_REFUSED)
    assert "nothing listens" in row.error


@needs_ipv6
@pytest.mark.parametrize("ips", [["127.0.0.1", "2001:db8::1"], ["2001:db8::1", "127.0.0.1"]])
def test_no_way_by_ipv6_does_not_hide_what_ipv4_met(ips):
    """A host refused over IPv4 is refused, though its IPv6 address has no route here."""
    with closed_port() as (_, port):
        row = ask_one(f"http://a.test:{port}/", hosts={"a.test": ips}, connect_timeout=0.5)
    assert row.outcome in (Outcome.CONNECT_REFUSED, Outcome.CONNECT_TIMEOUT)  # the latter where IPv6 has a way out


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
@pytest.mark.parametrize("refused_first", [True, False])
def test_the_more_telling_failure_is_kept(code, refused_first):
    """Whatever the order, that there is no way says less than a refusal."""
    pair = [OSError(errno.ECONNREFUSED, ""), OSError(code, "")]
    kept = dial._more_telling(*(pair if refused_first else pair[::-1]))
    assert kept is not None
    assert kept.errno == errno.ECONNREFUSED


def test_a_machine_without_ipv6_has_no_want_of_ports(monkeypatch):
    """No address of our own, or no such family, for an IPv6 host: connect_error, never local_error."""
    for code in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        def refuse(*_: object, code: int = code) -> None:
            raise OSError(code, "no")

        monkeypatch.setattr(dial.socket.socket, "connect", refuse)
        row = ask_one("http://[2001:db8::1]/")
        assert row.outcome is Outcome.CONNECT_ERROR


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, NO_PORT, 10055, 10048])
def test_exhaustion_is_found_anywhere_in_a_chain(code):
    """Our own limits are seen inside other exceptions, by number."""
    error = ConnectFailed("x")
    error.__cause__ = OSError("y")
    error.__cause__.__context__ = OSError(code, "z")
    assert is_exhaustion(error)
    assert not is_exhaustion(ConnectFailed("x"))


def test_ipv6_is_asked_in_brackets():
    """A literal IPv6 address is connected to, and goes into Host with its brackets."""
    with Server(answer(200), address="::1") as server:
        row = ask_one(server.url())
        assert server.log[0].header("Host") == f"[::1]:{server.port}"
    assert (row.status, row.ip) == (200, "::1")


def test_a_deadline_is_over_within_a_tick_of_it(monkeypatch):
    """Where the clock stands still for 16 ms, the end of a wait at its deadline is not taken for silence."""
    monkeypatch.setattr("status_probe.limits.TICK_SECONDS", 1 / 64)
    assert Limits(5.0, 5.0, 5.0, time.monotonic() + 0.01, Phase()).are_over
    assert not Limits(5.0, 5.0, 5.0, time.monotonic() + 5.0, Phase()).are_over


def test_long_waits_are_kept_by_the_socket_module(monkeypatch):
    """Linux ends those of its own late; the limits hold as ever, and a connection is used again."""
    for room in ("connection", "dial"):
        monkeypatch.setattr(f"status_probe.{room}.LONGEST_SYSTEM_WAIT", 0.05)
    with Server({"/ok": answer(200), "/stuck": hang()}) as server, deaf_address() as (address, port), within(1.5):
        dead = f"http://{address}:{port}/"
        oks = [server.url("/ok")] * 4
        rows = ask(*oks, server.url("/stuck"), dead, connect_timeout=0.3, read_timeout=0.3)
        assert server.connections < len(oks)
    assert [row.status for row in rows] == [200] * 4 + [None] * 2
    assert [row.outcome for row in rows[4:]] == [Outcome.READ_TIMEOUT, Outcome.CONNECT_TIMEOUT]
    assert all(300 <= row.elapsed_ms < 400 for row in rows[4:])


@pytest.mark.skipif(not SYSTEM_WAITS, reason="sockets keep their own time here")
def test_a_connection_that_was_watched_waits_as_before():
    """After it had to be quiet it is again one system call a read, within the limits, and misses nothing."""
    ours, theirs = socket.socketpair()
    limits = Limits(5.0, 0.05, 5.0, time.monotonic() + 5.0, Phase())
    with theirs:
        connection = Connection(ours, "127.0.0.1")
        assert connection.listen(0.02) is None
        assert ours.gettimeout() is None
        theirs.sendall(b"an answer")
        assert connection.receive(limits) == b"an answer"
        with within(1.0), pytest.raises(ReadTimedOut):
            connection.receive(limits)
        theirs.sendall(b"stray")
        assert connection.listen(0.02) == b"stray"
        assert connection.listen(0.0) is None
        connection.close()
