"""One run of the benchmark: a command in a process of its own, what it took, and whether its rows are right."""

from __future__ import annotations

import contextlib
import csv
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "Usage", "check", "environment", "ours", "run", "started"]

ROOT = Path(__file__).parents[1]
LONGEST = 600.0  # seconds for one run; then something hangs


class Usage(NamedTuple):
    """What a process took."""

    seconds: float
    cpu: float  # seconds
    memory: int  # bytes of RAM at most


def ours(*arguments: str) -> list[str]:
    """Return our command; it takes the package of the folder that it is run in, whatever is installed."""
    return [sys.executable, "-m", "status_probe", *arguments]


def run(command: Sequence[str], folder: Path = ROOT) -> Usage:
    """Run *command* in *folder* to its end.

    Raises RuntimeError if it fails or hangs.
    """
    began = time.perf_counter()
    with started(command, folder) as process:
        watchdog = threading.Timer(LONGEST, _kill, [process])
        watchdog.daemon = True  # a signal may come before it can be cancelled
        watchdog.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            watchdog.cancel()
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode} of {shlex.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


@contextlib.contextmanager
def started(command: Sequence[str], folder: Path = ROOT) -> Iterator[subprocess.Popen[bytes]]:
    """Start *command* in a group of its own, which is killed where the block ends early: by a signal to us, say."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    try:
        yield process
    except BaseException:
        _kill(process)
        process.wait(10)
        raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, signal.SIGKILL)  # curl is started by a process of ours


def environment() -> dict[str, str]:
    """Return ours without proxies and bundles: a plain requests.Session lets them win over its own settings.

    Nor does it say to leave compiled code unsaved: an installed package has its own compiled already.
    """
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith(("_proxy", "_bundle"))}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def check(output: Path, urls: Sequence[str], name: str, *, may_fail: bool) -> None:
    """Raise RuntimeError unless each URL has one row, and its status is 200."""
    with output.open(newline="", encoding="utf-8-sig") as file:
        rows = [(row["url"], row["status"]) for row in csv.DictReader(file)]
    statuses = Counter(status for _, status in rows)
    expected = {"200", "0", ""} if may_fail else {"200"}
    if not set(statuses) <= expected or sorted(url for url, _ in rows) != sorted(urls):
        raise RuntimeError(f"{name} has {len(rows)} rows of {len(urls)}, by status {dict(statuses)}")
