"""A host that does not even answer connection attempts is left alone for a while."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from status_probe import unreachable
from status_probe.library import probe_urls
from status_probe.records import Outcome
from status_probe.unreachable import ATTEMPTS, PATIENCE, LeftAlone, Unreachable
from tests.asking import ask, within
from tests.server import Server, answer, closed_port, deaf_address, hang


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hosts(clock: Clock) -> Unreachable:
    return Unreachable(clock)


def time_out(hosts: Unreachable, clock: Clock, origin: str = "a", times: int = 1) -> None:
    for _ in range(times):
        began, clock.now = clock.now, clock.now + 5
        hosts.timed_out(origin, began)


def test_three_attempts_in_a_row_are_enough(hosts, clock):
    """After the third time-out the origin is left alone, for as long as an attempt takes."""
    time_out(hosts, clock, times=2)
    assert hosts.left_alone("a", 5) is None
    time_out(hosts, clock)
    clock.now += 2
    assert hosts.left_alone("a", 5) == LeftAlone(age=2, again_in=0)
    assert hosts.left_alone("b", 5) is None


def test_one_attempt_is_let_through_at_a_time(hosts, clock):
    """When the time is over one caller tries, the others do not; its failure begins the time anew."""
    time_out(hosts, clock, times=3)
    clock.now += 5
    assert hosts.left_alone("a", 5) is None
    clock.now += 1
    assert hosts.left_alone("a", 5) == LeftAlone(age=6, again_in=0)
    hosts.timed_out("a", clock.now - 1)
    assert hosts.left_alone("a", 5) == LeftAlone(age=0, again_in=0)


def test_one_that_lived_is_worth_a_wait(hosts, clock):
    """What could be connected to before is waited for, so many attempts long; a refusal was no connection."""
    hosts.connected("a")
    hosts.answered("b")
    for origin in "ab":
        time_out(hosts, clock, origin, times=ATTEMPTS)
    clock.now += 1
    assert hosts.left_alone("b", 5).again_in == 0
    for _ in range(PATIENCE):
        assert hosts.left_alone("a", 50).again_in > 0
        time_out(hosts, clock)
    assert hosts.left_alone("a", 50).again_in == 0
    assert [hosts.has_lived(origin) for origin in "abc"] == [True, False, False]


def test_an_answer_forgets_all(hosts, clock):
    """A connection, or a refusal, ends it: three new time-outs are needed."""
    time_out(hosts, clock, times=3)
    hosts.answered("a")
    time_out(hosts, clock, times=2)
    assert hosts.left_alone("a", 5) is None


def test_an_outage_of_our_own_is_held_against_nobody(hosts, clock):
    """What was silent while nobody could be connected to is tried again after the first connection."""
    hosts.answered("b")
    clock.now += 1
    time_out(hosts, clock, times=3)
    assert hosts.left_alone("a", 5) is not None
    clock.now += 1
    hosts.answered("b")
    assert hosts.left_alone("a", 5) is None


def test_silence_beside_hosts_that_answer_is_held_against_the_host(hosts, clock):
    """Where others were connected to meanwhile, their next connection forgets nothing."""
    time_out(hosts, clock, times=2)
    hosts.answered("b")
    time_out(hosts, clock)
    clock.now += 1
    hosts.answered("b")
    assert hosts.left_alone("a", 5) == LeftAlone(age=1, again_in=0)


def test_memory_is_bounded(hosts, clock, monkeypatch):
    """So many origins are remembered, and the oldest is forgotten first."""
    monkeypatch.setattr(unreachable, "REMEMBERED_ORIGINS", 2)
    for origin in "abc":
        hosts.connected(origin)
        time_out(hosts, clock, origin, times=3)
    assert [hosts.has_lived(origin) for origin in "abc"] == [False, True, True]
    assert hosts.left_alone("a", 50) is None
    assert hosts.left_alone("c", 50)


def test_a_list_on_a_dead_host_ends_soon():
    """Two hundred URLs on a deaf host, two attempts each, end in a few connect timeouts with plain words."""
    with deaf_address() as (host, port), within(4.0):
        urls = [f"http://{host}:{port}/{number}" for number in range(200)]
        rows = list(probe_urls(urls, connect_timeout=0.4, retry_wait=0.1, proxy=""))
    assert {row.outcome for row in rows} == {Outcome.CONNECT_TIMEOUT}
    assert len(rows) == 200
    assert sum("did not answer 3 attempts in a row, the last 0 s ago" in row.error for row in rows) > 150


@pytest.mark.parametrize("limit", ["connect_timeout", "max_time"])
@pytest.mark.parametrize("silence", [{"on_connect": hang()}, None], ids=["TLS", "TCP"])
def test_whatever_runs_out_a_silent_host_is_left_alone(limit, silence):
    """One that accepts connections and stays silent in the TLS handshake is as dead, and so where max_time ends it."""
    with contextlib.ExitStack() as stack:
        if silence:
            base = stack.enter_context(Server({}, **silence)).url("", scheme="https")
        else:
            base = "https://{}:{}".format(*stack.enter_context(deaf_address()))
        urls = [f"{base}/{number}" for number in range(5)]
        with within(1.5):
            rows = ask(*urls, **{"connect_timeout": 5.0, limit: 0.3})
    assert ["not tried" in row.error for row in rows] == [False] * 3 + [True] * 2
    assert rows[0].ip == ("127.0.0.1" if silence else "")


def test_only_the_silent_port_is_left_alone():
    """Another port of the same address is asked as usual."""
    with deaf_address() as (host, port), Server(answer(200)) as server:
        urls = [f"http://{host}:{port}/{number}" for number in range(4)]
        rows = ask(*urls, server.url(), connect_timeout=0.2)
    assert [row.status for row in rows] == [None] * 4 + [200]
    assert "not tried" in rows[3].error


@contextlib.contextmanager
def refusing(address: str, port: int) -> Iterator[None]:
    """Leave the port closed."""
    yield


@pytest.mark.parametrize(("absence", "retry_wait"), [(deaf_address, 0.05), (refusing, 1.2)], ids=["silent", "refusing"])
def test_a_host_that_lived_is_waited_for(absence, retry_wait):
    """Of forty URLs on a host that answered, then was away for a while, each gets its answer when it is back."""
    is_away = threading.Event()

    def urls() -> Iterator[str]:
        yield f"http://127.0.0.1:{port}/first"
        assert is_away.wait(5)
        yield from (f"http://127.0.0.1:{port}/{number}" for number in range(40))

    times = {"connect_timeout": 0.5, "retry_wait": retry_wait}
    with contextlib.ExitStack() as stack:
        with Server(answer(204)) as server:
            port = server.port
            rows = stack.enter_context(contextlib.closing(probe_urls(urls(), **times, proxy="")))
            assert next(rows).status == 204
        with absence("127.0.0.1", port):
            is_away.set()
            time.sleep(0.75)  # so long it is away
        with Server(answer(204), port=port):
            assert [row.status for row in rows] == [204] * 40


def test_a_port_that_never_answered_is_not_waited_for():
    """A refusal by a host that was never connected to is final at once."""
    with closed_port() as (host, port), within(0.4):
        [row] = probe_urls([f"http://{host}:{port}/"], retry_wait=0.5, proxy="")
    assert (row.outcome, row.attempts) == (Outcome.CONNECT_REFUSED, 1)
