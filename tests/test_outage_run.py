"""Laws of a run whose network goes away: nothing is called dead for it, and what is dead is called so in time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from status_probe.netwatch import MANY
from status_probe.options import Options
from status_probe.records import Outcome, Result, Target
from status_probe.run import Run
from tests.asking import within
from tests.command import finish, read_csv, start_command, wait_for
from tests.connection import Request
from tests.network import Network
from tests.server import Script, answer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a test drop what asks to connect")

LIMIT = 15.0  # seconds; a run that takes longer hangs
SHORT = {"connect_timeout": 0.2, "read_timeout": 1.0, "retry_wait": 0.1, "workers": 16, "proxy": ""}


def rows_of(urls: list[str], look: Callable[[Run], object] = lambda _: None, **options: Any) -> list[Result]:
    """Return the rows of a run over *urls*, which *look* is shown several times a second.

    Raises AssertionError after LIMIT seconds.
    """
    rows: list[Result] = []
    limit = time.monotonic() + LIMIT
    with Run([Target(n, n + 1, url) for n, url in enumerate(urls)], Options(**{**SHORT, **options})) as run:
        for batch in run.batches():
            rows += [result for _, result in batch]
            look(run)
            assert time.monotonic() < limit, f"{len(rows)} rows after {LIMIT} s, paused: {run.paused}"
    return rows


def once_nobody_is_asked(network: Network) -> Callable[[Run], None]:
    """Return what lets *network* come back when a run waits for it and has nothing under way."""

    def look(run: Run) -> None:
        if run.paused and not run.waiting_for():
            network.come_back()

    return look


def test_an_outage_calls_no_host_dead() -> None:
    """While the network is away nobody is asked; then every host is, and no attempt is counted for what was spoiled."""
    with Network(last=20) as network:
        rows = rows_of(network.urls(150), once_nobody_is_asked(network))
    assert [(row.status, row.attempts) for row in rows] == [(200, 1)] * 150


def test_a_proxy_that_is_away_for_a_while_costs_no_row() -> None:
    """The way to the proxy is of our own network: while it is closed nobody is asked, and the proxy itself is tried."""
    with Network(last=20) as proxy:
        urls = [f"http://h{n}.test/" for n in range(150)]
        rows = rows_of(urls, once_nobody_is_asked(proxy), proxy=f"http://127.0.0.1:{proxy.port}")
    assert [(row.status, row.attempts) for row in rows] == [(200, 1)] * 150


def test_an_outage_amid_redirects_costs_no_attempt() -> None:
    """What was led from one host to the next before the network went away is asked again from its beginning."""

    def lead_on(request: Request) -> Script:
        if request.overall + 1 == 40:
            network.go_away()
        if request.path == "/end":
            return answer(200, keep=False)
        there = network.url("/end", host=request.local.replace("127.0.", "127.1."))
        return answer(302, headers=[("Location", there)], keep=False)

    with Network() as network:
        network.routes = {"*": lead_on}
        rows = rows_of(network.urls(150), once_nobody_is_asked(network))
    assert [(row.status, row.redirects, row.attempts) for row in rows] == [(200, 1, 1)] * 150


def test_without_retries_an_outage_costs_a_few_rows() -> None:
    """With --retries 0 the failures by which the outage was noticed stand; all others are made good."""
    with Network(last=20) as network:
        rows = rows_of(network.urls(150), once_nobody_is_asked(network), retries=0)
    assert len(rows) == 150
    lost = [row.outcome for row in rows if (row.status, row.attempts) != (200, 1)]
    assert lost == [Outcome.CONNECT_TIMEOUT] * (MANY - 1)


def test_dead_hosts_beside_a_live_one_are_told_in_time() -> None:
    """A tail of dead hosts is no outage: a host that lived is seen to live, after a pause of one second."""
    with Network() as alive, Network() as dead, within(4.0):
        dead.go_away()
        rows = rows_of(alive.urls(20) + dead.urls(12, first=20))
    assert sorted(row.outcome for row in rows) == [Outcome.CONNECT_TIMEOUT] * 12 + [Outcome.OK] * 20


def test_a_network_that_stays_away_ends_a_run_in_time() -> None:
    """After ten pauses of the longest kind what was not reached gets its row, its attempts as many as wanted."""
    with Network(last=5) as network, within(4.0):
        rows = rows_of(network.urls(60), connect_timeout=0.02, max_retry_wait=0.02)
    failed = [row for row in rows if row.status != 200]
    assert len(rows) == 60
    assert {(row.outcome, row.attempts) for row in failed} == {(Outcome.CONNECT_TIMEOUT, 2)}


def test_the_command_says_that_it_waits_for_the_network(tmp_path: Path) -> None:
    """With -v standard error tells of the outage while it lasts; afterwards every row is there."""
    told = tmp_path / "told.txt"
    with Network(last=20) as network, told.open("wb") as stderr:
        (tmp_path / "u.txt").write_text("\n".join(network.urls(60)))
        limits = ("-w8", "--connect-timeout=0.2", "--read-timeout=1", "--max-retry-wait=0.5")
        with start_command("u.txt", "-o", "o.csv", "-v", "--proxy=", *limits, cwd=tmp_path, stderr=stderr) as process:
            wait_for(lambda: "is this machine's network down?" in told.read_text())
            network.come_back()
            assert finish(process).status == 0
    assert [row["status"] for row in read_csv(tmp_path / "o.csv")] == ["200"] * 60
