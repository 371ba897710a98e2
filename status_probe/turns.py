"""Turns: whose task comes next, and when.  Pure: no lock, no thread, no clock; *now* is always handed in.

A task belongs to a host, and a host is always in one of these states:

    in line    it has tasks, and one may be taken now; hosts are served in turn
    asleep     it has tasks, but none may be taken before some time: a delay, a Retry-After, a slow pace
    busy       as many of its tasks are out as may be out at once; free() brings it back
    resting    it has no tasks here, and is forgotten as soon as its past does not matter any more

A deferred task waits outside its host, in a heap by time.  It comes back when it is due and nothing fresh can be
taken, so what failed in passing gets its second look late rather than early; after the last fresh task that
means at once.

A task that is begun, a redirect's next hop, comes before its host's others, and brings its host to the front.

Every operation is O(log n), whatever the number of tasks and hosts, and mostly O(1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Generic, TypeVar

from .pace import Pace

__all__ = ["Turns"]

Task = TypeVar("Task")

SECOND_LOOKS = 20_000  # deferred tasks beyond these do not wait for the fresh ones: they take the feeder's room
REMEMBERED = 10_000  # sleeping hosts beyond these are not remembered for a slow pace alone: 3 MB


class Host(Generic[Task]):
    """What is known of a host, and its tasks that wait.

    Two lists, not a deque: that one takes 0.6 kB even for a single task, and there may be 100,000 hosts.
    """

    __slots__ = (
        "asked", "begun", "deferred", "in_line", "name", "newer", "not_before", "older", "out", "pace", "tasks",
        "wakes",
    )  # fmt: skip

    def __init__(self, name: Hashable, pace: Pace) -> None:
        self.name = name
        self.pace = pace
        self.begun: deque[Task] | None = None  # tasks that come before all others; few hosts ever have one
        self.newer: list[Task] = []  # tasks in order
        self.older: list[Task] = []  # tasks before those, in reverse order
        self.tasks = 0  # how many may be taken from here
        self.out = 0  # tasks taken and not done
        self.deferred = 0  # tasks in the heap of the deferred
        self.not_before = -inf  # when the next task may be taken
        self.wakes = -inf  # the time of its entry among the sleepers; entries of other times are void
        self.in_line = False
        self.asked = False  # whether a task was taken since the pace changed

    def may_be_asked(self, now: float) -> bool:
        return self.out < self.pace.at_once and self.not_before <= now

    def next_task(self) -> Task:
        self.tasks -= 1
        if self.begun:
            return self.begun.popleft()
        if not self.older:
            self.older, self.newer = self.newer, self.older
            self.older.reverse()
        return self.older.pop()


class Turns(Generic[Task]):
    """The tasks of many hosts, and the order in which they may be taken.

    *normal* is the pace of a host that never complained.  Neither the gaps of a slow one, nor the time it is
    remembered while it has no tasks, exceed *longest_gap* seconds.
    """

    def __init__(self, normal: Pace, longest_gap: float) -> None:
        self.held = 0  # tasks waiting and deferred
        self.takeable = 0  # of these, the tasks of hosts in line
        self.line: deque[Host[Task]] = deque()  # those held or slowed down since leave it when their turn comes
        self.deferred: list[tuple[float, int, Host[Task], Task]] = []
        self._sleeping: list[tuple[float, int, Host[Task]]] = []
        self._serial = count()  # settles ties in both heaps
        self._hosts: dict[Hashable, Host[Task]] = {}  # all but the forgotten
        self._normal = normal
        self._longest_gap = longest_gap

    # Tasks in and out

    def add(self, name: Hashable, task: Task, now: float) -> bool:
        """Append *task* to its host's; return whether that may have let a task be taken that could not before."""
        host = self._host(name)
        host.newer.append(task)
        self.held += 1
        return self._count_in(host, now)

    def add_begun(self, name: Hashable, task: Task, now: float) -> None:
        """Put *task* before those of its host that are not begun, and the host before others if it is in no line."""
        host = self._host(name)
        host.begun = host.begun or deque()
        host.begun.append(task)
        self.held += 1
        self._count_in(host, now)

    def defer(self, name: Hashable, task: Task, due: float) -> None:
        """Let *task* come back at *due*, or later."""
        host = self._host(name)
        host.deferred += 1
        heappush(self.deferred, (due, next(self._serial), host, task))
        self.held += 1

    def ready(self, now: float) -> bool:
        """Whether a task can be taken; wakes sleepers and brings back deferred tasks."""
        while self._sleeping and self._sleeping[0][0] <= now:
            self._wake(now)
        while True:
            if self.deferred:
                self._bring_back(now)
            if not self.line:
                return False
            host = self.line[0]
            if host.may_be_asked(now):
                return True
            self._leave_line()
            self._place(host, now)

    def take(self, now: float) -> Task:
        """Return the next task; only when ready(*now*) has just said so."""
        host = self._leave_line()
        task = host.next_task()
        host.out += 1
        host.asked = True
        self.held -= 1
        if host.pace.gap:
            host.not_before = now + host.pace.gap
        self._place(host, now)
        return task

    def free(self, name: Hashable, now: float) -> None:
        """Let a task of the host be out no more.  Raises ValueError if none is."""
        host = self._hosts.get(name)
        if host is None or not host.out:
            raise ValueError(f"no task of {name!r} is out")
        host.out -= 1
        if not host.in_line:
            self._place(host, now)

    def drop(self) -> None:
        """Forget what is held, and all hosts but those with tasks out."""
        self.held = self.takeable = 0
        for held in (self.line, self.deferred, self._sleeping):
            held.clear()
        self._hosts = {name: host for name, host in self._hosts.items() if host.out}
        for host in self._hosts.values():
            host.newer, host.older, host.begun, host.tasks, host.deferred = [], [], None, 0, 0
            host.in_line, host.wakes = False, -inf

    # What is learned of a host

    def hold(self, name: Hashable, until: float, now: float) -> None:
        """Let no task of the host be taken before *until*; of several holds the last to end counts."""
        self._hold(self._host(name), until, now)

    def slow_down(self, name: Hashable, now: float) -> None:
        """Slow the host down, unless nothing was asked since that was last done."""
        host = self._host(name)
        if host.asked:
            host.asked = False
            host.pace = host.pace.slower(self._longest_gap)
            self._hold(host, now + host.pace.gap, now)

    def recover(self, name: Hashable, now: float) -> bool:
        """Let a slow host become a step faster; return whether it was slow."""
        host = self._hosts.get(name)
        if host is None or host.pace is self._normal or not host.asked:
            return False
        host.pace = host.pace.faster(self._normal, self._longest_gap)
        if not host.in_line:
            self._place(host, now)
        return True

    # What one may ask

    def is_normal(self, name: Hashable) -> bool:
        """Tell whether the host has complained of nothing, or has recovered."""
        host = self._hosts.get(name)
        return host is None or host.pace is self._normal

    def holds(self, name: Hashable) -> bool:
        """Tell whether a task of the host waits or is deferred."""
        host = self._hosts.get(name)
        return host is not None and bool(host.tasks or host.deferred)

    def due(self) -> float:
        """Return the time before which nothing can be taken: -inf for now, inf if time alone will not help."""
        if self.line:
            return -inf
        sleeper = self._sleeping[0][0] if self._sleeping else inf
        return min(sleeper, self.deferred[0][0]) if self.deferred else sleeper

    def held_back(self, now: float) -> list[tuple[Hashable, float, int]]:
        """Return (host, until, tasks) of each host that has tasks and may not be asked yet, in no order."""
        hosts = [host for host in self._hosts.values() if host.not_before > now]
        rows = [(host.name, host.not_before, host.tasks + host.deferred) for host in hosts]
        return [row for row in rows if row[2]]

    # A host's states

    def _host(self, name: Hashable) -> Host[Task]:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name, self._normal)
        return host

    def _place(self, host: Host[Task], now: float) -> None:
        """Let *host*, which is not in line now, stand in line, sleep, be busy or rest."""
        host.in_line = False
        if host.tasks:
            if host.out >= host.pace.at_once:
                return
            if host.not_before > now:
                self._sleep(host, host.not_before)
            else:
                host.in_line = True
                self.takeable += host.tasks
                (self.line.appendleft if host.begun else self.line.append)(host)
        elif not host.out and not host.deferred:
            self._rest(host, now)

    def _count_in(self, host: Host[Task], now: float) -> bool:
        """Take account of a task that *host* was given; return whether it had to be placed for that."""
        host.tasks += 1
        if host.in_line:
            self.takeable += 1
            return False
        self._place(host, now)
        return True

    def _leave_line(self) -> Host[Task]:
        host = self.line.popleft()
        self.takeable -= host.tasks
        return host

    def _rest(self, host: Host[Task], now: float) -> None:
        until = host.not_before
        if host.pace is not self._normal and len(self._sleeping) < REMEMBERED:
            until = max(until, now) + self._longest_gap
        if until > now:
            self._sleep(host, until)
        else:
            self._forget(host)

    def _forget(self, host: Host[Task]) -> None:
        host.wakes = -inf  # it may be among the sleepers, and another host of its name may come
        del self._hosts[host.name]

    def _sleep(self, host: Host[Task], until: float) -> None:
        if host.wakes != until:
            host.wakes = until
            heappush(self._sleeping, (until, next(self._serial), host))

    def _wake(self, now: float) -> None:
        wakes, _, host = heappop(self._sleeping)
        if host.wakes != wakes:
            return  # it was put elsewhere since
        host.wakes = -inf
        if host.in_line:
            return
        if host.not_before > now or host.tasks or host.out or host.deferred:
            self._place(host, now)
        else:
            self._forget(host)  # it rested, and long enough

    def _bring_back(self, now: float) -> None:
        """Give deferred tasks that are due to their hosts, until one can be taken."""
        while self.deferred and self.deferred[0][0] <= now:
            if self.line and len(self.deferred) <= SECOND_LOOKS:
                return
            _, _, host, task = heappop(self.deferred)
            host.deferred -= 1
            host.newer.append(task)
            self._count_in(host, now)

    def _hold(self, host: Host[Task], until: float, now: float) -> None:
        host.not_before = max(host.not_before, until)
        if not host.in_line:
            self._place(host, now)
