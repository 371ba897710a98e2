"""What HostQueue costs: python -m tests.bench_queue [--quick]

Prints microseconds a task in one thread, tasks a second with many workers, how late workers wake, and bytes held.
"""

from __future__ import annotations

import itertools
import operator
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import NamedTuple

from status_probe.hostqueue import HostQueue, ShutDown


class Task(NamedTuple):
    host: str
    number: int


host_of = operator.attrgetter("host")


def tasks(number: int, hosts: int) -> Iterator[Task]:
    names = [f"host{n}.example" for n in range(hosts)]
    return (Task(names[n % hosts], n) for n in range(number))


def one_thread(number: int, **options: float) -> None:
    """Put, get and done of each task, over 200 hosts."""
    todo, times = list(tasks(number, 200)), []
    for _ in range(5):
        tasks_held: HostQueue[Task] = HostQueue(host_of=host_of, **options)  # type: ignore[arg-type]
        began = time.perf_counter()
        for task in todo:
            tasks_held.put(task)
        for _ in todo:
            tasks_held.done(tasks_held.get())
        times.append((time.perf_counter() - began) / number * 1e6)
    print(f"one thread {options or ''}: put + get + done {min(times):.2f} to {max(times):.2f} us")


def many_workers(number: int, workers: int, *, exchange: bool, feed: bool, hosts: int = 200, work: float = 0.0) -> None:
    """Tasks a second with nothing to do for them, or a sleep of *work* seconds."""
    todo: HostQueue[Task] = HostQueue(100_000, host_of=host_of)

    def run() -> None:
        try:
            task = todo.get()
            while True:
                if work:
                    time.sleep(work)
                if exchange:
                    task = todo.exchange(task)
                else:
                    todo.done(task)
                    task = todo.get()
        except ShutDown:
            pass

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    began, cpu = time.perf_counter(), time.process_time()
    if feed:
        todo.feed(tasks(number, hosts))
    else:
        for task in tasks(number, hosts):
            todo.put(task)
    todo.join()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    todo.shutdown()
    for thread in threads:
        thread.join()
    how = f"{'exchange' if exchange else 'done, get'}, {'feed' if feed else 'put'}"
    print(
        f"{workers} workers, {hosts} hosts, {how}: {number / took:.0f} tasks/s, CPU {cpu / number * 1e6:.1f} us a task"
    )


def lateness(workers: int, rate: float, seconds: float) -> None:
    """How late tasks are taken by waiting workers under a rate, and what waiting costs."""
    todo: HostQueue[Task] = HostQueue(host_of=host_of, rate=rate)
    starts: list[float] = []

    def run() -> None:
        try:
            while True:
                task = todo.get()
                starts.append(time.monotonic())
                todo.done(task)
        except ShutDown:
            pass

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    cpu = time.process_time()
    number = int(rate * seconds)
    todo.feed(tasks(number, 200))
    todo.join()
    cpu = time.process_time() - cpu
    todo.shutdown()
    for thread in threads:
        thread.join()
    gaps = [later - sooner for sooner, later in itertools.pairwise(starts)]
    real = (number - 1) / (starts[-1] - starts[0])
    print(
        f"{workers} workers, rate {rate:.0f}: kept {real:.1f}, gaps {min(gaps) * 1e3:.2f} to {max(gaps) * 1e3:.2f} ms,"
        f" median {statistics.median(gaps) * 1e3:.2f}, CPU {cpu / number * 1e6:.0f} us a task"
    )


def resume(workers: int) -> None:
    """How long it takes until all workers have a task when a pause ends."""
    todo: HostQueue[Task] = HostQueue(host_of=host_of)
    starts: list[float] = []
    threads = [
        threading.Thread(target=lambda: (todo.get(), starts.append(time.perf_counter()))) for _ in range(workers)
    ]
    todo.pause(60)
    for task in tasks(workers, workers):
        todo.put(task)
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    todo.resume()
    for thread in threads:
        thread.join()
    print(f"{workers} workers: all have a task {(max(starts) - began) * 1e3:.1f} ms after a pause")


def memory(number: int, hosts: int) -> None:
    """Bytes a task held, the task itself left out."""
    todo = list(tasks(number, hosts))
    tracemalloc.start()
    held: HostQueue[Task] = HostQueue(host_of=host_of)
    for task in todo:
        held.put(task)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"{number} tasks of {hosts} hosts: {size / number:.0f} bytes each, without the tasks")


def main(quick: bool) -> None:
    number = 20_000 if quick else 200_000
    one_thread(number)
    one_thread(number, rate=1e9)
    one_thread(number, delay=1e-9)
    for workers in (4, 64, 400):
        for exchange, feed in ((False, False), (True, False), (True, True)):
            many_workers(number // 4, workers, exchange=exchange, feed=feed)
    many_workers(number // 10, 64, exchange=False, feed=True, work=0.005)
    many_workers(number // 10, 64, exchange=True, feed=True, work=0.005)
    many_workers(number // 10, 400, exchange=True, feed=True, hosts=20, work=0.005)
    for rate in (50.0, 1000.0):
        lateness(400, rate, 1 if quick else 4)
    resume(400)
    for hosts in (1, 1000, 100_000):
        memory(100_000, hosts)


if __name__ == "__main__":
    main("--quick" in sys.argv)
