"""The thread group: a feeder that fills the queue, and workers that ask, put off, and hand on what came of it.

The end is told by the feeder: when every target is fed it waits until all are done, shuts the queue down, and ends
the queue of results.  All threads are daemons: a stop drops what waits and does not wait for a stuck server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .failures import RetryPolicy, fault_of_ours
from .hostqueue import HostQueue, ShutDown
from .outage import Outage
from .records import Asking, Attempt, Phase, Result, Target
from .resultqueue import ResultQueue
from .urls import Url, redact

__all__ = ["Finished", "InFlight", "Task", "ThreadLost", "Workers"]

log = logging.getLogger("status_probe")

SPOILED_SECONDS = 1.0  # before what our own network spoiled is asked again
MAX_RESULTS = 5_000  # that wait for the writer; then the workers wait for it
NOT_BEGUN = Phase()
_PUSHED_BACK = frozenset({429, 503})


class ThreadLost(RuntimeError):  # noqa: N818
    """A thread ended before its work did: its task would be waited for without end."""


class Task:
    """A target on its way through the queue, from host to host where it redirects."""

    __slots__ = ("asking", "attempts", "home", "host", "key", "phase", "target", "url")

    def __init__(self, target: Target, host: str, key: str = "", url: Url | None = None, attempts: int = 0) -> None:
        self.target = target
        self.key = key  # equal for targets that ask the same; for whoever finds repeats
        self.url = url  # what the target's text was parsed to, for whoever asks it
        self.home = self.host = host  # name and port: what limits are about
        self.attempts = attempts  # that count, this one included once it is begun
        self.asking: Asking | None = None  # once begun
        self.phase = NOT_BEGUN

    def again(self, attempts: int) -> Task:
        """Return this task from its beginning, after so many attempts that count."""
        return Task(self.target, self.home, self.key, self.url, attempts)

    def moved(self, host: str) -> Task:
        """Return the rest of this task at *host*."""
        task = self.again(self.attempts)
        task.host = host
        task.asking, task.phase = self.asking, self.phase
        return task


class Finished(NamedTuple):
    """A target and its row."""

    target: Target
    result: Result
    key: str = ""  # of its task; empty for what no task was needed for


class InFlight(NamedTuple):
    """A target that is being asked."""

    target: Target
    phase: str  # what is done right now, in English
    seconds: float  # since it was taken from the queue


class Workers:
    """*count* threads that take tasks from *queue* and put what came of them on *results*.

    *probe* is called with a target, its parsed URL, the number of this attempt and what it is to tell its phase to, and
    raises nothing.
    *outage* tells failures of our own network from dead hosts, None does without.
    """

    def __init__(
        self,
        probe: Callable[[Target, Url | None, int, Phase], Asking],
        queue: HostQueue[Task],
        *,
        count: int,
        retries: RetryPolicy,
        outage: Outage | None = None,
    ) -> None:
        self.results: ResultQueue[Finished] = ResultQueue(MAX_RESULTS)
        self._probe = probe
        self._queue = queue
        self._retries = retries
        self._outage = outage
        self._asked: list[tuple[Task, float] | None] = [None] * count  # by worker: its task, and since when
        self._stopped = False
        self._is_over = False  # every task is done; now the threads end
        self._has_lost = False  # a task without a row, and the thread that had it
        self._threads: list[threading.Thread] = []
        self._all_started = threading.Event()
        self.is_fed = False  # the list was read to its end
        self.fault: BaseException | None = None  # what ended the feeding early

    def start(self, tasks: Iterable[Task | Finished]) -> None:
        """Start all threads; *tasks* is read on the feeder's, and what is finished already is handed on as it is.

        Nothing is fed before: to start a thread beside some that are at work takes ten times as long.
        With fewer workers than wanted the run goes on.  Raises RuntimeError if there can be none, or no feeder.
        """
        try:
            self._start("feeder", self._feed, tasks)
            for place in range(len(self._asked)):
                self._start(f"worker {place + 1}", self._work, place)
        except RuntimeError:  # out of threads
            workers = len(self._threads) - 1
            if workers < 1:
                self.stop()
                raise RuntimeError("this machine can start no more threads") from None
            log.warning("only %d workers could be started: this machine can start no more threads", workers)
        self._all_started.set()

    def _start(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """Drop what waits; workers end after what they are asking."""
        self._stopped = True
        self._all_started.set()
        self._queue.shutdown(immediate=True)
        self.results.let_in()
        if self._outage:
            self._outage.end()

    def check(self) -> None:
        """Raise ThreadLost if a thread has ended early, as one does where it cannot even have memory to make a row."""
        have_ended = not all(thread.is_alive() for thread in self._threads)  # before the look at whether they may have
        if self._has_lost or (have_ended and not (self._stopped or self._is_over)):
            raise ThreadLost("a thread of this program has ended early: is this machine out of memory?")

    def join(self, seconds: float) -> bool:
        """Wait for the threads for so long at most; return whether all have ended."""
        limit = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def in_flight(self) -> list[InFlight]:
        """Return what is being asked, the oldest first."""
        now = time.monotonic()
        asked = [entry for entry in self._asked if entry is not None]
        in_flight = [InFlight(task.target, task.phase.name, now - since) for task, since in asked]
        return sorted(in_flight, key=lambda each: -each.seconds)

    def _feed(self, tasks: Iterable[Task | Finished]) -> None:
        self._all_started.wait()
        try:
            self._queue.feed(self._unfinished(tasks))
        except ShutDown:
            pass  # stopped
        except BaseException as fault:  # also those that end a program: they are for whoever waits for the rows
            self.fault = fault  # a list that cannot be read on; what was read of it gets its rows
        self.is_fed = True
        self._queue.join()
        self._is_over = True
        self._queue.shutdown()
        if self._outage:
            self._outage.end()
        self.results.end()

    def _unfinished(self, tasks: Iterable[Task | Finished]) -> Iterable[Task]:
        """Yield the tasks, and hand on what is finished; workers begin at once, not when enough is fed."""
        for count, task in enumerate(tasks, 1):
            if isinstance(task, Task):
                yield task
            else:
                self.results.put(task)
            if self._stopped:
                return
            if count <= len(self._asked):
                time.sleep(0)  # another thread takes the interpreter's lock, which is not asked back for 50 ms

    def _work(self, place: int) -> None:
        queue, task = self._queue, None
        try:
            task = queue.get()
            while True:
                began = time.monotonic()
                self._asked[place] = (task, began)
                self._do(task, began)
                self._asked[place] = None
                task = queue.exchange(task)
        except ShutDown:
            pass  # the end
        except BaseException:  # out of memory, say; see check()
            self._has_lost = True
            if task and self._asked[place]:  # not when it was exchanged
                queue.done(task)
            log.exception("internal error")

    def _do(self, task: Task, began: float) -> None:
        """Go on with a task as far as its host goes; then move it, put it back or hand on its row."""
        try:
            if task.asking is None:
                task.attempts += 1
                task.phase = Phase(task.home)
                task.asking = self._probe(task.target, task.url, task.attempts, task.phase)
            host = next(task.asking)
            while host == task.host and self._queue.may_go_on(host):
                host = next(task.asking)
            self._move(task, host)
        except StopIteration as end:
            self._end(task, end.value, began)
        except ShutDown:
            pass  # stopped; the line is asked again when the run is resumed
        except Exception as bug:
            log.exception("internal error")
            url, failure = redact(task.target.url), fault_of_ours(bug)
            row = Result(task.target.row, url, None, failure.outcome, attempts=task.attempts, error=failure.error)
            self.results.put(Finished(task.target, row, task.key))

    def _move(self, task: Task, host: str) -> None:
        if host != task.host:
            self._queue.recover(task.host)
        self._queue.put_begun(task.moved(host))

    def _end(self, task: Task, attempt: Attempt, began: float) -> None:
        try:
            if self._put_back(task, attempt, began):
                return
        except ShutDown:
            return
        except Exception:
            log.exception("internal error")  # the row is there; only another attempt is not
        self.results.put(Finished(task.target, attempt.result, task.key))

    def _put_back(self, task: Task, attempt: Attempt, began: float) -> bool:
        if self._outage is not None and self._outage.spoiled(task.host, attempt, began):
            self._queue.defer(task.again(task.attempts - 1), SPOILED_SECONDS)
            return True
        if attempt.again_in and task.host == task.home:  # where it redirects to is no reason to ask it anew
            self._queue.hold(task.host, attempt.again_in)
            self._queue.defer(task.again(task.attempts - 1), attempt.again_in)
            return True
        self._mind_host(task.host, attempt)
        delay = self._retries.delay(attempt) if attempt.passing else None
        if delay is None:
            return False
        self._queue.defer(task.again(task.attempts), delay)
        return True

    def _mind_host(self, host: str, attempt: Attempt) -> None:
        """Hold a host back that asks for it, and let one that answers normally recover."""
        if attempt.result.status not in _PUSHED_BACK:
            if attempt.result.outcome.is_answer:
                self._queue.recover(host)
            return
        self._queue.slow_down(host)
        seconds = self._retries.host_delay(attempt)
        if seconds:
            self._queue.hold(host, seconds)
