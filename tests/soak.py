"""Tens of thousands of URLs over a server that misbehaves in one answer of five, through the real command.

    python -m tests.soak [N] [METHOD]     # 50000 get

Prints what came of it, and exits 1 if any row is missing or wrong.  The server is a process of its own, on some
thousand addresses of 127.0.0.0/8, which Linux has and macOS has not.
"""

from __future__ import annotations

import contextlib
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.hostile import TRUTHS, Reply, expected_status, innocent, replies
from tests.server import Request, Script, Server, answer, close, cut, pause, reset

SEED = 50_000
HOSTS = 2000
HOSTILE_EVERY = 5
OPTIONS = (
    "-w", "32", "--connect-timeout", "4", "--read-timeout", "2", "--max-time", "4", "--retry-wait", "0.1",
    "--max-retry-wait", "0.2", "-q",
)  # fmt: skip
SERVE = "--serve"


def main(arguments: list[str]) -> int:
    """Run the soak, or its server; return the exit status."""
    if arguments[:1] == [SERVE]:
        return serve(int(arguments[1]))
    count = int(arguments[0]) if arguments else 50_000
    method = arguments[1] if len(arguments) > 1 else "get"
    with tempfile.TemporaryDirectory() as folder:
        with server_process(count) as (port, connections):
            listed = list(urls(count, port))
            source = Path(folder, "urls.txt")
            source.write_text("".join(f"{url}\n" for url, _ in listed), encoding="utf-8")
            began = time.monotonic()
            status, peak_bytes = run_command(source, Path(folder, "rows.csv"), method)
            seconds = time.monotonic() - began
        rows_file = Path(folder, "rows.csv")
        wrong = list(faults(listed, rows_file)) if rows_file.exists() else ["no file was written"]
    print(f"exit status {status}, {len(listed)} URLs by {method}, {seconds:.1f} s, {len(listed) / seconds:.0f} URLs/s")
    print(f"peak memory {peak_bytes / 2**20:.0f} MiB, {connections[0]} connections, {len(wrong)} wrong rows")
    print("\n".join(wrong[:20]))
    return 1 if wrong or status else 0


# What is asked, and what is true of it


def hostile_replies(count: int) -> list[Reply]:
    """Return the replies; a late answer that looks prompt is left out, since on a trusted host nobody can tell."""
    made = replies(SEED, count // HOSTILE_EVERY + 1)
    return [reply._replace(late=b"") if reply.late[9:12] in (b"299", b"404") else reply for reply in made]


def urls(count: int, port: int) -> Iterator[tuple[str, int | None]]:
    """Yield URLs and their true statuses."""
    made = hostile_replies(count)
    expected = cache(lambda number: expected_status(made[number], expected))
    for number in range(count):
        host = number * 7919 % HOSTS  # each host gets hostile and innocent ones
        place = f"http://127.{1 + host // 250}.{host % 250}.1:{port}"
        if number % HOSTILE_EVERY == 0:
            yield f"{place}/reply/{number // HOSTILE_EVERY}", expected(number // HOSTILE_EVERY)
        else:
            truth = TRUTHS[number % len(TRUTHS)]
            yield f"{place}/truth/{truth}/{number}", truth


def faults(listed: list[tuple[str, int | None]], path: Path) -> Iterator[str]:
    """Yield what is wrong with the file at *path*; print how the rows are spread over the outcomes."""
    lines = path.read_bytes().count(b"\n")
    if lines != len(listed) + 1:
        yield f"{lines} physical lines"
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != len(listed):
        yield f"{len(rows)} rows"
    for number, (row, (url, status)) in enumerate(zip(rows, listed, strict=False), 1):
        true = {"row": str(number), "url": url, "status": "" if status is None else str(status)}
        if {name: row[name] for name in true} != true or row["outcome"] in ("internal_error", "local_error"):
            yield f"expected {true}, got {row}"
    print(", ".join(f"{outcome} {times}" for outcome, times in Counter(row["outcome"] for row in rows).most_common()))


def run_command(source: Path, output: Path, method: str) -> tuple[int, int]:
    """Run the command; return its exit status and the most memory it held, in bytes."""
    command = [sys.executable, "-m", "status_probe", str(source), "-o", str(output), "-X", method, *OPTIONS]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024


# The server


@contextlib.contextmanager
def server_process(count: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the port of a server, and a list that holds its number of connections afterwards."""
    connections: list[int] = []
    command = [sys.executable, "-m", "tests.soak", SERVE, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline()), connections
        process.stdin.close()
        connections.append(int(process.stdout.readline()))


class Unlogged(Server):
    """A server that keeps no log of what it was asked."""

    def record(self, request: Request) -> None:
        """Forget *request*."""


def serve(count: int) -> int:
    """Serve until standard input ends."""
    made = hostile_replies(count)
    ends = {"go_on": [], "close": [close()], "cut": [cut()], "reset": [reset()]}

    def script(request: Request) -> Script:
        if "/truth/" in request.path:
            return innocent(request.path, request.method)
        number = request.path.rpartition("/")[2]
        if not number.isdecimal():
            return answer(404)
        reply = made[int(number)]
        steps = [piece if isinstance(piece, bytes) else pause(piece) for piece in reply.pieces]
        return [*steps, *([pause(0.03), reply.late] if reply.late else []), *ends[reply.end]]

    with Unlogged(script, address="0.0.0.0") as server:
        print(server.port, flush=True)
        sys.stdin.read()
        print(server.connections, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
