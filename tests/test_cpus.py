"""On which CPUs the threads of a run are, and that all is as before at its end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from status_probe.cpus import Cpus

# Threads that share no interpreter's lock are left alone.
IS_DONE = sys.platform == "linux" and getattr(sys, "_is_gil_enabled", lambda: True)()
needs_two = pytest.mark.skipif(not IS_DONE or len(os.sched_getaffinity(0)) < 2, reason="needs CPUs to choose from")


@contextmanager
def two_cpus() -> Iterator[set[int]]:
    """Leave two CPUs to this thread."""
    before = os.sched_getaffinity(0)
    two = set(sorted(before)[:2])
    os.sched_setaffinity(0, two)
    try:
        yield two
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def another_thread() -> Iterator[threading.Thread]:
    """Give a thread that lives meanwhile."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(10,))
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join(10)


def cpus_of(thread: threading.Thread) -> set[int]:
    return os.sched_getaffinity(thread.native_id or 0)


@needs_two
def test_threads_of_a_run_share_one_cpu_and_leave_it_at_its_end():
    """Of two CPUs the caller and a thread it starts use one, and the same; afterwards both, as before."""
    with two_cpus() as two:
        with Cpus(), another_thread() as thread:
            kept = os.sched_getaffinity(0)
            assert len(kept) == 1
            assert cpus_of(thread) == kept
        assert os.sched_getaffinity(0) == two


@needs_two
def test_many_handshakes_bring_both_cpus_into_use_and_few_do_not():
    """All threads are moved, once enough tells, and between the two bounds they stay as they are."""
    with two_cpus() as two, Cpus() as cpus, another_thread() as thread:
        one = os.sched_getaffinity(0)
        for handshakes, rows, expected in [
            (31, 1, one),  # too few to tell
            (32, 1, two),  # at the start, before the rows
            (100, 100, two),
            (125, 200, two),  # 0.25 a row
            (130, 300, one),
            (155, 400, one),  # 0.25 again
            (255, 500, two),
        ]:
            cpus.suit(handshakes, rows)
            assert os.sched_getaffinity(0) == cpus_of(thread) == expected, rows


@needs_two
def test_threads_that_were_there_before_are_left_alone_and_no_other_is_left_behind():
    """A thread of whoever calls the command keeps its CPUs; one of the run's that outlives it gets them back."""
    with two_cpus() as two, another_thread() as before, ExitStack() as outliving:
        with Cpus() as cpus:
            of_run = outliving.enter_context(another_thread())
            cpus.suit(100, 100)
            cpus.suit(100, 200)
            assert cpus_of(before) == two
            assert len(cpus_of(of_run)) == 1
        assert cpus_of(before) == cpus_of(of_run) == os.sched_getaffinity(0) == two


@needs_two
def test_a_system_that_refuses_is_left_as_it_is(monkeypatch):
    """Where a sandbox forbids to choose CPUs the run goes on, and the policy ends with it all the same."""
    def refuse(*_: object) -> None:
        raise PermissionError

    before = os.sched_getscheduler(0)
    with two_cpus():
        monkeypatch.setattr(os, "sched_setaffinity", refuse)
        with Cpus() as cpus:
            cpus.suit(100, 100)
            assert not cpus.spread
        monkeypatch.undo()
    assert os.sched_getscheduler(0) == before


@pytest.mark.skipif(not IS_DONE or os.sched_getscheduler(0) != os.SCHED_OTHER, reason="needs Linux' usual policy")
def test_threads_of_a_run_do_not_interrupt_each_other():
    """They are scheduled as batch work, by a policy of their own that ends with the run."""
    with Cpus(), another_thread() as thread:
        assert os.sched_getscheduler(thread.native_id or 0) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_machine_without_a_choice_is_left_alone(monkeypatch):
    """Where the system has no such calls nothing is done, and nothing fails."""
    for name in ("sched_getaffinity", "sched_getscheduler"):
        monkeypatch.delattr(os, name, raising=False)
    with Cpus() as cpus:
        cpus.suit(1000, 1000)
        assert not cpus.spread
