"""The thread group: each task comes out exactly once, whatever happens to it on the way."""

from __future__ import annotations

import inspect
import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from operator import attrgetter
from typing import Any

import pytest

from status_probe.failures import RetryPolicy
from status_probe.hostqueue import HostQueue
from status_probe.netwatch import NetworkWatch
from status_probe.outage import Outage
from status_probe.records import Asking, Attempt, Outcome, Phase, Result, Target
from status_probe.resultqueue import ResultQueue
from status_probe.urls import Url
from status_probe.workers import Finished, Task, ThreadLost, Workers

LIMIT = 10.0  # seconds


def attempt(target: Target, number: int, status: int | None = 200, retry_after: str = "") -> Attempt:
    """Return what a server might have said; no status is a time-out."""
    outcome = Outcome.CONNECT_TIMEOUT if status is None else Outcome.OK if status < 400 else Outcome.SERVER_ERROR
    passing = status is None or status in (429, 503)
    return Attempt(Result(target.row, target.url, status, outcome, attempts=number), passing, retry_after)


def tasks(count: int, hosts: int = 7) -> list[Task]:
    return [Task(Target(n, n + 1, f"http://h{n % hosts}/{n}"), f"h{n % hosts}") for n in range(count)]


def in_one_go(probe: Callable[[Target, int], Attempt]) -> Callable[[Target, Url | None, int, Phase], Asking]:
    """Return an Asking of one request."""

    def asking(target: Target, url: Url | None, number: int, phase: Phase) -> Asking:
        phase.name = f"asking {target.number}"
        yield from ()
        return probe(target, number)

    return asking


class Group:
    """Workers over *probe*, started and joined by ``with``."""

    def __init__(self, probe: Callable[[Target, int], Any], given: Iterable[Any], **keywords: Any) -> None:
        self.queue: HostQueue[Task] = HostQueue(0, host_of=attrgetter("host"), longest_gap=0.01)
        asking = probe if inspect.isgeneratorfunction(probe) else in_one_go(probe)
        policy = RetryPolicy(keywords.pop("retries", 1), 0.001, keywords.pop("longest", 0.01))
        if "longest_pause" in keywords:
            watch = NetworkWatch(keywords.pop("longest_pause"))
            keywords["outage"] = Outage(watch, self.queue, keywords.pop("reach"))
        self.workers = Workers(asking, self.queue, count=keywords.pop("count", 8), retries=policy, **keywords)
        self._given = given

    def __enter__(self) -> Group:  # noqa: PYI034 - Self is 3.11's
        self.workers.start(self._given)
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.stop()
        assert self.workers.join(LIMIT)

    def take_all(self) -> list[Finished]:
        """Return everything until the end is told."""
        return take_all(self.workers.results)


def take_all(results: ResultQueue[Finished]) -> list[Finished]:
    taken: list[Finished] = []
    limit = time.monotonic() + LIMIT
    while not results.ended:
        taken += results.take(0.2)
        assert time.monotonic() < limit
    return taken


def numbers(finished: Iterable[Finished]) -> list[int]:
    return sorted(each.target.number for each in finished)


def test_each_task_gives_one_row() -> None:
    """Of 2,000 tasks, some tried again and some finished before, each comes out once."""

    def probe(target: Target, number: int) -> Attempt:
        return attempt(target, number, 503 if target.number % 5 == 0 and number < 3 else 200)

    given: list[Task | Finished] = [*tasks(2000)]
    for place in range(0, 2000, 10):
        task = given[place + 3]
        assert isinstance(task, Task)
        given[place + 3] = Finished(task.target, attempt(task.target, 1).result)
    with Group(probe, given, retries=2) as group:
        finished = group.take_all()
    assert numbers(finished) == list(range(2000))
    assert {each.result.attempts for each in finished if each.target.number % 5 == 0} == {3}
    assert {each.result.status for each in finished} == {200}


def test_the_last_answer_is_the_row() -> None:
    """With no retries left the failure itself comes out."""
    with Group(lambda target, number: attempt(target, number, None), tasks(3), retries=2) as group:
        assert [each.result.attempts for each in group.take_all()] == [3, 3, 3]


class Shaky:
    """Stands where the Outage does: puts tasks back at random, and counts how often."""

    def __init__(self) -> None:
        self.put_back = 0
        self._random = random.Random(5)
        self._lock = threading.Lock()

    def spoiled(self, host: Any, attempt: Attempt, began: float) -> bool:  # noqa: ARG002
        with self._lock:
            again = self._random.random() < 0.3
            self.put_back += again
        return again

    def end(self) -> None:
        pass


@pytest.fixture(autouse=True)
def spoiled_tasks_come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("status_probe.workers.SPOILED_SECONDS", 0.001)


def test_what_is_put_back_is_neither_lost_nor_doubled() -> None:
    """Attempts that our own network spoiled do not count, and their tasks come out once."""
    asked: Counter[int] = Counter()
    lock = threading.Lock()

    def probe(target: Target, number: int) -> Attempt:
        with lock:
            asked[target.number] += 1
        return attempt(target, number)

    outage = Shaky()
    with Group(probe, tasks(1000), outage=outage) as group:
        finished = group.take_all()
    assert numbers(finished) == list(range(1000))
    assert {each.result.attempts for each in finished} == {1}
    assert sum(asked.values()) == 1000 + outage.put_back
    assert outage.put_back > 100


@pytest.mark.parametrize("seed", range(5))
def test_a_stop_at_any_moment_doubles_nothing(seed: int) -> None:
    """After stop() what was done comes out once, nothing new is begun, and all threads end."""
    begun = itertools.count()
    stopped_at = random.Random(seed).randrange(1, 400)
    reached = threading.Event()

    def probe(target: Target, number: int) -> Attempt:
        if next(begun) == stopped_at:
            reached.set()
        return attempt(target, number, 503 if target.number % 3 == 0 and number == 1 else 200)

    with Group(probe, tasks(400), outage=Shaky()) as group:
        assert reached.wait(LIMIT)
        group.workers.stop()
        finished = group.take_all()
        assert group.workers.join(LIMIT)
        count = next(begun)
    assert len(numbers(finished)) == len(set(numbers(finished)))
    assert next(begun) == count + 1


@pytest.mark.parametrize("finished", [False, True])
def test_a_stop_ends_who_waits_for_the_writer(finished: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers, and a feeder of rows of an earlier run, however many there are."""
    monkeypatch.setattr("status_probe.workers.MAX_RESULTS", 10)

    def given() -> Iterable[Task | Finished]:
        while True:
            for task in tasks(100):
                yield Finished(task.target, attempt(task.target, 1).result) if finished else task

    with Group(attempt, given(), count=4) as group:
        limit = time.monotonic() + LIMIT
        while group.workers.results.qsize() < 10:
            assert time.monotonic() < limit
            time.sleep(0.001)
        group.workers.stop()
        assert group.workers.join(LIMIT)


def test_a_stop_while_the_list_is_slow_is_no_loss_of_threads() -> None:
    """The workers may end before the feeder, who waits for a line."""
    come, go = threading.Event(), threading.Event()

    def given() -> Iterable[Task]:
        come.set()
        assert go.wait(LIMIT)
        yield from tasks(1)

    with Group(attempt, given(), count=2) as group:
        assert come.wait(LIMIT)
        group.workers.stop()
        for thread in group.workers._threads[1:]:
            thread.join(LIMIT)
        group.workers.check()
        go.set()


def test_what_was_to_be_tried_again_has_no_row_after_a_stop(caplog: pytest.LogCaptureFixture) -> None:
    """The line is asked again when the run is gone on with."""
    began, go = threading.Event(), threading.Event()

    def probe(target: Target, number: int) -> Attempt:
        began.set()
        assert go.wait(LIMIT)
        return attempt(target, number, 503)

    with Group(probe, tasks(1)) as group:
        assert began.wait(LIMIT)
        group.workers.stop()
        go.set()
        assert group.take_all() == []
    assert caplog.text == ""


def test_an_outage_is_waited_out() -> None:
    """While nothing can be reached the run pauses; what failed meanwhile is asked again and counts once."""
    tried = itertools.count()

    def reach(host: Hashable) -> bool:
        return not 40 <= next(tried) < 54

    def probe(target: Target, number: int) -> Attempt:
        return attempt(target, number, 200 if reach(target.url) else None)

    with Group(probe, tasks(200, hosts=50), longest_pause=0.03, reach=reach, retries=0, count=1) as group:
        finished = group.take_all()
    assert numbers(finished) == list(range(200))
    assert {each.result.status for each in finished} == {200}
    assert {each.result.attempts for each in finished} == {1}
    assert 200 + 14 <= next(tried) <= 200 + 14 + 1  # the last is of the host that showed that the outage was over


def test_a_host_that_asks_for_time_is_held_back() -> None:
    """Retry-After delays all tasks of its host, cut to the longest wait, and no other host's."""
    asked: list[tuple[str, float]] = []

    def probe(target: Target, number: int) -> Attempt:
        asked.append((target.url, time.monotonic()))
        return attempt(target, number, 429 if target.number == 0 and number == 1 else 200, "3600")

    with Group(probe, tasks(6, hosts=2), count=1, longest=0.3) as group:
        group.take_all()
    first = asked[0][1]
    others = {url: moment - first for url, moment in asked[1:]}
    assert {url for url, seconds in others.items() if seconds > 0.29} == {"http://h0/0", "http://h0/2", "http://h0/4"}


@pytest.mark.parametrize(
    ("complaint", "later", "most"), [(429, 429, 1), (503, None, 1), (429, 200, 2), (503, "far", 2)]
)
def test_a_host_that_complains_is_slowed_down_until_it_answers(complaint: int, later: Any, most: int) -> None:
    """It is asked for one row at a time; a time-out changes nothing, an answer does, and so does a redirect."""
    begun = itertools.count()
    at_once: list[set[int]] = [set()]
    lock = threading.Lock()

    def asking(target: Target, url: Url | None, number: int, phase: Phase) -> Asking:
        place = next(begun)
        with lock:
            at_once.append(at_once[-1] | {place})
        time.sleep(0.003)
        with lock:
            at_once.append(at_once[-1] - {place})
        if place < 12:
            return attempt(target, number, complaint)
        if later == "far":
            yield f"far{place}"
        return attempt(target, number, 200 if later == "far" else later)

    with Group(asking, tasks(30, hosts=1), retries=0) as group:
        group.take_all()
    slow = [places for places in at_once if places and min(places) >= 12]
    assert max(map(len, slow)) == most


def test_what_was_not_tried_comes_again_and_does_not_count() -> None:
    """Its host is left alone for so long as was said; where another one led there, that is its end."""
    asked: list[tuple[str, int, float]] = []

    def asking(target: Target, url: Url | None, number: int, phase: Phase) -> Asking:
        asked.append((target.url, number, time.monotonic()))
        if target.number == 1:
            yield "h0"
        seconds = 0.1 if target.number < 2 and len([each for each in asked if each[0] == target.url]) == 1 else 0.0
        return attempt(target, number)._replace(again_in=seconds)

    with Group(asking, tasks(9, hosts=3), count=1, retries=0) as group:
        finished = group.take_all()
    assert numbers(finished) == list(range(9))
    assert {each.result.attempts for each in finished} == {1}
    assert [url for url, *_ in asked].count("http://h0/0") == 2
    assert [url for url, *_ in asked].count("http://h1/1") == 1
    _, *later = [moment for url, _, moment in asked if url.startswith("http://h0")]
    assert min(later) - asked[0][2] > 0.09


def test_a_task_moves_with_its_host() -> None:
    """What is begun goes on at the hosts it names, within their limits, and comes out once."""
    at_once: Counter[str] = Counter()
    most: Counter[str] = Counter()
    lock = threading.Lock()

    def visit(host: str) -> None:
        with lock:
            at_once[host] += 1
            most[host] = max(most[host], at_once[host])
        time.sleep(0.0005)
        with lock:
            at_once[host] -= 1

    def asking(target: Target, url: Url | None, number: int, phase: Phase) -> Asking:
        visit(f"h{target.number % 7}")
        for hop in range(target.number % 4):
            host = f"h{(target.number + hop) % 7}"
            yield host
            visit(host)
        return attempt(target, number, 503 if target.number % 5 == 0 and number == 1 else 200)

    with Group(asking, tasks(700)) as group:
        finished = group.take_all()
    assert numbers(finished) == list(range(700))
    assert {each.result.attempts for each in finished if each.target.number % 5 == 0} == {2}
    assert set(at_once.values()) == {0}
    assert max(most.values()) <= 4


def test_a_list_that_breaks_off_is_told_behind_its_rows() -> None:
    """What the feeder met is kept as the fault, once all that was read has come out."""

    def given() -> Iterable[Task]:
        yield from tasks(5)
        raise OSError("gone")

    with Group(attempt, given()) as group:
        assert numbers(group.take_all()) == list(range(5))
    assert isinstance(group.workers.fault, OSError)


def test_a_slow_writer_slows_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more results wait than may; the rest comes when there is room."""
    monkeypatch.setattr("status_probe.workers.MAX_RESULTS", 10)
    with Group(attempt, tasks(300), count=4) as group:
        results = group.workers.results
        limit = time.monotonic() + LIMIT
        while results.qsize() < 10:
            assert time.monotonic() < limit
            time.sleep(0.001)
        assert results.qsize() <= 10 + 4 + 1
        taken = take_all(results)
    assert numbers(taken) == list(range(300))


def test_what_is_asked_is_known_with_its_phase_and_age() -> None:
    """The oldest of what is in flight comes first."""
    go = threading.Event()
    began = threading.Barrier(3)

    def probe(target: Target, number: int) -> Attempt:
        began.wait(LIMIT)
        go.wait(LIMIT)
        return attempt(target, number)

    with Group(probe, tasks(2), count=2) as group:
        began.wait(LIMIT)
        asked = group.workers.in_flight()
        assert sorted(each.target.number for each in asked) == [0, 1]
        assert all(each.phase == f"asking {each.target.number}" for each in asked)
        assert asked[0].seconds >= asked[1].seconds >= 0
        go.set()
        group.take_all()
        assert group.workers.in_flight() == []


def test_fewer_threads_than_wanted_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine starts no more threads the run goes on with those there are; without any it says so."""
    started = itertools.count()
    start = threading.Thread.start

    def scarce(thread: threading.Thread) -> None:
        if next(started) >= allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    allowed = 3
    with Group(attempt, tasks(50)) as group:
        assert numbers(group.take_all()) == list(range(50))
    allowed = next(started) + 2
    group = Group(attempt, tasks(5))
    with pytest.raises(RuntimeError, match="no more threads"):
        group.workers.start(tasks(5))
    assert group.workers.join(LIMIT)


def test_a_fault_of_the_probe_is_a_row_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is raised on a worker, each task has its row, the workers live on, and the run ends."""

    def probe(target: Target, number: int) -> Attempt:
        if target.number % 3 == 0:
            raise KeyError("a bug")
        return attempt(target, number)

    with Group(probe, tasks(30), count=2) as group:
        finished = group.take_all()
    assert numbers(finished) == list(range(30))
    outcomes = {each.result.outcome for each in finished if each.target.number % 3 == 0}
    assert outcomes == {Outcome.INTERNAL_ERROR}
    assert "a bug" in caplog.text


def test_where_memory_is_short_a_row_says_so() -> None:
    """What a task could not even be begun with is this machine's limit, and the run goes on."""
    calls = itertools.count()

    def begin(target: Target, url: Url | None, number: int, phase: Phase) -> Asking:
        if next(calls) == 5:
            raise MemoryError
        return in_one_go(attempt)(target, url, number, phase)

    group = Group(attempt, tasks(30), count=2)
    group.workers._probe = begin
    with group:
        finished = group.take_all()
    assert Counter(each.result.outcome for each in finished) == {Outcome.OK: 29, Outcome.LOCAL_ERROR: 1}


def test_a_thread_that_ends_early_is_noticed() -> None:
    """Its task would be waited for without end."""

    def probe(target: Target, number: int) -> Attempt:
        if target.number == 7:
            raise SystemExit  # as good as what a thread dies of without memory
        return attempt(target, number)

    with Group(probe, tasks(30), count=2) as group:
        assert len(group.take_all()) == 29
        with pytest.raises(ThreadLost):
            group.workers.check()


def test_workers_begin_while_more_is_fed() -> None:
    """The first tasks are asked at once, however long the feeder may hold the interpreter's lock."""
    fed, asked = [0], []

    def given() -> Iterable[Task]:
        for fed[0], task in enumerate(tasks(3000, hosts=3000)):
            yield task

    def probe(target: Target, number: int) -> Attempt:
        asked.append(fed[0])
        return attempt(target, number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(LIMIT)
    try:
        with Group(probe, given(), count=64) as group:
            assert len(group.take_all()) == 3000
    finally:
        sys.setswitchinterval(interval)
    assert asked[0] < 300
