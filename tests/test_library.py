"""The library: lazy, typed, and gone when it is let go."""

from __future__ import annotations

import ast
import asyncio
import gc
import itertools
import subprocess
import sys
import threading
import time
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import status_probe
from status_probe import Outcome, Result, probe_urls
from status_probe.options import Options
from status_probe.turns import Turns
from tests.server import Server, answer, closed_port, hang

DIRECT: dict[str, Any] = {"proxy": ""}


def test_each_url_gets_a_result() -> None:
    """Results are typed, and *row* says which URL of the iterable each belongs to."""
    with Server({"/ok": answer(200)}) as server:
        urls = [server.url("/ok"), server.url("/missing"), "no url", f"  {server.url('/ok')}\n"]
        results = sorted(probe_urls(urls, **DIRECT))
    assert [(result.row, result.status, result.outcome) for result in results] == [
        (1, 200, Outcome.OK), (2, 404, Outcome.CLIENT_ERROR), (3, None, Outcome.INVALID_URL), (4, 200, Outcome.OK),
    ]  # fmt: skip
    assert all(type(result) is Result for result in results)


def test_nothing_happens_before_the_first_result_is_asked_for() -> None:
    """A call checks its options only: no URL is read, no thread started."""
    before = threading.active_count()
    results = probe_urls(iter_that_fails(), **DIRECT)
    assert threading.active_count() == before
    del results


def iter_that_fails() -> Iterator[str]:
    raise AssertionError("it was read")
    yield ""


def test_an_endless_iterable_is_read_ahead_within_bounds() -> None:
    """Of URLs without an end no more are taken than wait in the queue, and results come meanwhile."""
    taken = itertools.count()
    with Server(answer(200), address="0.0.0.0") as server:
        urls = (server.url(f"/{n}", host=f"127.{n // 200 % 100 + 1}.{n % 200}.1") for n in taken)
        results = probe_urls(urls, workers=4, **DIRECT)
        for _ in range(10):
            assert next(results).status == 200
        results.close()  # type: ignore[attr-defined]
    assert next(taken) < 5000  # in sight, and asked meanwhile


def test_closing_early_asks_nothing_more() -> None:
    """After close() all threads end and no further request arrives."""
    before = threading.active_count()
    with Server(answer(200)) as server:
        results = probe_urls((server.url(f"/{n}") for n in itertools.count()), workers=8, **DIRECT)
        next(results)
        began = time.monotonic()
        results.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 2
        asked = len(server.log)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith(("worker", "feeder"))]
        assert len(server.log) == asked
    assert threading.active_count() == before


def test_results_that_live_on_do_not_hold_up_the_interpreters_end() -> None:
    """A script that breaks out of its loop and ends: the run's threads are gone then, and may have held any lock."""
    script = (
        "import itertools, status_probe\n"
        "results = status_probe.probe_urls(map('no url {}'.format, itertools.count()), proxy='')\n"
        "print(next(results).outcome.value)\n"
        "results.gi_frame.f_locals['run']._queue.mutex.acquire()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "invalid_url\n", "")


def test_the_collector_may_end_it_on_any_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results let go of in a cycle are found by a worker, in the midst of taking a task; its run ends all the same."""
    take = Turns.take

    def collect_and_take(turns: Turns[Any], now: float) -> Any:
        gc.collect()
        return take(turns, now)

    def begin() -> None:
        results = probe_urls((server.url(f"/{n}") for n in itertools.count()), workers=4, **DIRECT)
        next(results)
        cycle = [results]
        cycle.append(cycle)  # type: ignore[arg-type]

    before = threading.active_count()
    with Server(answer(200)) as server:
        begin()
        monkeypatch.setattr(Turns, "take", collect_and_take)
        limit = time.monotonic() + 10
        while threads := [each for each in threading.enumerate() if each.name.startswith(("worker", "feeder", "end"))]:
            assert time.monotonic() < limit, f"left alive: {threads}"
            threads[0].join(0.1)
    assert threading.active_count() == before


def test_closing_does_not_wait_for_a_silent_server() -> None:
    """A worker that waits for an answer ends within max_time, and close() before it."""
    with Server({"/ok": answer(200), "/stuck": hang()}) as server:
        urls = [server.url("/ok"), server.url("/stuck")]
        results = probe_urls(urls, max_time=3.0, **DIRECT)
        next(results)
        server.wait_until(lambda: len(server.log) == 2)
        began = time.monotonic()
        results.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 2


def test_what_the_iterable_raises_comes_after_its_results() -> None:
    """An error of the caller's own iterable is raised as it is; what came before it was asked."""

    def urls() -> Iterator[str]:
        yield server.url("/")
        raise KeyError("mine")

    with Server(answer(200)) as server:
        results = probe_urls(urls(), **DIRECT)
        assert next(results).status == 200
        with pytest.raises(KeyError, match="mine"):
            next(results)


def test_an_item_that_is_no_text_is_a_result() -> None:
    """None in a list of thousands does not end the run."""
    results = sorted(probe_urls([None, b"http://a/", 5], **DIRECT))  # type: ignore[list-item]
    assert [result.outcome for result in results] == ["invalid_url"] * 3
    assert "NoneType" in results[0].error


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, ValueError])
def test_whatever_the_items_raise_is_raised(end: type[BaseException]) -> None:
    """After the results of what came before, also what ends a program; nothing hangs."""

    def items() -> Iterator[str]:
        yield "no url"
        raise end

    results = probe_urls(items(), **DIRECT)
    assert next(results).outcome == "invalid_url"
    with pytest.raises(end):
        next(results)


@pytest.mark.parametrize(
    "header", ["secret", ": secret", ["X: y", "secret"], [""], None, 5, [5], b"secret: x", [("X", "secret")]]
)
def test_a_header_is_a_name_and_a_value(header: Any) -> None:
    """What is no line of a header is told when called, without its text."""
    with pytest.raises(ValueError, match="header") as raised:
        probe_urls([], header=header)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("headers", ["X: y", 5, None, [("X", "secret", 1)], {"X": b"secret"}, [("X", None)]])
def test_headers_are_pairs_of_texts(headers: Any) -> None:
    """Anything else is told when called, by its name."""
    with pytest.raises(ValueError, match="header") as raised:
        probe_urls([], headers=headers)
    assert "secret" not in str(raised.value)


def test_a_scheme_within_a_query_is_none_of_the_url() -> None:
    """A URL that names no scheme is not taken for the one that does, whatever its query holds."""
    with Server(answer(200)) as server:
        place = f"127.0.0.1:{server.port}/?u=http://x"
        results = list(probe_urls([place, f"https://{place}"], retries=0, **DIRECT))
    assert sorted(str(result.outcome) for result in results) == ["ok", "tls_error"]


def test_a_repeated_url_is_asked_once_unless_told() -> None:
    """dedupe gives every item its result from one request."""
    with Server(answer(200)) as server:
        assert [result.status for result in probe_urls([server.url("/")] * 5, **DIRECT)] == [200] * 5
        assert len(server.log) == 1
        assert len(list(probe_urls([server.url("/")] * 5, dedupe=False, **DIRECT))) == 5
        assert len(server.log) == 6
        assert len(list(probe_urls([server.url("/")] * 5, no_dedupe=True, **DIRECT))) == 5
        assert len(server.log) == 11


def test_options_bear_the_commands_names() -> None:
    """Headers may be a mapping, pairs or lines, hosts a mapping to an address or several; each arrives."""
    with Server({"/": answer(200), "/gone": answer(302, headers=[("Location", "/")])}) as server:
        urls = [f"http://name.test:{server.port}/gone"]
        (result,) = probe_urls(
            urls, headers={"X-Mine": "1"}, hosts={"name.test": ["127.0.0.1"]}, method="head", max_redirects=0, **DIRECT
        )
        assert (result.status, result.method, result.ip) == (302, "HEAD", "127.0.0.1")
        assert server.log[0].header("X-Mine") == "1"
        list(probe_urls(urls, headers=[("X-Mine", "2")], hosts={"Name.test.": "127.0.0.1"}, **DIRECT))
        assert server.log[1].header("X-Mine") == "2"
        list(probe_urls(urls, header=["X-Mine: 3", "X-Other: a:b"], hosts={"name.test": "127.0.0.1"}, **DIRECT))
        assert (server.log[-1].header("X-Mine"), server.log[-1].header("X-Other")) == ("3", "a:b")


def test_mistakes_are_raised_when_called() -> None:
    """An unknown option, a value that one cannot have, and a single text for a list are told at once."""
    with pytest.raises(TypeError, match="'worker'"):
        probe_urls([], worker=5)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="--workers: '0'"):
        probe_urls([], workers=0)
    with pytest.raises(ValueError, match="dedupe: a str"):
        probe_urls([], no_dedupe="false")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one text"):
        probe_urls("http://a/")
    for hosts in ({"a.test": "b.test"}, {"a.test": ["127.0.0.1", "127.0.1"]}, {"a.test": []}, {"a b": "127.0.0.1"}):
        with pytest.raises(ValueError, match="hosts: 'a"):
            probe_urls([], hosts=hosts)


def test_results_come_while_others_are_awaited() -> None:
    """A silent server holds its own result back only."""
    with Server({"/stuck": hang(), "/ok": answer(200)}) as server, closed_port() as (address, port):
        urls = [server.url("/stuck"), server.url("/ok"), f"http://{address}:{port}/"]
        results = probe_urls(urls, max_time=0.5, retries=0, **DIRECT)
        outcomes = [result.outcome.value for result in results]
    assert sorted(outcomes[:2]) == ["connect_refused", "ok"]
    assert outcomes[2] in ("deadline_exceeded", "read_timeout")


def test_the_names_can_be_looked_up() -> None:
    """A prompt completes what is imported on first use only; and annotations can be evaluated where Python has them."""
    assert {"probe_urls", "Result", "Outcome"} <= set(dir(status_probe))
    if sys.version_info >= (3, 11):
        assert typing.get_type_hints(probe_urls)["urls"] == Iterable[str]


def test_type_checkers_know_every_option() -> None:
    """The typed names are those that Options has, and two that only the command knows by these names."""
    tree = ast.parse(Path(status_probe.__file__).with_name("library.py").read_text("utf-8"))
    (typed,) = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = [ast.unparse(entry.target) for entry in typed.body if isinstance(entry, ast.AnnAssign)]
    assert [name for name in names if name not in ("no_dedupe", "header")] == list(Options.__dataclass_fields__)
