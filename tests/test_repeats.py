"""Laws of repeats: asked once, a row for each line."""

from __future__ import annotations

import os
import threading
import tracemalloc

import pytest

from status_probe import repeats as room
from status_probe.records import Outcome, Result, Target
from status_probe.repeats import Claim, Repeats

WAIT_SECONDS = 5.0


def target(number: int, url: str = "http://a.test/") -> Target:
    return Target(number, number + 1, url)


def answer(number: int = 0, **values: object) -> Result:
    return Result(number + 1, "http://a.test/", 200, Outcome.OK, "OK")._replace(**values)  # type: ignore[arg-type]


def test_the_first_is_asked_and_the_others_wait() -> None:
    """Of one URL's lines the first is asked; those that come meanwhile get their own row and URL when it ends."""
    repeats = Repeats()
    assert repeats.claim(target(0), "k") is Claim.ASK
    assert repeats.claim(target(1, "http://me:secret@a.test/"), "k") is Claim.WAIT
    assert repeats.claim(target(2, "a.test"), "k") is Claim.WAIT
    rows = repeats.settle("k", answer())
    assert [(line.number, result.row, result.url) for line, result in rows] == [
        (1, 2, "http://me:***@a.test/"),
        (2, 3, "a.test"),
    ]
    assert {result.reason for _, result in rows} == {"OK"}
    repeats.close()


def test_a_late_line_gets_the_result_of_long_ago() -> None:
    """A line whose URL ended long before gets its result at once, in full and with its own row and URL."""
    full = Result(
        1, "u", None, Outcome.DNS_ERROR, "\ud800", "m", "f", 2, "c", 5, 4, "GET", "t", 9, "::1", "e", "h", "d"
    )
    repeats = Repeats()
    for number in range(1000):
        repeats.claim(target(number), f"k{number}")
        repeats.settle(f"k{number}", full._replace(elapsed_ms=number))
        if number % 7 == 0:  # reading and writing in turns
            late = repeats.claim(target(5000, "late"), f"k{number // 2}")
            assert late == full._replace(elapsed_ms=number // 2, row=5001, url="late")
            assert isinstance(late, Result)
            assert type(late.outcome) is Outcome
    repeats.close()


def test_other_urls_are_asked() -> None:
    """Different keys have nothing to do with each other, and nobody waits for what ended."""
    repeats = Repeats()
    assert [repeats.claim(target(n), f"k{n}") for n in range(3)] == [Claim.ASK] * 3
    assert repeats.settle("k1", answer()) == []
    assert repeats.settle("k1", answer()) == []
    repeats.close()


def test_a_shared_hash_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two URLs whose hashes are equal are both asked, and neither gets the other's result."""
    monkeypatch.setattr(room, "hash", lambda _: 1, raising=False)
    repeats = Repeats()
    repeats.claim(target(0), "a")
    repeats.settle("a", answer())
    assert repeats.claim(target(1), "b") is Claim.ASK
    repeats.settle("b", answer(status=404))
    late = repeats.claim(target(2), "b")
    assert isinstance(late, Result)
    assert late.status == 404
    assert repeats.claim(target(3), "a") is Claim.ASK
    repeats.close()


def test_what_an_earlier_run_asked_is_known() -> None:
    """A preloaded result is as good as one of this run."""
    repeats = Repeats()
    repeats.preload("k", answer(status=410))
    late = repeats.claim(target(4), "k")
    assert isinstance(late, Result)
    assert (late.status, late.row) == (410, 5)
    repeats.close()


@pytest.mark.parametrize("end", ["settle", "stop"])
def test_waiting_lines_are_bounded(end: str) -> None:
    """When too many lines wait, a further one blocks until some are settled, or all is stopped."""
    repeats = Repeats(max_waiting=2)
    assert [repeats.claim(target(n), "k") for n in range(3)] == [Claim.ASK, Claim.WAIT, Claim.WAIT]
    begun = threading.Event()
    claims: list[Claim | Result] = []

    def feed() -> None:
        begun.set()
        claims.extend(repeats.claim(target(3), key) for key in ("k", "other", "other"))

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert begun.wait(WAIT_SECONDS)
    feeder.join(0.05)
    assert feeder.is_alive(), "it did not block"
    if end == "settle":
        assert len(repeats.settle("k", answer())) == 2
    else:
        repeats.stop()
    feeder.join(WAIT_SECONDS)
    blocked = feeder.is_alive()
    repeats.close()
    feeder.join(WAIT_SECONDS)
    assert claims == [answer(3) if end == "settle" else Claim.WAIT, Claim.ASK, Claim.WAIT]
    assert not blocked, "what was settled still counts as waiting"


def test_each_line_gets_one_row_whatever_the_threads_do() -> None:
    """With one thread claiming and one settling, each line is asked, copied or returned by settle exactly once."""
    repeats = Repeats(max_waiting=5)
    asked: list[Target] = []
    rows: list[int] = []
    copies: list[int] = []
    more = threading.Semaphore(0)

    def claim_all() -> None:
        for number in range(2000):
            line = target(number, f"u{number * 7 % 50}")
            claim = repeats.claim(line, line.url)
            if claim is Claim.ASK:
                asked.append(line)
                more.release()
            elif isinstance(claim, Result):
                copies.append(number)

    feeder = threading.Thread(target=claim_all)
    feeder.start()
    try:
        for place in range(50):
            assert more.acquire(timeout=WAIT_SECONDS)
            rows.append(asked[place].number)
            rows.extend(line.number for line, _ in repeats.settle(asked[place].url, answer()))
        feeder.join(WAIT_SECONDS)
    finally:
        repeats.stop()
    assert sorted(rows + copies) == list(range(2000))
    repeats.close()


def test_a_lost_temporary_file_costs_a_request_only() -> None:
    """Where results can no longer be kept, nothing fails: a repeat is asked again."""
    repeats = Repeats()
    repeats.preload("a", answer())
    assert repeats._file is not None
    repeats._file.close()
    assert repeats.claim(target(0), "a") is Claim.ASK
    assert repeats.settle("a", answer()) == []
    assert repeats.claim(target(1), "a") is Claim.ASK
    repeats.close()


@pytest.mark.skipif(os.name == "nt", reason="a limit of files' sizes is POSIX's")
def test_a_disk_that_was_full_for_a_while_costs_few_requests() -> None:
    """What a full disk took in part is asked again; what ends when there is room again is remembered as ever."""
    import resource

    repeats = Repeats()
    repeats.settle("first", answer())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        repeats.settle("long", answer(reason="x" * 300_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    repeats.settle("later", answer(reason="there"))
    later = repeats.claim(target(9), "later")
    assert isinstance(later, Result)
    assert later.reason == "there"
    assert repeats.claim(target(9), "long") is Claim.ASK
    repeats.close()


def test_a_distinct_url_costs_at_most_200_bytes() -> None:
    """Memory is at most 200 bytes for each distinct URL, also while a table grows."""
    urls, out = 50_000, 1_000
    repeats, line, result = Repeats(), target(0), answer()
    tracemalloc.start()
    try:
        for number in range(urls):
            repeats.claim(line, f"https://www.example.test/a/long/path/{number}")
            if number >= out:
                repeats.settle(f"https://www.example.test/a/long/path/{number - out}", result)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        repeats.close()
    assert peak / urls < 200
