"""What a server sees of a run: how many requests at once and how far apart, redirects like all others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from status_probe import Result, probe_urls
from tests.server import Request, Script, Server, answer, close, most_at_once, pause, redirect

JITTER = 0.03  # seconds between a start and the arrival of its request


def run(urls: Iterable[str], **options: Any) -> list[Result]:
    """Return the rows of a run over *urls*, in the order of the list."""
    return sorted(probe_urls(urls, proxy="", **options))


def gaps(requests: Iterable[Request]) -> list[float]:
    """Return the seconds between the arrivals of *requests*."""
    times = sorted(request.time for request in requests)
    return [later - earlier for earlier, later in pairwise(times)]


def by_host(requests: Iterable[Request]) -> dict[str, list[Request]]:
    hosts = defaultdict(list)
    for request in requests:
        hosts[request.local].append(request)
    return hosts


def url(server: Server, host: int, path: str = "/") -> str:
    return f"http://127.0.3.{host}:{server.port}{path}"


def test_redirects_to_one_host_keep_its_limit():
    """Thirty hosts that all lead to the same one: no more than per_host requests are at it at once."""

    def route(request: Request) -> Script:
        is_end = request.local == "127.0.3.200"
        return [pause(0.03), answer(204)] if is_end else redirect(url(server, 200, request.path))

    with Server(route, address="0.0.0.0") as server:
        rows = run([url(server, 1 + n, f"/{n}") for n in range(30)], workers=30, per_host=2)
        asked = by_host(server.log)["127.0.3.200"]
    assert [(row.status, row.redirects) for row in rows] == [(204, 1)] * 30
    assert len(asked) == 30
    assert most_at_once(asked) <= 2


def test_a_delay_lies_between_the_hops_of_a_redirect_too():
    """Requests of one chain to one host start as far apart as those of different URLs."""
    routes = {"/1": redirect("/2"), "/2": redirect("/3"), "/3": answer(200), "/4": answer(200)}
    with Server(routes) as server:
        rows = run([server.url("/1"), server.url("/4")], delay=0.15)
        assert len(server.log) == 4
        assert min(gaps(server.log)) > 0.15 - JITTER
    assert [row.status for row in rows] == [200, 200]


def test_a_rate_counts_every_request():
    """Redirects, and the GET that a refused HEAD leads to, come at the rate asked for."""
    by_method = {"HEAD": answer(405), "GET": answer(200)}
    with Server({"/a": redirect("/b"), "/b": answer(200), "/c": lambda request: by_method[request.method]}) as server:
        rows = run([server.url("/a"), server.url("/c")], rate=10, method="auto")
        assert len(server.log) == 4
        assert min(gaps(server.log)) > 0.1 - JITTER
    assert [(row.status, row.method) for row in rows] == [(200, "HEAD"), (200, "GET")]


def test_a_second_asking_on_a_new_connection_waits_for_its_turn():
    """Where a kept connection gave nothing that can be trusted the URL is asked again, as far apart as any other."""

    def tired(request: Request) -> Script:
        return answer(204) if request.first else [answer(408), close()]

    with Server(tired) as server:
        rows = run([server.url(f"/{n}") for n in range(4)], delay=0.1, retries=0)
        assert 4 < len(server.log) < 9
        assert min(gaps(server.log)) > 0.1 - JITTER
    assert [(row.status, row.attempts) for row in rows] == [(204, 1)] * 4


def test_a_wait_for_a_turn_is_not_the_attempts_time():
    """What a delay adds to a chain counts neither for max_time nor as elapsed_ms."""
    with Server({f"/{n}": redirect(f"/{n + 1}") for n in range(4)} | {"/4": answer(200)}) as server:
        [row] = run([server.url("/0")], delay=0.2, max_time=0.5)
    assert (row.status, row.redirects) == (200, 4)
    assert row.elapsed_ms is not None
    assert row.elapsed_ms < 300


def test_another_attempt_begins_at_the_listed_url():
    """A redirect whose end fails in passing is asked again from its start, and the row counts two attempts."""
    ends = iter([answer(503), answer(200)])
    with Server({"/a": redirect("/b"), "/b": lambda _: next(ends)}) as server:
        [row] = run([server.url("/a")], retry_wait=0.01)
        assert server.targets == ["/a", "/b", "/a", "/b"]
    assert (row.status, row.attempts) == (200, 2)


def test_a_retry_after_holds_the_host_that_sent_it():
    """A redirect's end asks for time: its own host is left alone for so long, the one that led there is not."""

    def route(request: Request) -> Script:
        if request.local == "127.0.3.1":
            return redirect(url(server, 2)) if request.path == "/0" else answer(200)
        busy = len(by_host(server.log)["127.0.3.2"]) == 1
        return answer(429, headers=[("Retry-After", "1")]) if busy else answer(200)

    with Server(route, address="0.0.0.0") as server:
        rows = run([url(server, 1, f"/{n}") for n in range(20)], workers=1)
        hosts = by_host(server.log)
    assert [row.status for row in rows] == [200] * 20
    first, second = hosts["127.0.3.2"]
    assert second.time - first.time > 1 - JITTER
    assert len([request for request in hosts["127.0.3.1"] if request.time < first.time + 0.5]) == 20
