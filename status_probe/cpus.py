"""Which CPUs the threads of a run use, and how they take turns there: on Linux, elsewhere nothing is done.

One thread at a time holds the interpreter's lock.  Spread over two CPUs each hand-over of it wakes a thread on the
other one, which is a third of what a URL over a kept connection costs; so the threads stay together on one.  OpenSSL
needs no lock: where many URLs take a TLS handshake, both CPUs bring more than the hand-overs cost.

And a thread whose answer has come is not to interrupt the one that holds the lock, only to find that it must wait.

Measured with two CPUs, shared with the server.  With more the threads are left where the system puts them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

__all__ = ["Cpus"]

MANY, FEW = 0.3, 0.2  # handshakes a row; from the one on both CPUs are used, below the other one of them is
ENOUGH = 32  # handshakes or rows, to tell which it is


class Cpus:
    """Keeps the caller, and the threads it starts, on the CPUs that suit the work, while it is entered."""

    def __init__(self) -> None:
        self._both: set[int] = set()  # empty where there are not two to choose from
        self._one: set[int] = set()
        self._others: set[threading.Thread] = set()  # those of whoever called the command; they are left alone
        self._is_batch = False  # whether that is our doing
        self._rows = self._handshakes = 0  # when it was last decided
        self.spread = False  # whether both are in use

    def __enter__(self) -> Cpus:  # noqa: PYI034 - Self is 3.11's
        self._others = {*threading.enumerate()} - {threading.current_thread()}
        if getattr(sys, "_is_gil_enabled", lambda: True)():
            both, one = _two_cpus()
            with contextlib.suppress(OSError):  # a sandbox may refuse it
                if both:
                    os.sched_setaffinity(0, one)
                    self._both, self._one = both, one
            self._is_batch = _become_batch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._both:
            self._move_all(self._both)
        with contextlib.suppress(OSError):
            if self._is_batch:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def suit(self, handshakes: int, rows: int) -> None:
        """Choose by how many *handshakes* were begun, and how many *rows* came, since it was entered."""
        begun = handshakes - self._handshakes
        count = max(begun, rows - self._rows)  # at a run's start handshakes are begun long before rows come
        if not self._both or count < ENOUGH:
            return
        share = begun / count
        self._handshakes, self._rows = handshakes, rows
        spread = share >= (FEW if self.spread else MANY)
        if spread != self.spread:
            self.spread = spread
            self._move_all(self._both if spread else self._one)

    def _move_all(self, cpus: set[int]) -> None:
        for thread in {*threading.enumerate()} - self._others:
            with contextlib.suppress(OSError):  # it has ended meanwhile, or a CPU was taken away
                if thread.native_id is not None:
                    os.sched_setaffinity(thread.native_id, cpus)


def _become_batch() -> bool:
    """Have the caller, and what it starts, not preempt others when woken; return whether that is new.

    Source: sched(7), SCHED_BATCH.
    """
    with contextlib.suppress(AttributeError, OSError):  # not on Linux, or not allowed
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            return True
    return False


def _two_cpus() -> tuple[set[int], set[int]]:
    """Return the two CPUs that the caller may use, and the one it is on; nothing where it is not so, or not known."""
    try:
        after_name = Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        cpu = int(after_name.split()[36])  # "processor", the 39th field: proc(5)
        allowed = os.sched_getaffinity(0)
    except (AttributeError, OSError, ValueError, IndexError):
        return set(), set()
    return (allowed, {cpu}) if cpu in allowed and len(allowed) == 2 else (set(), set())
