"""Laws of HostQueue: on a fake clock where they are about time, with real threads where they are about waiting."""

from __future__ import annotations

import itertools
import queue
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from status_probe import turns
from status_probe.hostqueue import HostQueue, ShutDown
from status_probe.pace import FIRST_GAP, FORGIVEN_AFTER, Pace

LIMIT = 20.0  # seconds; no wait in these tests comes near it


class Task(NamedTuple):
    host: str
    number: int = 0


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(maxsize: int = 0, **options: Any) -> HostQueue[Task]:
    return HostQueue(maxsize, host_of=lambda task: task.host, **options)


def put(tasks: HostQueue[Task], names: str) -> None:
    """Put a task for each letter, a letter being a host."""
    for number, name in enumerate(names):
        tasks.put(Task(name, number))


def take(tasks: HostQueue[Task], most: int = 1_000_000) -> list[Task]:
    """Take what can be taken now, without doing it."""
    taken = []
    try:
        while len(taken) < most:
            taken.append(tasks.get(block=False))
    except queue.Empty:
        pass
    return taken


def hosts(taken: list[Task]) -> str:
    return "".join(task.host for task in taken)


def start(target: Callable[[], object], number: int = 1) -> list[threading.Thread]:
    threads = [threading.Thread(target=target, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    limit = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0.0, limit - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"


def until(condition: Callable[[], bool]) -> None:
    """Wait for other threads to come so far."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.0005)


class Feeding:
    """A thread that feeds *listed* to *tasks* until it is stopped, and how much of it was read."""

    def __init__(self, tasks: HostQueue[Task], listed: Iterator[Task]) -> None:
        self.read = 0
        self._tasks = tasks
        self._listed = listed
        self._threads = start(self._feed)

    def stop(self) -> None:
        self._tasks.shutdown(immediate=True)
        join(self._threads)

    def _feed(self) -> None:
        with pytest.raises(ShutDown):
            self._tasks.feed(self._counted())

    def _counted(self) -> Iterator[Task]:
        for task in self._listed:
            self.read += 1
            yield task


def waiting(tasks: HostQueue[Task]) -> int:
    with tasks.mutex:
        return tasks._waiting


@pytest.fixture
def tiny_switch_interval() -> Iterator[None]:
    """Let threads be interrupted everywhere."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


# Hosts in turn


def test_hosts_are_served_in_turn(clock: Clock) -> None:
    """Each host has its turn, whatever the order in the list; within a host the list's order stays."""
    tasks = make(clock=clock)
    put(tasks, "aaabbc")
    taken = take(tasks)
    assert hosts(taken) == "abcaba"
    assert [task.number for task in taken if task.host == "a"] == [0, 1, 2]


def test_no_more_than_per_host_are_out_at_once(clock: Clock) -> None:
    """A host whose every task hangs holds per_host workers, and done() lets its next one go."""
    tasks = make(per_host=2, clock=clock)
    put(tasks, "aaaab")
    taken = take(tasks)
    assert hosts(taken) == "aba"
    assert tasks.out == 3
    tasks.done(taken[0])
    assert hosts(take(tasks)) == "a"


def test_a_new_host_waits_for_no_backlog(clock: Clock) -> None:
    """A host that comes after 100,000 tasks of another one is next but one."""
    tasks = make(per_host=1000, clock=clock)
    for number in range(100_000):
        tasks.put(Task("a", number))
    put(tasks, "b")
    assert hosts(take(tasks, 3)) == "aba"


def test_delay_lies_between_two_starts_of_one_host(clock: Clock) -> None:
    """The delay counts from start to start, for each host by itself, also when the host had nothing in between."""
    tasks = make(delay=1.0, clock=clock)
    put(tasks, "aab")
    first = take(tasks)
    assert hosts(first) == "ab"
    for task in first:
        tasks.done(task)
    put(tasks, "b")
    clock.now += 0.99
    assert take(tasks) == []
    clock.now += 0.01
    assert hosts(take(tasks)) == "ab"


def test_rate_is_even_and_never_made_up_for(clock: Clock) -> None:
    """Over all hosts the starts are evenly spaced, and time without starts is not saved for a burst."""
    tasks = make(rate=10, clock=clock)
    put(tasks, "abcdefghij" * 5)

    def starts(seconds: float) -> list[int]:
        began, found = clock.now, []
        for millisecond in range(int(seconds * 1000)):
            clock.now = began + millisecond / 1000
            found += [millisecond] * len(take(tasks))
        return found

    for _ in range(2):
        gaps = [later - sooner for sooner, later in itertools.pairwise(starts(1.0))]
        assert len(gaps) == 9
        assert 99 <= min(gaps) <= max(gaps) <= 101
        clock.now += 1000


def test_a_late_start_does_not_lower_the_rate(clock: Clock) -> None:
    """Starts that are late by half an interval on average stay on the grid, with no gap below half of it."""
    tasks = make(rate=100, per_host=1000, clock=clock)
    put(tasks, "a" * 200)
    rng, times, began = random.Random(1), [], clock.now
    while len(times) < 200:
        due = tasks.next_due()
        assert due is not None
        clock.now = max(clock.now, due) + rng.uniform(0, 0.009)
        times += [clock.now] * len(take(tasks, 1))
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert min(gaps) >= 0.005 - 1e-9
    assert (len(times) - 1) / (times[-1] - began) > 90  # it would be 69


# Later


def test_a_deferred_task_comes_back_when_due(clock: Clock) -> None:
    """Not before its delay is over, and then at once if nothing else is left."""
    tasks = make(clock=clock)
    put(tasks, "a")
    (task,) = take(tasks)
    tasks.defer(task, 5)
    tasks.done(task)
    clock.now += 4.999
    assert take(tasks) == []
    assert tasks.next_due() == 1005
    clock.now = 1005
    assert take(tasks) == [task]


@pytest.mark.parametrize(("held", "deferred"), [(3, 5), (5, 3)])
def test_the_sooner_of_a_held_host_and_a_deferred_task_is_due(clock: Clock, held: float, deferred: float) -> None:
    """Else whoever minds the clock would sleep for too long."""
    tasks = make(clock=clock)
    put(tasks, "a")
    (task,) = take(tasks)
    tasks.defer(task, deferred)
    tasks.done(task)
    put(tasks, "b")
    tasks.hold("b", held)
    assert take(tasks) == []
    assert tasks.next_due() == 1003


def test_a_second_look_comes_after_the_fresh_tasks(clock: Clock) -> None:
    """What is due waits while fresh tasks can be taken, but not for fresh tasks of busy hosts."""
    tasks = make(per_host=1, clock=clock)
    put(tasks, "abccc")
    (task,) = take(tasks, 1)
    tasks.defer(task, 1)
    tasks.done(task)
    clock.now += 2
    assert hosts(take(tasks)) == "bca"


def test_many_second_looks_do_not_wait_for_the_fresh_tasks(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a number of deferred tasks they are served in turn with the fresh ones, so that they do not pile up."""
    monkeypatch.setattr(turns, "SECOND_LOOKS", 3)
    tasks = make(per_host=100, clock=clock)
    put(tasks, "abcde")
    for task in take(tasks):
        tasks.defer(task, 1)
        tasks.done(task)
    put(tasks, "zzzz")
    clock.now += 2
    assert hosts(take(tasks)) == "zabzzzcde"


def test_defer_never_blocks_on_maxsize(clock: Clock) -> None:
    """A worker must not wait for room in its own queue; what it puts back counts as held."""
    tasks = make(1, clock=clock)
    put(tasks, "a")
    (task,) = take(tasks)
    put(tasks, "b")
    tasks.defer(task, 1)
    tasks.done(task)
    assert tasks.qsize() == 2
    assert tasks.full()
    assert tasks.unfinished_tasks == 2


def test_hold_keeps_back_one_host_only(clock: Clock) -> None:
    """Retry-After: the longest of several holds counts, for hosts in line, asleep and unheard of."""
    tasks = make(clock=clock)
    put(tasks, "aab")
    tasks.hold("a", 10)
    tasks.hold("a", 5)
    tasks.hold("c", 3)
    put(tasks, "c")
    assert hosts(take(tasks)) == "b"
    assert tasks.held() == [("a", 1010, 2), ("c", 1003, 1)]
    clock.now = 1003
    assert hosts(take(tasks)) == "c"
    clock.now = 1009.9
    assert take(tasks) == []
    clock.now = 1010
    assert hosts(take(tasks)) == "aa"


def test_hold_keeps_back_deferred_tasks(clock: Clock) -> None:
    """A task deferred for less than its host is held waits for the host, and is told of."""
    tasks = make(clock=clock)
    put(tasks, "a")
    (task,) = take(tasks)
    tasks.hold("a", 60)
    tasks.defer(task, 1)
    tasks.done(task)
    assert tasks.held() == [("a", 1060, 1)]
    clock.now += 59
    assert take(tasks) == []
    clock.now += 1
    assert take(tasks) == [task]


def test_pause_keeps_back_all_until_it_ends(clock: Clock) -> None:
    """The longest of several pauses counts; resume() ends them."""
    tasks = make(clock=clock)
    put(tasks, "abc")
    tasks.pause(10)
    tasks.pause(5)
    clock.now += 9
    assert take(tasks) == []
    assert tasks.next_due() == 1010
    clock.now += 1
    assert hosts(take(tasks, 1)) == "a"
    tasks.pause(10)
    assert take(tasks) == []
    tasks.resume()
    assert hosts(take(tasks)) == "bc"


# Tasks that are begun


def test_what_is_begun_comes_first(clock: Clock) -> None:
    """The rest of a task comes before what its host holds, and before other hosts, in the order it was put."""
    tasks = make(clock=clock, per_host=1)
    put(tasks, "abbc")
    out = take(tasks, 1)
    for number in (100, 101):
        tasks.put_begun(Task("d", number))
    tasks.done(out[0])
    taken = take(tasks)
    assert hosts(taken) == "dbc"
    assert taken[0].number == 100
    tasks.put_begun(Task("b", 102))
    tasks.done(taken[1])
    assert [task.number for task in take(tasks)] == [102]
    assert tasks.qsize() == 2  # another one of d, and of b


def test_what_is_begun_keeps_the_limits_of_its_host(clock: Clock) -> None:
    """It waits for a turn, a delay, a hold and a pause like any other."""
    tasks = make(clock=clock, per_host=1, delay=5)
    put(tasks, "a")
    first = take(tasks)[0]
    tasks.put_begun(Task("a", 1))
    assert take(tasks) == []
    tasks.done(first)
    assert take(tasks) == []
    clock.now += 5
    tasks.hold("a", 2)
    assert take(tasks) == []
    clock.now += 2
    tasks.pause(2)
    assert take(tasks) == []
    tasks.resume()
    assert hosts(take(tasks)) == "a"


def test_a_task_goes_on_in_its_turn_only_where_nothing_spaces_requests(clock: Clock) -> None:
    """A delay, a rate, a pause or a complaint of the host means another turn."""
    assert make(clock=clock).may_go_on("a")
    assert not make(clock=clock, delay=1).may_go_on("a")
    assert not make(clock=clock, rate=1).may_go_on("a")
    tasks = make(clock=clock)
    tasks.slow_down("a")
    assert not tasks.may_go_on("a")
    assert tasks.may_go_on("b")
    tasks.pause(1)
    assert not tasks.may_go_on("b")


def test_join_waits_for_what_is_begun_and_an_immediate_shutdown_drops_it() -> None:
    """Its count is kept as that of a task that is put."""
    tasks = make()
    put(tasks, "a")
    first = tasks.get()
    tasks.put_begun(Task("b"))
    tasks.done(first)
    assert tasks.unfinished_tasks == 1
    tasks.shutdown(immediate=True)
    assert (tasks.unfinished_tasks, tasks.qsize()) == (0, 0)
    with pytest.raises(ShutDown):
        tasks.put_begun(Task("b"))


# Slow hosts


def test_a_pace_slows_down_from_the_second_complaint_and_recovers_by_steps() -> None:
    """One at a time and gaps that double up to the longest; then one more at once, and half the gap, till half."""
    normal = pace = Pace(4)
    gaps = []
    for _ in range(6):
        pace = pace.slower(3)
        gaps.append((pace.at_once, pace.gap))
    assert gaps == [(4, 0), (1, FIRST_GAP), (1, 1), (1, 2), (1, 3), (1, 3)]
    steps = []
    for _ in range(4):
        pace = pace.faster(normal, 3)
        steps.append((pace.at_once, pace.gap))
    assert steps == [(2, 1.5), (2, 0.75), (2, 0), (2, 0)]
    assert normal.slower(3).faster(normal, 3) is normal


def test_a_host_is_not_asked_again_as_fast_as_it_complained() -> None:
    """Each time that it complains it recovers to less, down to a short gap; it is forgiven a step now and then."""
    normal = pace = Pace(4)
    recovered = []
    for _ in range(8):
        pace = pace.slower(2).slower(2).slower(2)
        for _ in range(5):
            pace = pace.faster(normal, 3)
        recovered.append((pace.at_once, pace.gap))
    assert recovered == [(2, 0), (1, 0), (1, 1 / 64), (1, 1 / 32), (1, 1 / 16), (1, 1 / 16), (1, 1 / 16), (1, 1 / 16)]
    answers = 0
    while pace is not normal:
        pace = pace.faster(normal, 3)
        answers += 1
    assert 4 * FORGIVEN_AFTER < answers < 6 * FORGIVEN_AFTER


def test_a_host_that_recovered_and_was_forgotten_may_come_again(clock: Clock) -> None:
    """Its old self among the sleepers takes nothing of the new one along when its time comes."""
    tasks = make(clock=clock, per_host=2, longest_gap=10)

    def finish(name: str, tell: Callable[[str], None]) -> None:
        put(tasks, name)
        [task] = take(tasks)
        tell(name)
        tasks.done(task)

    finish("a", tasks.slow_down)  # it rests, and is remembered
    finish("a", tasks.recover)  # it is as it was before, and is forgotten
    put(tasks, "aaa")  # it is new
    out = take(tasks)
    clock.now += 20
    out += take(tasks)
    for task in out[:2]:
        tasks.done(task)
    out += take(tasks)
    assert hosts(out) == "aaa"
    tasks.done(out[2])
    assert tasks.unfinished_tasks == 0


def test_a_slow_pace_is_never_faster_than_the_normal_one() -> None:
    """A delay that was asked for stays the least gap, even if it is above the longest."""
    normal = Pace(2, 10)
    slow = normal.slower(5).slower(5)
    assert (slow.at_once, slow.gap) == (1, 10)
    while slow is not normal:
        slow = slow.faster(normal, 3)
        assert slow.gap == 10


def test_a_host_that_complains_again_is_asked_one_by_one(clock: Clock) -> None:
    """The first complaint changes nothing, the second makes it one task at a time with a gap between the starts."""
    tasks = make(clock=clock)
    put(tasks, "a" * 20)
    taken = take(tasks)
    tasks.slow_down("a")
    tasks.done(taken.pop())
    taken += take(tasks)
    assert len(taken) == 4
    tasks.slow_down("a")
    for task in taken:
        tasks.slow_down("a")  # these were asked before, and tell nothing new
        tasks.done(task)
    assert take(tasks) == []
    clock.now += FIRST_GAP
    (task,) = take(tasks)
    clock.now += 100
    assert take(tasks) == []
    tasks.recover("a")
    tasks.done(task)
    assert len(take(tasks)) == 2


def test_a_slow_host_recovers_by_each_normal_answer(clock: Clock) -> None:
    """Not by the first one alone: else it would be asked slowly to the end of the run."""
    tasks = make(clock=clock)
    put(tasks, "a" * 20)
    for _ in range(5):
        taken = take(tasks)
        tasks.slow_down("a")
        for task in taken:
            tasks.done(task)
        clock.now += 60
    assert not tasks.may_go_on("a")
    for _ in range(6):
        task = tasks.get(block=False)
        tasks.recover("a")
        tasks.done(task)
        clock.now += 60
    assert len(take(tasks)) == 2  # at once, without a gap


def test_what_is_out_counts_for_a_host_that_was_slowed_down(clock: Clock) -> None:
    """One at a time is one with those that were asked before, also where the host stood in line meanwhile."""
    tasks = make(clock=clock)
    put(tasks, "a" * 20)
    taken = take(tasks, 2)
    tasks.slow_down("a")
    taken += take(tasks, 1)
    tasks.slow_down("a")
    clock.now += FIRST_GAP
    for task in taken:
        assert take(tasks) == []
        tasks.done(task)
    assert len(take(tasks)) == 1


def test_other_hosts_do_not_feel_a_slow_one(clock: Clock) -> None:
    """Only the host that complains is slowed down."""
    tasks = make(clock=clock)
    put(tasks, "aabbb")
    take(tasks, 1)
    tasks.slow_down("a")
    take(tasks, 2)
    tasks.slow_down("a")
    assert hosts(take(tasks)) == "bb"


def test_a_slow_pace_outlives_the_hosts_last_task(clock: Clock) -> None:
    """A host without tasks stays slow for the longest gap, and is forgotten then."""
    tasks = make(clock=clock, longest_gap=30)
    for _ in range(2):
        put(tasks, "a")
        (task,) = take(tasks)
        tasks.slow_down("a")
        tasks.done(task)
    put(tasks, "aa")
    for _ in range(2):
        clock.now += FIRST_GAP
        (task,) = take(tasks)
        tasks.done(task)
    assert len(tasks._turns._hosts) == 1
    clock.now += 31
    assert take(tasks) == []
    assert tasks._turns._hosts == {}


# Memory


def test_hosts_that_complained_once_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who complained and was never asked again takes no memory for ever; who is slow is still known."""
    monkeypatch.setattr("status_probe.hostqueue.MANY_SLOW", 50)
    tasks = make(clock=clock)

    def complain(name: str) -> None:
        tasks.put(Task(name))
        [task] = take(tasks)
        tasks.slow_down(name)
        tasks.done(task)

    for number in range(1000):
        complain(f"h{number}")
        clock.now += 30
    assert len(tasks._slow) <= 50


@pytest.mark.parametrize("delay", [0.0, 1.0])
def test_hosts_are_forgotten(clock: Clock, delay: float) -> None:
    """Of a host without tasks nothing is kept, except for its delay and holds while they last."""
    tasks = make(clock=clock, delay=delay)
    for number in range(1000):
        tasks.put(Task(f"h{number}"))
    tasks.hold("nobody", 2)
    for task in take(tasks):
        tasks.done(task)
    assert len(tasks._turns._hosts) == (1001 if delay else 1)
    clock.now += 3
    assert take(tasks) == []
    assert not tasks._turns._hosts
    assert not tasks._turns._sleeping


def test_feed_reads_no_further_than_the_hosts_it_needs() -> None:
    """A list of many hosts is not held in memory; one host's tasks do not keep the feeder from reading on."""
    tasks = make(ahead=1050, hosts_ahead=100)
    feeding = Feeding(tasks, (Task("big" if number < 1000 else f"h{number}", number) for number in range(5000)))
    until(lambda: tasks._sated)
    assert 1099 <= feeding.read <= 1101
    assert len({task.host for task in take(tasks, 60)}) == 60
    until(lambda: tasks._sated)
    assert 1150 <= feeding.read <= 1170
    feeding.stop()
    assert feeding.read < 1200


def test_feed_goes_on_when_half_of_what_it_read_ahead_is_taken() -> None:
    """Workers that come while the feeder waits for its turn find something; and it is not woken for each task."""
    tasks = make(ahead=100, hosts_ahead=10)
    feeding = Feeding(tasks, (Task(f"h{number % 50}", number) for number in range(1000)))
    until(lambda: tasks._sated)
    assert feeding.read == 101
    for task in take(tasks, 49):
        tasks.done(task)
    assert tasks._sated
    assert feeding.read == 101
    for task in take(tasks, 1):
        tasks.done(task)
    until(lambda: feeding.read == 151)
    feeding.stop()


def test_feed_goes_on_when_the_hosts_in_line_are_held_back() -> None:
    """Whoever finds that nothing can be taken any more, since all hosts complained, has the list read on."""
    tasks = make(ahead=20, hosts_ahead=10)
    listed = [*(Task(f"held{number % 10}", number) for number in range(40)), Task("fresh")]
    feeder = start(lambda: tasks.feed(listed))
    until(lambda: tasks._sated)
    task = tasks.get(timeout=LIMIT)
    for number in range(10):
        tasks.hold(f"held{number}", 1000)
    began = time.monotonic()
    assert tasks.exchange(task, timeout=LIMIT).host == "fresh"
    assert time.monotonic() - began < LIMIT / 2
    join(feeder)
    tasks.shutdown(immediate=True)


@pytest.mark.parametrize("kind", ["deferred", "busy", "asleep"])
def test_feed_counts_only_what_can_be_taken(kind: str) -> None:
    """Tasks that are put off, or of a host that may not be asked now, do not stand in for those at hand."""
    tasks = make(ahead=100, hosts_ahead=10)
    for number in range(500):
        if kind == "deferred":
            tasks.defer(Task("late", number), 1000)
        else:
            tasks.put(Task("big", number))
    if kind == "busy":
        assert len(take(tasks)) == 4
    if kind == "asleep":
        tasks.hold("big", 1000)
        assert take(tasks) == []
    feeder = start(lambda: tasks.feed(Task(f"h{number % 50}", number) for number in range(100)))
    join(feeder)  # all of them fit
    assert tasks.qsize() == 600 - 4 * (kind == "busy")
    tasks.shutdown(immediate=True)


def test_feed_keeps_to_maxsize_where_hosts_are_few() -> None:
    """One host's tasks are held up to maxsize, never more."""
    tasks = make(200, ahead=1000, hosts_ahead=10)
    feeder = start(lambda: tasks.feed(Task("a", number) for number in range(300)))
    until(lambda: tasks._sated)
    assert tasks.qsize() == 200
    numbers = []
    while len(numbers) < 300:
        task = tasks.get(timeout=LIMIT)
        assert tasks.qsize() <= 200
        numbers.append(task.number)
        tasks.done(task)
    assert numbers == list(range(300))
    join(feeder)


def test_a_put_that_waits_for_room_goes_on_when_a_task_is_taken() -> None:
    """As with queue.Queue."""
    tasks = make(1)
    put(tasks, "a")
    putting = start(lambda: tasks.put(Task("b")))
    until(lambda: len(tasks.not_full._waiters) == 1)  # type: ignore[attr-defined]
    assert hosts(take(tasks, 1)) == "a"
    join(putting)
    assert tasks.get(timeout=LIMIT).host == "b"


# The end


def test_done_is_checked(clock: Clock) -> None:
    """One done() too many is an error, and spoils no count."""
    tasks = make(clock=clock)
    put(tasks, "ab")
    task = tasks.get()
    tasks.done(task)
    for host in ("a", "b", "c"):
        with pytest.raises(ValueError, match=f"'{host}'"):
            tasks.done(Task(host))
    assert tasks.unfinished_tasks == 1


def test_get_keeps_the_manners_of_queue(clock: Clock) -> None:
    """A negative timeout is an error, a short one ends in Empty, without block it ends at once."""
    tasks = make()
    with pytest.raises(ValueError, match="non-negative"):
        tasks.get(timeout=-1)
    with pytest.raises(queue.Empty):
        tasks.get_nowait()
    with pytest.raises(queue.Empty):
        tasks.get(timeout=0.01)
    tasks.put(Task("a"))
    tasks.hold("a", 100)
    with pytest.raises(queue.Empty):
        tasks.get(timeout=0.01)


def test_shutdown_serves_what_is_held_deferred_tasks_included(clock: Clock) -> None:
    """After shutdown() put and defer raise; get does when nothing is held any more."""
    tasks = make(clock=clock)
    put(tasks, "ab")
    task = tasks.get()
    tasks.defer(task, 5)
    tasks.done(task)
    tasks.shutdown()
    for refused in (lambda: tasks.put(task), lambda: tasks.put(task, block=False), lambda: tasks.defer(task, 1)):
        with pytest.raises(ShutDown):
            refused()
    assert hosts([tasks.get()]) == "b"
    with pytest.raises(queue.Empty):
        tasks.get(block=False)
    clock.now += 5
    assert tasks.get() == task
    with pytest.raises(ShutDown):
        tasks.get()


def test_shutdown_at_once_drops_what_is_held(clock: Clock) -> None:
    """get raises even while tasks are deferred; those that are out are still done, and join() waits for these only."""
    tasks = make(clock=clock, delay=1)
    put(tasks, "aaab")
    task, other = take(tasks)
    tasks.defer(other, 100)
    tasks.shutdown(immediate=True)
    with pytest.raises(ShutDown):
        tasks.get()
    assert tasks.unfinished_tasks == tasks.out == 2
    tasks.done(task)
    tasks.done(other)
    join(start(tasks.join))
    assert tasks.qsize() == 0


@pytest.mark.parametrize("immediate", [True, False])
def test_shutdown_wakes_all_who_wait(immediate: bool) -> None:
    """Workers, the feeder, a blocked put and join() return, on each version of Python."""
    tasks = make(2)
    ended = []

    def call(method: Callable[[], object]) -> None:
        try:
            method()
        except ShutDown:
            ended.append(method)

    threads = start(lambda: call(tasks.get), 5)
    until(lambda: waiting(tasks) == 5)
    tasks.pause(1000)
    put(tasks, "ab")
    threads += start(lambda: call(lambda: tasks.put(Task("c"))))
    threads += start(lambda: call(lambda: tasks.feed([Task("d")])))
    until(lambda: len(tasks.not_full._waiters) == len(tasks.hungry._waiters) == 1)  # type: ignore[attr-defined]
    if immediate:
        threads += start(tasks.join)
    tasks.shutdown(immediate)
    until(lambda: len(ended) >= 2)  # put and feed, though there is no room yet
    tasks.resume()
    join(threads)
    assert len(ended) == (7 if immediate else 5)


def test_who_waits_learns_that_the_last_task_is_taken() -> None:
    """After shutdown() workers wait for a deferred task; all but the one that gets it are told when it is gone."""
    tasks = make()
    tasks.defer(Task("a"), 0.02)
    ended: queue.Queue[str] = queue.Queue()

    def work() -> None:
        try:
            ended.put(tasks.get().host)
        except ShutDown:
            ended.put("shut down")

    threads = start(work, 4)
    tasks.shutdown()
    join(threads)
    assert sorted(ended.get() for _ in threads) == ["a"] + ["shut down"] * 3


# Waiting


def test_a_waiting_worker_wakes_for_whatever_lets_it_go_on() -> None:
    """put, done, resume, recover, and the end of a hold, a delay, a pause and a deferment each wake a worker."""
    tasks = make(per_host=1)
    taken: queue.Queue[Task] = queue.Queue()

    def waiting_for(event: Callable[[], object]) -> Task:
        threads = start(lambda: taken.put(tasks.get()), 2)
        until(lambda: waiting(tasks) == 2)
        event()
        task = taken.get(timeout=LIMIT)
        tasks.put(Task("for the other"))
        tasks.done(taken.get(timeout=LIMIT))
        join(threads)
        return task

    task = waiting_for(lambda: tasks.put(Task("a")))
    put(tasks, "a")
    task = waiting_for(lambda: tasks.done(task))
    tasks.defer(task, 0.02)
    tasks.done(task)
    task = waiting_for(lambda: None)
    tasks.done(waiting_for(lambda: (tasks.defer(task, 0.02), tasks.done(task))))
    tasks.done(waiting_for(lambda: tasks.defer(task, 0.01)))
    tasks.hold("a", 0.02)
    put(tasks, "a")
    tasks.done(waiting_for(lambda: None))
    tasks.pause(0.02)
    put(tasks, "a")
    tasks.done(waiting_for(lambda: None))
    tasks.pause(1000)
    put(tasks, "a")
    tasks.done(waiting_for(tasks.resume))
    assert not tasks.unfinished_tasks


def test_a_worker_wakes_when_a_slow_host_recovers(clock: Clock) -> None:
    """recover() lets one more task of the host be taken, and tells a worker that waits."""
    tasks = make(per_host=4, clock=clock)
    put(tasks, "a" * 8)
    first, *others = take(tasks)
    tasks.slow_down("a")
    tasks.done(first)
    others += take(tasks)
    tasks.slow_down("a")
    for task in others:
        tasks.done(task)
    clock.now += FIRST_GAP
    assert len(take(tasks)) == 1
    clock.now += FIRST_GAP
    threads = start(tasks.get)
    until(lambda: waiting(tasks) == 1)
    tasks.recover("a")
    join(threads)


def test_a_sooner_task_overtakes_the_clock_that_is_minded() -> None:
    """A worker that waits for a far moment learns of a nearer one."""
    tasks = make()
    tasks.put(Task("far"))
    tasks.hold("far", 1000)
    got: queue.Queue[Task] = queue.Queue()
    threads = start(lambda: got.put(tasks.get()), 3)
    until(lambda: waiting(tasks) == 3)
    began = time.monotonic()
    tasks.put(Task("near"))
    tasks.hold("near", 0.01)
    tasks.defer(Task("nearer"), 0.02)
    tasks.defer(Task("nearer"), 0.01)
    for _ in range(3):
        got.get(timeout=LIMIT)
    assert time.monotonic() - began < 5
    join(threads)


class Counting(HostQueue[Task]):
    """Counts how often a worker looks for something to take."""

    looks = 0

    def _can_take(self, now: float) -> bool:
        self.looks += 1
        return super()._can_take(now)


def test_many_waiting_workers_cost_few_wake_ups() -> None:
    """With 200 workers waiting, 50 tasks one by one wake a few threads each, not all."""
    tasks = Counting(host_of=lambda task: task.host, rate=500)
    done: queue.Queue[Task] = queue.Queue()

    def work() -> None:
        try:
            task = tasks.get()
            while True:
                done.put(task)
                task = tasks.exchange(task)
        except ShutDown:
            pass

    threads = start(work, 200)
    until(lambda: waiting(tasks) == 200)
    tasks.looks = 0
    put(tasks, "abcde" * 10)
    for _ in range(50):
        done.get(timeout=LIMIT)
    assert tasks.looks < 50 * 4
    tasks.shutdown()
    join(threads)


@pytest.mark.usefixtures("tiny_switch_interval")
def test_tasks_of_a_busy_host_wake_nobody() -> None:
    """What nobody may take yet is put, deferred and done without a wake-up."""
    tasks = Counting(host_of=lambda task: task.host, per_host=1, delay=1000)
    put(tasks, "a")
    task = tasks.get()
    got: queue.Queue[Task] = queue.Queue()
    threads = start(lambda: got.put(tasks.get()), 3)
    until(lambda: waiting(tasks) == 3)
    tasks.looks = 0
    put(tasks, "a" * 1000)
    for delay in range(2000, 2010):
        tasks.defer(task, delay)
    put(tasks, "bcd")
    join(threads)
    assert tasks.looks <= 3 + 5


# Stress


class Stress:
    """Workers on 20 hosts, a retry for every third task, and the laws that must hold all along."""

    def __init__(self, tasks: HostQueue[Task], number: int, *, exchange: bool) -> None:
        self.tasks = tasks
        self.number = number
        self.exchange = exchange
        self.lock = threading.Lock()
        self.out: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.asked: defaultdict[Task, int] = defaultdict(int)

    def ask(self, task: Task) -> None:
        with self.lock:
            self.asked[task] += 1
            self.out[task.host] += 1
            self.most[task.host] = max(self.most[task.host], self.out[task.host])
            tries = self.asked[task]
        if task.number % 7 == 0:
            time.sleep(0.0002)
        with self.lock:
            self.out[task.host] -= 1
        if task.number % 3 == 0 and tries == 1:
            self.tasks.defer(task, 0.001 * (task.number % 5))

    def work(self) -> None:
        try:
            task = self.tasks.get()
            while True:
                self.ask(task)
                if self.exchange:
                    task = self.tasks.exchange(task)
                else:
                    self.tasks.done(task)
                    task = self.tasks.get()
        except ShutDown:
            pass

    def run(self, workers: int) -> None:
        threads = start(self.work, workers)
        feeder = start(lambda: self.tasks.feed(Task(f"h{n % 20}", n) for n in range(self.number)))
        join(feeder)
        join(start(self.tasks.join))
        self.tasks.shutdown()
        join(threads)


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("workers", [8, 32])
def test_each_task_is_served_once_and_no_host_beyond_its_limit(workers: int, exchange: bool) -> None:
    """2,000 tasks on 20 hosts with retries and a small maxsize: each once, each retry once, at most 2 of a host."""
    stress = Stress(make(100, per_host=2), 2000, exchange=exchange)
    stress.run(workers)
    assert len(stress.asked) == 2000
    assert all(tries == (2 if task.number % 3 == 0 else 1) for task, tries in stress.asked.items())
    assert max(stress.most.values()) <= 2
    assert not stress.tasks._turns._hosts
    assert stress.tasks.out == stress.tasks.qsize() == stress.tasks._turns.takeable == 0


@pytest.mark.usefixtures("tiny_switch_interval")
@pytest.mark.parametrize("seed", range(8))
def test_no_wake_up_is_lost(seed: int) -> None:
    """Short runs that hang if a single wake-up is lost, with threads that are interrupted everywhere."""
    rng = random.Random(seed)
    options = {"per_host": rng.choice([1, 3]), "delay": rng.choice([0, 0.001]), "rate": rng.choice([None, 5000])}
    tasks = make(rng.choice([3, 50]), ahead=rng.choice([2, 8]), hosts_ahead=rng.choice([1, 8]), **options)
    stress = Stress(tasks, 300, exchange=seed % 2 == 0)
    stress.run(rng.choice([2, 16]))
    assert sum(stress.asked.values()) == 400
