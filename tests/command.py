"""The command as a process of its own: started, signalled, waited for with a limit, and what it left behind."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

__all__ = ["Ended", "read_csv", "run_command", "same_row", "start_command", "wait_for"]

ROOT = Path(__file__).parent.parent
LIMIT = 20.0  # seconds; a command that takes longer hangs
VOLATILE = ("elapsed_ms", "checked_at_utc")


class Ended(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, str]]:
        """The CSV on its standard output."""
        return list(csv.DictReader(io.StringIO(self.out.removeprefix("\ufeff"))))


def start_command(
    *arguments: str | Path,
    cwd: Path | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.PIPE,
    stderr: int | IO[Any] = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
    **keywords: Any,
) -> subprocess.Popen[bytes]:
    """Start ``python -m status_probe``; *environ* is added to ours."""
    words = [sys.executable, "-m", "status_probe", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "LANG": "C.UTF-8"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed code is compiled once, too
    return subprocess.Popen(
        words, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, env={**environment, **(environ or {})}, **keywords
    )


def finish(process: subprocess.Popen[bytes], given: bytes | None = None, limit: float = LIMIT) -> Ended:
    """Wait for the end of *process*, which is killed after *limit* seconds, and that fails the test."""
    try:
        out, err = process.communicate(given, limit)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {limit} s: {err.decode()[-2000:]}") from None
    return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())


def run_command(*arguments: str | Path, given: bytes | None = None, **keywords: Any) -> Ended:
    """Run the command to its end, with *given* on its standard input."""
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    with start_command(*arguments, **{"stdin": stdin, **keywords}) as process:
        return finish(process, given)


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    """Return once *condition()* holds; raises AssertionError after *seconds*."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not reached within {seconds} s"
        time.sleep(0.01)  # of another process there is nothing to wait on


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a finished report; raises AssertionError where a line is no whole row."""
    text = path.read_bytes().decode("utf-8-sig")
    assert text.endswith("\r\n")
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(line) for line in lines} == {len(lines[0])}
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def same_row(row: Mapping[str, str]) -> dict[str, str]:
    """Return *row* without what differs from run to run."""
    return {name: cell for name, cell in row.items() if name not in VOLATILE}
