"""The limits of this machine: how many connections and threads it has for a run, and on which CPU they are."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

__all__ = ["fit_to_limits", "on_one_cpu"]

log = logging.getLogger("status_probe")

RESERVED_FILES = 64  # lists, output, libraries, the name service's sockets
WANTED_IDLE = 256  # idle connections; more are of no use, a host comes round before that


def raise_file_limit(wanted: int) -> int | None:
    """Raise the soft limit of open files to *wanted* where the hard one lets it; return what it is, None for none."""
    try:
        import resource
    except ImportError:  # Windows, whose sockets have no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None if soft == resource.RLIM_INFINITY else soft
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS may refuse what it says is allowed
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@lru_cache(maxsize=8)  # so that the message comes once
def fit_to_limits(workers: int) -> tuple[int, int]:
    """Return how many workers and how many idle connections fit into the limit of open files.

    A worker needs a connection and now and then a second file: for a look-up, or for the next address of a host.
    """
    wanted = RESERVED_FILES + 2 * workers + WANTED_IDLE
    files = raise_file_limit(wanted)
    if files is None or files >= wanted:
        return workers, WANTED_IDLE
    fitting = max(1, min(workers, (files - RESERVED_FILES) // 2))
    if fitting < workers:
        log.warning("only %d of %d workers fit into this system's limit of %d open files", fitting, workers, files)
    return fitting, max(0, files - RESERVED_FILES - 2 * fitting)


@contextlib.contextmanager
def on_one_cpu() -> Iterator[None]:
    """Keep the caller, and the threads it starts, on one of two CPUs; with more, or on other systems, do nothing.

    One thread at a time holds the interpreter's lock.  Spread over two CPUs each hand-over of it wakes a thread on the
    other one, which is a third of what a URL over a kept connection costs.  OpenSSL needs no lock and could use the
    second CPU, but that gains no more than the hand-overs cost.  What it would gain with more of them was not measured.
    """
    cpu = _this_cpu() if getattr(sys, "_is_gil_enabled", lambda: True)() else None
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the CPU may have been taken away
            os.sched_setaffinity(0, before)


def _this_cpu() -> int | None:
    """Return the number of the CPU that the caller is on, None where it cannot be told or kept to."""
    try:
        after_name = Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        cpu = int(after_name.split()[36])  # "processor", the 39th field: proc(5)
        allowed = os.sched_getaffinity(0)
    except (AttributeError, OSError, ValueError, IndexError):
        return None
    return cpu if cpu in allowed and len(allowed) == 2 else None
