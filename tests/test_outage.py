"""Laws of outage: while our own network may be down nobody is asked, and hosts that lived are tried."""

from __future__ import annotations

import threading

from status_probe.hostqueue import HostQueue
from status_probe.netwatch import MANY, NetworkWatch
from status_probe.options import Options
from status_probe.outage import Outage
from status_probe.records import Attempt, Outcome, Result, Target
from status_probe.run import Run
from tests.server import Server, answer


def attempt(outcome: Outcome, status: int | None = None) -> Attempt:
    return Attempt(Result(1, "http://a/", status, outcome))


def suspect(outage: Outage) -> list[bool]:
    """Let one host answer, and then so many others be out of reach that our network is suspected."""
    outage.spoiled("alive:80", attempt(Outcome.OK, 200), 0.0)
    return [outage.spoiled(f"dead{n}:80", attempt(Outcome.CONNECT_TIMEOUT), 0.0) for n in range(MANY)]


def make_outage(reach: object) -> tuple[Outage, HostQueue[Target]]:
    queue: HostQueue[Target] = HostQueue(host_of=lambda target: target.url)
    clock = iter(range(10_000))
    return Outage(NetworkWatch(0.01, lambda: float(next(clock))), queue, reach), queue  # type: ignore[arg-type]


def test_what_an_outage_spoiled_is_asked_again() -> None:
    """Failures that raise the suspicion, and those of while it lasts, are to be made again."""
    outage, _ = make_outage(lambda _: True)
    assert all(suspect(outage))
    outage.end()


def test_a_host_that_can_be_reached_ends_the_suspicion() -> None:
    """Once a host that answered earlier can be connected to, the run goes on."""
    reached = threading.Event()

    def reach(host: object) -> bool:
        reached.set()
        return host == "alive:80"

    outage, _ = make_outage(reach)
    suspect(outage)
    assert outage.suspected
    assert reached.wait(5)
    for thread in threading.enumerate():
        if thread.name == "network check":
            thread.join(5)
    assert not outage.suspected


def test_the_end_of_a_run_ends_the_check() -> None:
    """A check that waits for the end of a pause does not outlive the run."""
    queue: HostQueue[Target] = HostQueue(host_of=lambda target: target.url)
    outage = Outage(NetworkWatch(60.0), queue, lambda _: False)
    suspect(outage)
    outage.end()  # that no thread is left is checked for every test


def test_hosts_are_reached_by_name_and_port() -> None:
    """A run can tell whether a host lives without asking it anything."""
    with Server(answer(200)) as server:
        run = Run([], Options(proxy="", connect_timeout=1.0))
        with run:
            assert run._can_reach(f"127.0.0.1:{server.port}")
            assert not run._can_reach("no-such-host.invalid:80")
        assert server.targets == []
