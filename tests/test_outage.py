"""Laws of outage: while our own network may be down nobody is asked, and hosts that lived are tried."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from math import inf

import pytest

from status_probe.hostqueue import HostQueue
from status_probe.netwatch import MANY, NetworkWatch
from status_probe.options import Options
from status_probe.outage import Outage
from status_probe.records import Attempt, Outcome, Result, Target
from status_probe.run import Run
from tests.server import Server, answer, closed_port


def attempt(outcome: Outcome, status: int | None = None) -> Attempt:
    return Attempt(Result(1, "http://a/", status, outcome))


def suspect(
    outage: Outage, outcome: Outcome = Outcome.CONNECT_TIMEOUT, status: int | None = None
) -> list[bool]:
    """Let one host answer, and then so many others be out of reach that our network is suspected."""
    outage.spoiled("alive:80", attempt(Outcome.OK, 200), 0.0)
    return [outage.spoiled(f"dead{n}:80", attempt(outcome, status), 0.0) for n in range(MANY)]


def make_outage(
    reach: Callable[[Hashable], bool], queue: HostQueue[Target] | None = None, *, longest: float = 0.01
) -> Outage:
    """Return one whose clock goes on by a millisecond each time it is looked at."""
    clock = itertools.count(0.0, 0.001)
    watch = NetworkWatch(longest, lambda: next(clock))
    return Outage(watch, queue or HostQueue(host_of=lambda target: target.url), reach)


def end_of_check() -> None:
    """Wait for the thread that tries hosts."""
    for thread in threading.enumerate():
        if thread.name == "network check":
            thread.join(5)


@pytest.mark.parametrize("outcome", [Outcome.CONNECT_TIMEOUT, Outcome.CONNECT_ERROR])
def test_what_an_outage_spoiled_is_asked_again(outcome: Outcome) -> None:
    """Failures that raise the suspicion, and those of while it lasts, are to be made again."""
    outage = make_outage(lambda _: True)
    assert all(suspect(outage, outcome))
    outage.end()


@pytest.mark.parametrize("outcome", [
    Outcome.DNS_ERROR, Outcome.READ_TIMEOUT, Outcome.DEADLINE_EXCEEDED, Outcome.CONNECTION_LOST, Outcome.LOCAL_ERROR,
    Outcome.INVALID_URL, Outcome.BLOCKED_ADDRESS, Outcome.INTERNAL_ERROR,
])  # fmt: skip
def test_what_came_from_nowhere_is_no_sign_of_life(outcome: Outcome) -> None:
    """A name may be remembered as unknown, a connection be one from before: neither keeps a suspicion off nor ends it.

    So it is with what this machine met by itself.
    """
    outage = make_outage(lambda _: False, longest=60.0)
    outage.spoiled("alive:80", attempt(Outcome.OK, 200), 0.0)
    for number in range(MANY):
        outage.spoiled("gone:80", attempt(outcome), 0.0)
        outage.spoiled(f"dead{number}:80", attempt(Outcome.CONNECT_TIMEOUT), 0.0)
    assert outage.suspected
    assert outage.spoiled("gone:80", attempt(outcome), 0.0)
    assert outage.suspected
    outage.end()
    end_of_check()


def test_a_redirect_to_where_nobody_answers_is_no_sign_of_life() -> None:
    """Its status is of the hop before, another host's: the one that it led to is neither alive nor to be tried."""
    tried: list[Hashable] = []

    def reach(host: Hashable) -> bool:
        tried.append(host)
        return True

    outage = make_outage(reach)
    assert all(suspect(outage, status=302))
    end_of_check()
    assert tried == ["alive:80"]
    assert not outage.suspected


def test_a_host_that_can_be_reached_ends_the_suspicion() -> None:
    """Once a host that answered earlier can be connected to, the run goes on."""
    is_back = threading.Event()
    outage = make_outage(lambda host: is_back.wait(5) and host == "alive:80")
    suspect(outage)
    assert outage.suspected
    is_back.set()
    end_of_check()
    assert not outage.suspected


def test_hosts_are_tried_until_one_can_be_reached() -> None:
    """A worker that meets the outage while they are tried, and so begins the next pause, does not end that."""
    tried: list[Hashable] = []

    def reach(host: Hashable) -> bool:
        tried.append(host)
        outage.spoiled("dead0:80", attempt(Outcome.CONNECT_TIMEOUT), 0.0)
        return len(tried) == 3

    outage = make_outage(reach)
    suspect(outage)
    end_of_check()
    assert len(tried) == 3
    assert not outage.suspected


def test_an_answer_beside_the_suspicion_leaves_no_pause() -> None:
    """What answers after a pause was decided, and before the queue is paused, ends it all the same."""

    class SlowToPause(HostQueue[Target]):
        def pause(self, seconds: float) -> None:
            outage.spoiled("alive:80", attempt(Outcome.OK, 200), 0.0)
            super().pause(seconds)

    queue = SlowToPause(host_of=lambda target: target.url)
    queue.put(Target(0, 1, "http://a/"))
    outage = make_outage(lambda _: False, queue, longest=60.0)
    suspect(outage)
    outage.end()
    assert not outage.suspected
    assert queue.next_due() == -inf


def test_the_end_of_a_run_ends_the_check() -> None:
    """A check that waits for the end of a pause does not outlive the run."""
    outage = make_outage(lambda _: False, longest=60.0)
    suspect(outage)
    assert outage.suspected
    outage.end()  # that no thread is left is checked for every test


def test_a_check_that_cannot_begin_is_begun_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of threads no host is tried, no row is spoiled by that, and the next failure tries again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    outage = make_outage(lambda _: True)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert all(suspect(outage))
    outage.spoiled("dead0:80", attempt(Outcome.CONNECT_TIMEOUT), 0.0)
    while outage.suspected and not any(thread.name == "network check" for thread in threading.enumerate()):
        outage.spoiled("dead0:80", attempt(Outcome.CONNECT_TIMEOUT), 0.0)  # its clock goes on to the pause's end
    end_of_check()
    assert not outage.suspected


def test_hosts_are_reached_by_name_and_port() -> None:
    """A run can tell whether a host lives without asking it anything."""
    with Server(answer(200)) as server:
        run = Run([], Options(proxy="", connect_timeout=1.0))
        with run, closed_port() as (address, port):
            assert run._can_reach(f"127.0.0.1:{server.port}")
            assert run._can_reach(f"{address}:{port}")
            assert not run._can_reach("no-such-host.invalid:80")
        assert server.targets == []


def test_hosts_are_reached_where_their_proxy_is() -> None:
    """A host behind a proxy need not be in sight; a proxy that refuses is none."""
    with Server(answer(200)) as server, Run([], Options(proxy=f"http://127.0.0.1:{server.port}")) as run:
        assert run._can_reach("no-such-host.invalid:80")
    with closed_port() as (address, port), Run([], Options(proxy=f"http://{address}:{port}")) as run:
        assert not run._can_reach("no-such-host.invalid:80")
