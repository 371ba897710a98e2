"""The queue of results: each item once, in bounded memory, and no wait beyond its time whatever signals come."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from status_probe.resultqueue import ResultQueue

LIMIT = 10.0  # seconds


@contextmanager
def signals_every(seconds: float) -> Iterator[None]:
    """Have signals come, which do nothing but to end what is stuck for LIMIT."""
    limit = time.monotonic() + LIMIT

    def hear(*_: object) -> None:
        assert time.monotonic() < limit, "stuck"

    before = signal.signal(signal.SIGALRM, hear)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals are sent to POSIX processes")
def test_signals_do_not_make_a_wait_longer() -> None:
    """Also where one comes at the very end of the wait."""
    results: ResultQueue[int] = ResultQueue(10)
    with signals_every(0.0007):
        for _ in range(500):
            assert list(results.take(0.002)) == []


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_items_of_many_threads_come_once_and_in_each_ones_order(most: int) -> None:
    """However few may wait."""
    results: ResultQueue[tuple[int, int]] = ResultQueue(most)
    threads = [
        threading.Thread(target=lambda name=name: [results.put((name, n)) for n in range(200)]) for name in range(8)
    ]
    for thread in threads:
        thread.start()
    threading.Thread(target=lambda: [*map(threading.Thread.join, threads), results.end()]).start()
    taken: list[tuple[int, int]] = []
    limit = time.monotonic() + LIMIT
    while not results.ended:
        assert results.qsize() <= most + len(threads) + 1
        taken += results.take(0.1)
        assert time.monotonic() < limit
    assert [[n for name, n in taken if name == each] for each in range(8)] == [list(range(200))] * 8


def test_an_item_ends_the_wait_for_it() -> None:
    """It does not last as long as it may."""
    results: ResultQueue[int] = ResultQueue(10)
    threading.Timer(0.05, results.put, [7]).start()
    began = time.monotonic()
    assert next(results.take(LIMIT)) == 7
    assert time.monotonic() - began < LIMIT / 2


def test_who_stops_in_the_middle_leaves_the_rest() -> None:
    """And makes room by what was taken."""
    results: ResultQueue[int] = ResultQueue(2)
    putting = threading.Thread(target=lambda: [results.put(n) for n in range(5)])
    putting.start()
    assert [next(results.take(LIMIT)) for _ in range(5)] == [0, 1, 2, 3, 4]
    putting.join(LIMIT)
    assert not putting.is_alive()


def test_nobody_waits_for_room_once_all_are_let_in() -> None:
    """A stopped run's workers end, though nobody takes what they have."""
    results: ResultQueue[int] = ResultQueue(1)
    putting = threading.Thread(target=lambda: [results.put(n) for n in range(3)])
    putting.start()
    results.let_in()
    putting.join(LIMIT)
    assert not putting.is_alive()
    assert list(results.take(0.1)) == [0, 1, 2]
    assert not results.ended


def test_the_reader_rests_no_longer_than_items_may_come() -> None:
    """Resting ends with the end, be it there already or not."""
    results: ResultQueue[int] = ResultQueue(10)
    threading.Thread(target=lambda: [results.put(1), results.end()]).start()
    began = time.monotonic()
    results.rest(LIMIT)
    results.rest(LIMIT)
    assert time.monotonic() - began < LIMIT / 2
    assert list(results.take(LIMIT)) == [1]
    assert results.ended
