"""Ask URLs of a loopback server as a run does, one after the other and over one session."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from status_probe.options import Options
from status_probe.records import Result, Target
from status_probe.run import open_probe
from tests.server import ca_file

__all__ = ["ask", "ask_at_once", "ask_one", "trusted", "within"]


@functools.cache
def trusted() -> str:
    """The path of a bundle with the tests' own authority."""
    folder = tempfile.mkdtemp(prefix="status-probe-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(ca_file(Path(folder)))


def ask(*urls: str, **options: Any) -> list[Result]:
    """Return the row of each of *urls*, all asked over one session; times are short, and the authority is trusted."""
    short = {"connect_timeout": 1.0, "read_timeout": 1.0, "max_time": 2.0, "proxy": ""}
    probe, session = open_probe(Options(**{"ca_bundle": trusted(), **short, **options}))
    with session:
        return [probe(Target(number, number + 1, url)).result for number, url in enumerate(urls)]


def ask_one(url: str, **options: Any) -> Result:
    """Return the row of *url*."""
    return ask(url, **options)[0]


def ask_at_once(*lists: Sequence[str], **options: Any) -> list[list[Result]]:
    """Return the rows of each of *lists*, which are asked at the same time, each over a session of its own."""
    with ThreadPoolExecutor(len(lists)) as pool:
        return list(pool.map(lambda urls: ask(*urls, **options), lists))


class within:  # noqa: N801 - reads as a word
    """Fail if the block takes less than *least* or more than *most* seconds."""

    def __init__(self, most: float, least: float = 0.0) -> None:
        self.least, self.most = least, most

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        took = time.monotonic() - self._began
        assert error is not None or self.least <= took <= self.most, f"took {took:.2f} s"
