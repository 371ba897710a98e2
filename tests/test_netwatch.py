"""Laws of NetworkWatch, in simulated runs on a fake clock: many workers, a real HostQueue, no waiting."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any, NamedTuple

import pytest

from status_probe.hostqueue import HostQueue
from status_probe.netwatch import NetworkWatch, Orders, Sign

ROUND_TRIP = 0.05
Network = Callable[[str, float], tuple[float, Sign]]  # host and time to seconds and sign


class Task(NamedTuple):
    host: str
    number: int


class Run:
    """A run of many workers over a simulated network; `rows` is what each task came to."""

    def __init__(self, network: Network, *, workers: int = 32, checks: bool = True) -> None:
        self.now = 1000.0
        self.network = network
        self.workers = workers
        self.checks = checks
        self.queue: HostQueue[Task] = HostQueue(host_of=lambda task: task.host, clock=lambda: self.now)
        self.watch = NetworkWatch(clock=lambda: self.now)
        self.rows: dict[Task, Sign] = {}
        self.asked = 0
        self.paused = 0.0
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def later(self, seconds: float, action: Callable[..., None], *args: Any) -> None:
        self.asked += 1
        heappush(self.events, (self.now + seconds, self.asked, action, args))

    def run(self, hosts: Iterable[str]) -> float:
        """Ask each host; return how long the run took."""
        began = self.now
        for number, host in enumerate(hosts):
            self.queue.put(Task(host, number))
        while self.queue.unfinished_tasks:
            assert self.asked < 1_000_000, "the run does not end"
            self.start()
            due = self.queue.next_due() if self.queue.out < self.workers else None
            if self.events and (due is None or self.events[0][0] <= due):
                self.now, _, action, args = heappop(self.events)
                action(*args)
            else:
                assert due is not None, "nothing to wait for"
                self.now = due
        return self.now - began

    def start(self) -> None:
        while self.queue.out < self.workers:
            try:
                task = self.queue.get(block=False)
            except queue.Empty:
                return
            seconds, sign = self.network(task.host, self.now)
            self.later(seconds, self.end, task, sign, self.now)

    def end(self, task: Task, sign: Sign, began: float) -> None:
        orders = self.watch.ended(task.host, sign, began)
        if orders.again:
            self.queue.defer(task, 1)
        else:
            assert task not in self.rows
            self.rows[task] = sign
        self.queue.done(task)
        self.obey(orders)

    def obey(self, orders: Orders) -> None:
        if orders.check:
            self.paused += orders.pause
        if orders.pause:
            self.queue.pause(orders.pause)
        if orders.resume:
            self.queue.resume()
        if self.checks:
            for host in orders.check:
                seconds, sign = self.network(host, self.now)
                self.later(seconds, self.checked, host, sign, self.now)

    def checked(self, host: str, sign: Sign, began: float) -> None:
        if sign is Sign.ALIVE:
            self.obey(self.watch.ended(host, sign, began))


def dead(host: str, now: float) -> tuple[float, Sign]:
    return 5.0, Sign.UNREACHED


def live(host: str, now: float) -> tuple[float, Sign]:
    return ROUND_TRIP, Sign.ALIVE


def by_name(host: str, now: float) -> tuple[float, Sign]:
    return dead(host, now) if host.startswith("dead") else live(host, now)


def by_name_at_once(host: str, now: float) -> tuple[float, Sign]:
    return (0.01, Sign.UNREACHED) if host.startswith("dead") else live(host, now)


def outage(start: float, end: float, timeout: float) -> Network:
    """All hosts live, but what is under way between *start* and *end* fails after *timeout* seconds."""

    def network(host: str, now: float) -> tuple[float, Sign]:
        if now + ROUND_TRIP < start or now >= end:
            return live(host, now)
        return timeout, Sign.UNCLEAR if now + ROUND_TRIP / 2 < start else Sign.UNREACHED

    return network


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("timeout", [0.001, 0.5, 5.0])
@pytest.mark.parametrize("hosts", [20, 20_000])
def test_an_outage_spoils_no_row(timeout: float, hosts: int, checks: bool) -> None:
    """Thirty seconds without a network, failing at once or slowly: no host is called unreachable for it."""
    run = Run(outage(1005, 1035, timeout), checks=checks)
    took = run.run(f"h{number % hosts}" for number in range(20_000))
    assert [task for task, sign in run.rows.items() if sign is Sign.UNREACHED] == []
    assert len(run.rows) == 20_000
    assert 15 <= run.paused < 64
    assert took < 20_000 * ROUND_TRIP / 32 + 30 + 40


def test_a_second_outage_spoils_no_row_either() -> None:
    """Outages that follow each other are each found."""

    def network(host: str, now: float) -> tuple[float, Sign]:
        return (0.01, Sign.UNREACHED) if 1005 < now < 1015 or 1030 < now < 1040 else live(host, now)

    run = Run(network)
    run.run(f"h{number % 300}" for number in range(20_000))
    assert set(run.rows.values()) == {Sign.ALIVE}
    assert run.now > 1040


def test_a_list_of_dead_hosts_takes_no_longer_than_without_the_watch() -> None:
    """As long as nothing ever answered there is no pause and no second chance."""
    run = Run(dead)
    took = run.run(f"dead{number}" for number in range(10_000))
    assert run.paused == 0
    assert took == pytest.approx(10_000 / 32 * 5, rel=0.01)
    assert len(run.rows) == 10_000


@pytest.mark.parametrize(("network", "extra"), [(by_name, 5 * 32), (by_name_at_once, 60)])
def test_dead_hosts_after_a_live_one_cost_one_more_attempt_at_most(network: Network, extra: float) -> None:
    """Once a host answered, a tail of 10,000 dead ones is cleared by asking that host."""
    run = Run(network)
    names = [f"dead{number}" for number in range(10_000)]
    took = run.run(["live", *names])
    seconds, _ = network("dead", 0)
    assert took < 2 * 10_000 / 32 * seconds + extra
    assert run.asked < 6 * 10_000
    assert sum(sign is Sign.UNREACHED for sign in run.rows.values()) == 10_000


def test_pauses_are_bounded_when_nothing_answers_any_more() -> None:
    """A list that goes dead for good pauses ten times the longest pause in all, then ends as without the watch."""
    run = Run(outage(1001, float("inf"), 5.0))
    took = run.run(f"h{number}" for number in range(10_000))
    assert run.paused == pytest.approx(600)
    assert len(run.rows) == 10_000
    assert took < 10_000 / 32 * 5 + 600 + 200


def test_a_dead_network_among_live_hosts_pauses_nothing() -> None:
    """A dead /24 spread over a live list: the others answer, so there is no pause."""
    run = Run(by_name)
    run.run(f"dead{number}" if number % 20 == 0 else f"live{number}" for number in range(20 * 256))
    assert run.paused == 0
    assert sum(sign is Sign.UNREACHED for sign in run.rows.values()) == 256


def test_a_dead_network_in_one_piece_pauses_for_round_trips_only() -> None:
    """256 dead addresses one after the other: workers meet nothing else, but a host that answered before clears it."""
    run = Run(by_name)
    lively = [f"live{number}" for number in range(20_000)]
    block = [f"dead{number}" for number in range(256)]
    took = run.run(lively[:10_000] + block + lively[10_000:])
    assert sum(sign is Sign.UNREACHED for sign in run.rows.values()) == 256
    assert took < 20_000 * ROUND_TRIP / 32 + 2 * 256 / 32 * 5 + 20


def test_refusals_and_unknown_names_are_signs_of_life() -> None:
    """Failures of several kinds are the hosts' own: whatever came back over the network ends a suspicion."""
    watch = NetworkWatch(clock=lambda: 100.0)
    watch.ended("live", Sign.ALIVE, 99)
    for number in range(100):
        watch.ended(f"refuses{number}", Sign.ALIVE, 99.9)
        orders = watch.ended(f"dead{number}", Sign.UNREACHED, 99.9)
        assert not orders.pause
    assert not watch.down


def test_an_answer_that_was_on_its_way_ends_no_suspicion() -> None:
    """What began before the first failure says nothing of the network since; what began later does."""
    watch = NetworkWatch(clock=lambda: 100.0)
    watch.ended("live", Sign.ALIVE, 99)
    for number in range(7):
        watch.ended(f"h{number}", Sign.UNREACHED, 99.9)
        assert not watch.ended(f"slow{number}", Sign.ALIVE, 99.8).resume
    assert watch.ended("h7", Sign.UNREACHED, 99.9).pause
    assert not watch.ended("slow", Sign.ALIVE, 99.8).resume
    assert watch.down
    assert watch.ended("slow", Sign.ALIVE, 99.95).resume


def test_what_broke_off_in_an_outage_is_made_again() -> None:
    """A connection that an outage cut is no fault of its host, while the outage lasts and for what began in it."""
    now = 100.0
    watch = NetworkWatch(clock=lambda: now)
    watch.ended("live", Sign.ALIVE, 99)
    assert not watch.ended("slow", Sign.UNCLEAR, 99).again
    heard = [watch.ended(f"h{number}", Sign.UNREACHED, 99.9) for number in range(8)]
    assert [orders.pause for orders in heard] == [0] * 7 + [1]
    assert heard[-1].check == ("live",)
    assert watch.ended("slow", Sign.UNCLEAR, 99).again
    now = 101.0
    assert watch.ended("live", Sign.ALIVE, 100.9).resume
    assert watch.ended("slow", Sign.UNCLEAR, 100.5).again
    assert not watch.ended("slow", Sign.UNCLEAR, 101).again


def fail(watch: NetworkWatch, names: Iterable[str], began: float) -> list[Orders]:
    return [watch.ended(name, Sign.UNREACHED, began) for name in names]


def test_a_host_has_one_second_chance_until_it_answers() -> None:
    """What began before the chance was given is part of it; an answer gives a new one."""
    watch = NetworkWatch(clock=lambda: 100.0)
    watch.ended("live", Sign.ALIVE, 99)
    assert [orders.again for orders in fail(watch, ["a", "a"], 99.9)] == [True, True]
    assert not watch.ended("a", Sign.UNREACHED, 100.1).again
    watch.ended("a", Sign.ALIVE, 100.1)
    assert watch.ended("a", Sign.UNREACHED, 100.2).again


def test_each_suspicion_makes_the_next_one_harder_and_its_pauses_start_anew() -> None:
    """Twice as many hosts in a row, up to 32; the gaps grow from a second again."""
    now = 100.0
    watch = NetworkWatch(clock=lambda: now)
    watch.ended("live", Sign.ALIVE, 99)
    names = (f"h{number}" for number in range(1000))
    for many in (8, 16, 32, 32):
        pauses = [watch.ended(name, Sign.UNREACHED, now).pause for name, _ in zip(names, range(many), strict=False)]
        assert pauses == [0] * (many - 1) + [1]
        for gap in (2, 4):
            now += gap / 2
            assert watch.ended("h0", Sign.UNREACHED, now).pause == gap
        now += 100
        assert watch.ended("live", Sign.ALIVE, now).resume
