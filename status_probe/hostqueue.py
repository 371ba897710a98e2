"""HostQueue: a queue.Queue that is fair to hosts: in turn, so many at a time, some of them later.

Whose task comes next is for Turns to say; here are the lock, the clock, and who waits for what.

Workers that find nothing to take wait on one condition.  One of them, at most, minds the clock; whoever leaves,
with a task or without, wakes another if there is something to take, or a moment to wait for that nobody minds.
So no wake-up is lost, and nobody is woken in vain but in races.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from math import inf
from typing import TypeVar

from .pace import Pace
from .turns import Turns

if sys.version_info >= (3, 13):
    from queue import ShutDown
else:

    class ShutDown(Exception):  # noqa: N818
        """Raised when put/get with shut-down queue; 3.13 has it as queue.ShutDown."""


__all__ = ["HostQueue", "ShutDown"]

Task = TypeVar("Task")

MANY_SLOW = 10_000  # hosts that complained; of these, who has recovered unnoticed is looked for then
CATCH_UP = 0.1  # seconds a late start may be made up for; a rate that was not kept for longer begins anew


class HostQueue(queue.Queue[Task]):
    """A queue of tasks that serves hosts in turn.

    *host_of* gives a task's host; it is called for each put, defer and done, so let the task carry its host.
    At most *per_host* tasks of a host are out at once, and *delay* seconds lie between two of them at least; over
    all, *rate* tasks a second are taken, evenly spaced, None meaning as many as can be.  A host that is slowed
    down is given gaps of at most *longest_gap* seconds.  *ahead* and *hosts_ahead* are for feed().  *clock* returns
    seconds.

    join() and put() are inherited; done() stands for task_done().
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        host_of: Callable[[Task], Hashable],
        per_host: int = 4,
        delay: float = 0.0,
        rate: float | None = None,
        longest_gap: float = 60.0,
        ahead: int = 1000,
        hosts_ahead: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host_of = host_of
        self._turns: Turns[Task] = Turns(Pace(per_host, delay), longest_gap)
        self._interval = 1 / rate if rate else 0.0
        self._is_spaced = bool(rate or delay)  # whether two requests of one task need a turn each
        self._next_start = -inf  # of any task, by the rate
        self._paused_until = -inf
        self._slow: set[Hashable] = set()  # hosts that complained and have not recovered; read without the lock
        self._many_slow = MANY_SLOW
        self._ahead = ahead
        self._hosts_ahead = hosts_ahead
        self._clock = clock
        super().__init__(maxsize)
        self.is_shutdown = False  # 3.13 has set it already
        self.out = 0  # tasks taken and not done

        # Notified whenever a worker has something to do: to take a task, or to mind the clock.  It is not not_empty
        # since the inherited put notifies that one also when the host is busy.
        self.takeable = threading.Condition(self.mutex)
        self._waiting = 0  # workers that wait for it, or were notified and are not yet awake
        self._alarm = inf  # when the one that minds the clock wakes

        # Notified whenever feed(), which waits for it, is to go on.
        self.hungry = threading.Condition(self.mutex)
        self._sated = False

    # The feeder's side

    def feed(self, tasks: Iterable[Task]) -> None:
        """Put each of *tasks*, but wait while enough are at hand: *ahead* of them, of *hosts_ahead* hosts in line.

        So little of a list of many hosts is held; of one sorted by host as much as maxsize lets, until enough hosts
        are in sight.  Once it waits it does so until half of that is left, or there is some room again: workers that
        come for more meanwhile find it.  One thread at a time may feed.  Raises ShutDown if the queue has been shut
        down.
        """
        for task in tasks:
            with self.mutex:
                while self._has_enough() and not self.is_shutdown:
                    self._sated = True
                    self.hungry.wait()
                self._put(task)
                self.unfinished_tasks += 1

    # The worker's side

    def get(self, block: bool = True, timeout: float | None = None) -> Task:
        """Take a task; done() is to be called for it.

        Waits as Queue.get does, but for a task that may be taken: one held back counts as none.  Raises
        queue.Empty, or ShutDown if the queue has been shut down and holds nothing, deferred tasks included.
        """
        with self.mutex:
            return self._take(block, timeout)

    def defer(self, task: Task, delay: float) -> None:
        """Put *task* back, to be taken in *delay* seconds or later, whatever maxsize says; call it before done().

        Raises ShutDown if the queue has been shut down.
        """
        name = self._host_of(task)
        with self.mutex:
            if self.is_shutdown:
                raise ShutDown
            self._turns.defer(name, task, self._clock() + delay)
            self.unfinished_tasks += 1
            self._signal()

    def put_begun(self, task: Task) -> None:
        """Put *task*, which goes on with what another began, before those of its host, whatever maxsize says.

        Call it before done() of the other.  Raises ShutDown if the queue has been shut down.
        """
        name = self._host_of(task)
        with self.mutex:
            if self.is_shutdown:
                raise ShutDown
            self._turns.add_begun(name, task, self._clock())
            self.unfinished_tasks += 1
            self._signal()

    def may_go_on(self, host: Hashable) -> bool:
        """Whether a task of *host* that is out may ask it again in the same turn, as nothing spaces requests now."""
        return not (self._is_spaced or self._paused_until != -inf or host in self._slow)

    def done(self, task: Task) -> None:
        """Free the turn of *task*, and count it as task_done does.  Raises ValueError if no such task is out."""
        name = self._host_of(task)
        with self.mutex:
            self._free(name)
            self._signal()

    def exchange(self, task: Task, block: bool = True, timeout: float | None = None) -> Task:
        """Do done(*task*) and get() in one step, so that nobody else is woken for the turn that is freed."""
        name = self._host_of(task)
        with self.mutex:
            self._free(name)
            return self._take(block, timeout)

    # What is learned of a host or of the network

    def hold(self, host: Hashable, seconds: float) -> None:
        """Let no task of *host* be taken for so long; of several holds the last to end counts."""
        with self.mutex:
            now = self._clock()
            self._turns.hold(host, now + seconds, now)

    def slow_down(self, host: Hashable) -> None:
        """Tell, before done(), that *host* complained (429, 503): from the second time on it is slowed down.

        Complaints, and normal answers, to what was asked before it was last slowed down are passed over.
        """
        with self.mutex:
            self._slow.add(host)
            self._turns.slow_down(host, self._clock())
            if len(self._slow) >= self._many_slow:  # the turns forget whoever has rested since; so must this
                self._slow = {each for each in self._slow if not self._turns.is_normal(each)}
                self._many_slow = max(MANY_SLOW, 2 * len(self._slow))

    def recover(self, host: Hashable) -> None:
        """Tell, before done(), that *host* answered normally: if slow, it becomes a step faster."""
        if host not in self._slow:  # nearly always; the mutex is what all workers meet at
            return
        with self.mutex:
            if self._turns.recover(host, self._clock()):
                self._signal()
            if self._turns.is_normal(host):
                self._slow.discard(host)

    def pause(self, seconds: float) -> None:
        """Let no task at all be taken for so long; of several pauses the last to end counts."""
        with self.mutex:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def resume(self) -> None:
        """End a pause."""
        with self.mutex:
            self._paused_until = -inf
            self._signal()

    # What one may ask

    def held(self) -> list[tuple[Hashable, float, int]]:
        """Return (host, until, tasks) of each host that has tasks and is held back, the longest held first.

        *until* is on the clock, *tasks* how many wait or are deferred.  Looks at all hosts: 10 ms for 100,000.
        """
        with self.mutex:
            rows = self._turns.held_back(self._clock())
        return sorted(rows, key=lambda row: row[1], reverse=True)

    def holds(self, host: Hashable) -> bool:
        """Whether a task of *host* waits or is deferred."""
        with self.mutex:
            return self._turns.holds(host)

    def next_due(self) -> float | None:
        """Return the time before which nothing can be taken: -inf for now, None if time alone will not help.

        It may be too early, as some hosts sleep without tasks, but is never too late.
        """
        with self.mutex:
            due = self._due()
        return None if due == inf else due

    # The end

    def shutdown(self, immediate: bool = False) -> None:
        """Let put, feed and defer raise ShutDown, and get once nothing is held; if *immediate*, drop what is held.

        Tasks that are out are still to be done: join() waits for them.
        """
        with self.mutex:
            self.is_shutdown = True
            self.maxsize = sys.maxsize  # so that a blocked put of before 3.13 comes to _put, which refuses
            if immediate:
                self.unfinished_tasks -= self._turns.held
                self._turns.drop()
                self.all_tasks_done.notify_all()
            self.takeable.notify_all()
            self.hungry.notify_all()
            self.not_full.notify_all()

    # The hooks of Queue, called with the mutex held

    def _init(self, maxsize: int) -> None:
        pass  # there is nothing but self._turns

    def _qsize(self) -> int:
        return self._turns.held

    def _put(self, item: Task) -> None:
        if self.is_shutdown:
            raise ShutDown
        if self._turns.add(self._host_of(item), item, self._clock()):
            self._signal()

    def _get(self) -> Task:
        now = self._clock()
        if self._interval:
            # The times are on a grid, else each late wake-up would lower the rate; no gap is below half an interval.
            due = self._next_start if now - self._next_start < CATCH_UP else now
            self._next_start = max(due + self._interval, now + self._interval / 2)
        self.out += 1
        return self._turns.take(now)

    # Taking, waiting and waking, with the mutex held

    def _take(self, block: bool, timeout: float | None) -> Task:
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        end = -inf if not block else inf if timeout is None else self._clock() + timeout
        try:
            while not self._can_take(now := self._clock()):
                if self.is_shutdown and not self._turns.held:
                    raise ShutDown
                if end <= now:
                    raise queue.Empty
                self._wait(now, end)
            task = self._get()
            self.not_full.notify()
            return task
        finally:
            self._signal()

    def _can_take(self, now: float) -> bool:
        return now >= self._next_start and now >= self._paused_until and self._turns.ready(now)

    def _wait(self, now: float, end: float) -> None:
        """Wait until notified, until *end*, or, if nobody minds that moment, until something is due."""
        self._feed_on()  # hosts that are held back may just have left the line
        due = self._due()
        alarm = due if due < self._alarm else inf
        self._alarm = min(self._alarm, alarm)
        until = min(alarm, end)
        self._waiting += 1
        try:
            self.takeable.wait(None if until == inf else min(max(0.0, until - now), threading.TIMEOUT_MAX))
        finally:
            self._waiting -= 1
            if self._alarm == alarm:
                self._alarm = inf

    def _signal(self) -> None:
        """Wake a worker if there is something to take, or a moment that nobody minds; and feed() if it is time."""
        if self._waiting:
            if self.is_shutdown and not self._turns.held:
                self.takeable.notify_all()
            elif self._due() < self._alarm:
                self.takeable.notify()
        self._feed_on()

    def _feed_on(self) -> None:
        """Wake feed() if it waits and too little is at hand."""
        if self._sated and self._is_hungry():
            self._sated = False
            self.hungry.notify()

    def _has_enough(self) -> bool:
        """Whether feed() is to wait."""
        turns = self._turns
        return 0 < self.maxsize <= turns.held or (
            turns.takeable >= self._ahead and len(turns.line) >= self._hosts_ahead
        )

    def _is_hungry(self) -> bool:
        """Whether feed(), which waits, is to go on."""
        turns = self._turns
        has_room = not self.maxsize or turns.held < self.maxsize - self.maxsize // 100
        return has_room and (turns.takeable <= self._ahead // 2 or len(turns.line) <= self._hosts_ahead // 2)

    def _due(self) -> float:
        return max(self._turns.due(), self._next_start, self._paused_until)

    def _free(self, name: Hashable) -> None:
        self._turns.free(name, self._clock())
        self.out -= 1
        self.unfinished_tasks -= 1
        if not self.unfinished_tasks:
            self.all_tasks_done.notify_all()
