"""The limits of this machine: how many connections and threads it has for a run, how soon its resolver asks again."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["ask_name_servers_soon", "fit_to_limits", "spare_addresses"]

log = logging.getLogger("status_probe")

RESERVED_FILES = 64  # lists, output, libraries, the name service's sockets
WANTED_IDLE = 256  # idle connections; more are of no use, a host comes round before that
# Name look-ups: one that nobody waits for any more goes on for as long as the system asks, 30 s where three name
# servers are silent.  Were there too few, dead names would take them all, and live ones could not be looked up.
WANTED_LOOK_UPS, LOOK_UPS_A_WORKER, FEW_LOOK_UPS = 512, 4, 64

M_ARENA_MAX, FEW_ARENAS = -8, 2  # malloc.h
# Of addresses: what the program takes, two arenas included, and what a worker does, with a look-up's thread beside it.
# A few workers fit into less.
PROGRAM_BYTES, WORKER_BYTES, FEW_WORKERS = 400 << 20, 3 << 20, 32

RESOLVER = Path("/etc/resolv.conf")
MOST_QUESTIONS = 5  # to each name server: glibc knows no more
_HAS_TIMES = re.compile(r"^options\b.*\b(timeout|attempts):", re.MULTILINE).search


class Fit(NamedTuple):
    """What fits into this machine's limits."""

    workers: int
    idle: int  # connections
    look_ups: int  # of names, at once


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


def _address_limit() -> int | None:
    """Return how many bytes of addresses this process may have (``ulimit -v``), None for no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


@lru_cache(maxsize=8)  # so that the messages come once
def fit_to_limits(workers: int) -> Fit:
    """Return what fits into the limits of addresses, and of open files, which is raised where it can be.

    A worker needs a connection and now and then a second file: for a look-up, or for the next address of a host.
    """
    addresses = _address_limit()
    if addresses is not None:
        fitting = max(FEW_WORKERS, (addresses - PROGRAM_BYTES) // WORKER_BYTES)
        if fitting < workers:
            log.warning("only %d of %d workers fit into this system's limit of memory", fitting, workers)
            workers = fitting
    look_ups = max(WANTED_LOOK_UPS, LOOK_UPS_A_WORKER * workers)
    wanted = RESERVED_FILES + 2 * workers + WANTED_IDLE
    files = raise_file_limit(wanted + look_ups)
    if files is None:
        files = wanted + look_ups
    if files >= wanted:
        return Fit(workers, WANTED_IDLE, max(FEW_LOOK_UPS, 2 * workers, min(look_ups, files - wanted)))
    fitting = max(1, min(workers, (files - RESERVED_FILES) // 2))
    if fitting < workers:
        log.warning("only %d of %d workers fit into this system's limit of %d open files", fitting, workers, files)
    return Fit(fitting, max(0, files - RESERVED_FILES - 2 * fitting), max(FEW_LOOK_UPS, 2 * fitting))


def spare_addresses() -> None:
    """Have glibc's malloc spare addresses where they are limited (``ulimit -v``), before the first thread is started.

    It sets 64 MiB of them aside for each thread, up to eight a CPU.  Of 600 MB nothing was left for 32 workers: CPython
    3.11 was seen to crash, or to try for ever, deaf to all signals.  It is for whoever has the process for himself.

    Source: mallopt(3), M_ARENA_MAX.
    """
    if _address_limit() is not None:
        with contextlib.suppress(ImportError, OSError, AttributeError):  # a Python without it; another libc
            import ctypes

            ctypes.CDLL(None).mallopt(M_ARENA_MAX, FEW_ARENAS)


def ask_name_servers_soon(connect_timeout: float) -> None:
    """Have glibc ask each name server several times within the *connect_timeout* of a host, in seconds.

    Its own wait of 5 s is all of that by default: one lost packet, or a first name server that is down, and no name
    would be found in time.  Who has set times, in resolv.conf or in RES_OPTIONS, keeps them.  It is for whoever has the
    process for himself, before the first look-up: glibc reads the variable once.

    Source: resolv.conf(5), ``timeout:`` and ``attempts:``.
    """
    with contextlib.suppress(OSError):
        if sys.platform == "linux" and not _HAS_TIMES(RESOLVER.read_text(encoding="utf-8", errors="replace")):
            wait = math.ceil(connect_timeout / MOST_QUESTIONS)
            os.environ.setdefault("RES_OPTIONS", f"timeout:{wait} attempts:{MOST_QUESTIONS}")
