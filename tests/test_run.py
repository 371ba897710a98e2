"""A run by itself: what it counts, and that no line is left without its row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from status_probe.options import Options
from status_probe.probe import Probe
from status_probe.records import Asking, Target
from status_probe.repeats import Repeats
from status_probe.run import Run
from status_probe.workers import ThreadLost
from tests.asking import trusted, within
from tests.server import Server, answer, hang, pause, redirect, server_context


def run_over(*urls: str, **options: object) -> Run:
    targets = [Target(number, number + 1, url) for number, url in enumerate(urls)]
    return Run(targets, Options(proxy="", **options))  # type: ignore[arg-type]


def test_handshakes_are_counted() -> None:
    """Each connection under TLS counts once, others do not: the command's use of CPUs depends on it."""
    with Server(answer(200), tls=server_context()) as secure, Server(answer(200)) as plain:
        urls = [secure.url("/1"), plain.url("/2"), plain.url("/3")]
        with run_over(*urls, ca_bundle=trusted()) as run:
            rows = [result for batch in run.batches() for _, result in batch]
    assert [row.status for row in rows] == [200] * 3
    assert run.handshakes == 1


def test_a_body_is_waited_for_only_where_its_connection_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a page is of use to the next URL of its host alone; where there is none, nothing waits for it."""
    monkeypatch.setattr("status_probe.transport.DRAIN_SECONDS", 20.0)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    slow, endless = [head, pause(0.03), b"body"], [head, hang()]
    with Server({"/last": endless, "*": slow}) as server:
        urls = [*(server.url(f"/{n}") for n in range(5)), server.url("/last")]
        with within(10.0), run_over(*urls, per_host=1, workers=1) as run:
            rows = [result for batch in run.batches() for _, result in batch]
        assert server.connections < 4
    assert [row.status for row in rows] == [200] * 6


def test_a_connection_is_wanted_by_what_is_listed_elsewhere_and_led_here() -> None:
    """A list of one host mostly redirects to another: the connections there are used again, be its bodies late."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    with Server([head, pause(0.02), b"body"]) as site, Server(lambda request: redirect(site.url(request.path))) as door:
        with within(10.0), run_over(*(door.url(f"/{n}") for n in range(12)), workers=1) as run:
            rows = [result for batch in run.batches() for _, result in batch]
        assert site.connections < 4
    assert [row.status for row in rows] == [200] * 12


def test_a_connection_may_be_wanted_by_what_a_slow_list_still_brings() -> None:
    """A program that hands over the next URL when it has the last result uses few connections, too."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    came = threading.Semaphore(1)

    def slowly() -> Iterator[Target]:
        for number in range(12):
            assert came.acquire(timeout=5)
            yield Target(number, number + 1, server.url(f"/{number}"))

    with Server([head, pause(0.02), b"body"]) as server:
        with within(10.0), Run(slowly(), Options(proxy="", workers=2)) as run:
            for batch in run.batches():
                for _, result in batch:
                    assert result.status == 200
                    came.release()
        assert len(server.log) == 12
        assert server.connections < 4


def test_a_repeat_that_comes_as_the_list_ends_has_its_row() -> None:
    """Between the two questions whether a result is still needed the feeder may come to its end."""

    class Late(Repeats):
        @property
        def has_waiting(self) -> bool:
            waiting = super().has_waiting
            run.workers.is_fed = True  # its last line began to wait just after
            return waiting

    run = run_over()
    run._repeats = Late()
    assert run._may_be_listed_again()
    run._repeats.close()
    run._session.close()


def test_a_run_whose_thread_has_died_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread dies of without memory is raised after the rows that came, not waited for."""
    asking = Probe.asking

    def die(probe: Probe, target: Target, *arguments: Any) -> Asking:
        if target.number == 5:
            raise SystemExit
        return asking(probe, target, *arguments)

    monkeypatch.setattr(Probe, "asking", die)
    with Server(answer(410)) as server:
        targets = [Target(n, n + 1, server.url(f"/{n}")) for n in range(50)]
        with within(10.0), Run(targets, Options(proxy="", workers=4)) as run:
            batches = run.batches()
            with pytest.raises(ThreadLost):
                list(batches)


def test_a_thread_that_is_gone_without_a_word_ends_the_run() -> None:
    """One that could not even say so is noticed, however long the others are at work."""
    with Server(hang()) as server:
        run = Run([Target(0, 1, server.url())], Options(proxy="", workers=2, max_time=30.0))
        with within(10.0), run:
            gone = threading.Thread(target=lambda: None)
            gone.start()
            gone.join()
            run.workers._threads.append(gone)
            batches = run.batches()
            with pytest.raises(ThreadLost):
                list(batches)
