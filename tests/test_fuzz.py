"""Hostile replies over real sockets, through the whole run: one true row each, and no harm to the next URL."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from status_probe import Result, probe_urls
from tests.hostile import TRUTHS, Reply, expected_status, innocent, replies
from tests.server import Request, Script, Server, Step, ca_file, close, cut, pause, reset, server_context

MAX_TIME = 3.0
READ_TIMEOUT = 1.5
SLACK = 0.5
LIMITS = {
    "connect_timeout": MAX_TIME, "read_timeout": READ_TIMEOUT, "max_time": MAX_TIME,
    "retries": 0, "max_retry_wait": 0.05,
}  # fmt: skip
ENDS: dict[str, list[Step]] = {"go_on": [], "close": [close()], "cut": [cut()], "reset": [reset()]}
RESET_KEEPS = sys.platform == "linux"  # elsewhere what a reset overtakes is lost


def script(reply: Reply) -> Script:
    steps = [piece if isinstance(piece, bytes) else pause(piece) for piece in reply.pieces]
    return [*steps, *([pause(0.03), reply.late] if reply.late else []), *ENDS[reply.end]]


class Hostile:
    """The replies of one seed, a server of them, and a judge of the rows."""

    def __init__(self, seed: int, count: int) -> None:
        self.replies = replies(seed, count)
        self.expected = cache(self._expected)

    def handle(self, request: Request) -> Script:
        if "/truth/" in request.path:
            return innocent(request.path, request.method)
        return script(self.replies[int(request.path.rpartition("/")[2])])

    def urls(self, server: Server) -> Iterator[tuple[str, int | None]]:
        """Yield URLs and their true statuses.

        Each host misbehaves and answers well in turns, one to five times.  Late bytes come only as the first thing of
        a host: one that behaved before is trusted, and nobody can tell a late answer from a prompt one.
        """
        late = [number for number, reply in enumerate(self.replies) if reply.late]
        prompt = [number for number, reply in enumerate(self.replies) if not reply.late]
        for host in range(len(self.replies)):
            numbers = [late.pop()] if late else []
            numbers += [prompt.pop() for _ in range(min(len(prompt), host % 5 + (not numbers)))]
            for place, number in enumerate(numbers):
                truth = TRUTHS[number % len(TRUTHS)] if place % 2 else 404  # as some late answers are: none stands out
                yield server.url(f"/reply/{number}", host=f"n{host}.host.test"), self.expected(number)
                yield server.url(f"/truth/{truth}/{number}", host=f"n{host}.host.test"), truth

    def _expected(self, number: int) -> int | None:
        return expected_status(self.replies[number], self.expected)

    def may_be_lost(self, url: str) -> bool:
        return not RESET_KEEPS and "/reply/" in url


def faults(hostile: Hostile, listed: list[tuple[str, int | None]], rows: Iterable[Result]) -> Iterator[str]:
    """Yield what is wrong with *rows*, each with what the server sent."""
    seen = [False] * len(listed)
    for row in rows:
        url, status = listed[row.row - 1]
        wrong = [
            "a second row" if seen[row.row - 1] else "",
            "another URL" if row.url != url else "",
            f"not {status}" if row.status != status and not (row.status is None and hostile.may_be_lost(url)) else "",
            "an internal error" if row.outcome == "internal_error" else "",
            "too late" if (row.elapsed_ms or 0) > 1000 * (MAX_TIME + SLACK) else "",
            "an error and none" if bool(row.error) is row.outcome.is_answer else "",
            "an answer and none" if row.status is None and row.outcome.is_answer else "",
        ]
        seen[row.row - 1] = True
        if any(wrong):
            sent = hostile.replies[int(url.rpartition("/")[2])]
            yield f"{', '.join(filter(None, wrong))}: {row}\n{repr(sent)[:600]}"
    if not all(seen):
        yield f"no row: {[listed[place][0] for place, there in enumerate(seen) if not there][:5]}"


@pytest.mark.parametrize(("method", "seed", "count", "tls"), [
    ("get", 1, 300, False), ("head", 2, 240, False), ("auto", 3, 120, False),
    ("get", 4, 80, True), ("head", 5, 40, True), ("auto", 6, 30, True),
])  # fmt: skip
def test_every_hostile_reply_gives_one_true_row(tmp_path: Path, method: str, seed: int, count: int, tls: bool) -> None:
    """Whatever a server sends and wherever it ends: one row, with the status where there is one, in time; and the next
    URL of the same host, asked after it, gets its own."""
    hostile = Hostile(seed, count)
    with Server(hostile.handle, tls=server_context() if tls else None) as server:
        listed = list(hostile.urls(server))
        hosts = {f"n{number}.host.test": ["127.0.0.1"] for number in range(count)}
        rows = probe_urls(
            [url for url, _ in listed], method=method, workers=32, per_host=1, hosts=hosts,
            ca_bundle=str(ca_file(tmp_path)), **LIMITS,
        )  # fmt: skip
        found = list(faults(hostile, listed, rows))
    assert not found, f"{len(found)} wrong rows\n" + "\n".join(found[:10])
