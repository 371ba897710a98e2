"""Counting results, in bounded memory."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from status_probe.records import Outcome, Result
from status_probe.tally import LONGEST_EXAMPLE, Groups, Tally, Trouble

ANSWERS = [(Outcome.OK, 200), (Outcome.OK, 204), (Outcome.REDIRECT, 304), (Outcome.CLIENT_ERROR, 404),
           (Outcome.SERVER_ERROR, 503), (Outcome.NONSTANDARD, 999)]  # fmt: skip
FAILURES = [(Outcome.DNS_ERROR, None), (Outcome.REDIRECT_LOOP, 302), (Outcome.REDIRECT_LOOP, 301)]


def result(
    outcome: Outcome, status: int | None, *, ms: int | None = 10, url: str = "http://h/", verdict: str = ""
) -> Result:
    return Result(1, url, status, outcome, elapsed_ms=ms, verdict=verdict)


def answered(*times: tuple[str, int]) -> Tally:
    """Return a tally of an answer for each (host, milliseconds)."""
    tally = Tally()
    for host, ms in times:
        tally.add(result(Outcome.OK, 200, ms=ms), host)
    return tally


@given(st.lists(st.sampled_from(ANSWERS + FAILURES)))
def test_groups_are_all_rows(kinds: list[tuple[Outcome, int | None]]) -> None:
    """Whatever comes, the groups of the bar add up to the rows, and outcomes and statuses are those that came."""
    tally = Tally()
    for outcome, status in kinds:
        tally.add(result(outcome, status), "h")

    assert sum(tally.groups) == tally.rows == len(kinds)
    assert tally.outcomes == Counter(outcome for outcome, _ in kinds)
    assert tally.statuses == Counter(status for outcome, status in kinds if (outcome, status) in ANSWERS)


def test_each_group_has_its_outcomes() -> None:
    """An outcome is counted in the group that bears its name, every failure in "failed"."""
    tally = Tally()
    answers = [Outcome.OK, Outcome.REDIRECT, Outcome.CLIENT_ERROR, Outcome.SERVER_ERROR]
    for times, outcome in enumerate(answers, start=1):
        for _ in range(times):
            tally.add(result(outcome, 200), "h")
    tally.add(result(Outcome.TLS_ERROR, None), "h")
    tally.add(result(Outcome.LOCAL_ERROR, None), "h")

    assert tally.groups == Groups(ok=1, redirect=2, client_error=3, server_error=4, failed=2, nonstandard=0)


def test_a_failed_redirect_has_no_status_in_the_counts() -> None:
    """The last code of a redirect loop is no answer: it is counted as the failure it is, once for all such codes."""
    tally = Tally()
    for outcome, status in FAILURES[1:]:
        tally.add(result(outcome, status, url=f"http://h/{status}"), "h")

    assert not tally.statuses
    assert tally.troubles == [Trouble(Outcome.REDIRECT_LOOP, None, 2, "http://h/302")]


def test_troubles_are_commonest_first_with_their_first_url() -> None:
    """A trouble is a failure's outcome or a bad answer's status; good answers are none."""
    tally = Tally()
    tally.add(result(Outcome.OK, 200), "h")
    tally.add(result(Outcome.REDIRECT, 304), "h")
    tally.add(result(Outcome.CLIENT_ERROR, 410, url="http://h/gone"), "h")
    for path in "ab":
        tally.add(result(Outcome.CLIENT_ERROR, 404, url=f"http://h/{path}", verdict=path), "h")

    assert tally.troubles == [
        Trouble(Outcome.CLIENT_ERROR, 404, 2, "http://h/a"),
        Trouble(Outcome.CLIENT_ERROR, 410, 1, "http://h/gone"),
    ]


def test_verdicts_are_counted() -> None:
    """Rows are counted by verdict over all outcomes."""
    tally = Tally()
    for verdict, status in [("alive", 200), ("alive", 204), ("dead", 404)]:
        tally.add(result(Outcome.OK, status, verdict=verdict), "h")

    assert tally.verdicts == {"alive": 2, "dead": 1}


@given(st.lists(st.integers(0, 10**7), min_size=1), st.sampled_from([0.0, 0.01, 0.07, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_the_nearest_rank_within_a_64th(times: list[int], share: float) -> None:
    """A percentile is exact below 128 ms and at most 1/64 too small above, whatever the times."""
    true = sorted(times)[max(1, math.ceil(round(share * len(times), 6))) - 1]

    found = answered(*(("h", ms) for ms in times)).percentile(share)

    assert found is not None
    assert found == true if true < 128 else true * 63 / 64 <= found <= true


def test_a_share_that_is_no_binary_number_finds_its_rank() -> None:
    """Of the times 1 to 100 the seventh percentile is 7, though 0.07 * 100 is a little more."""
    assert answered(*(("h", ms) for ms in range(1, 101))).percentile(0.07) == 7


def test_only_answers_have_response_times() -> None:
    """A time-out says nothing about how fast a host answers: it gives no percentile and no slow host."""
    tally = Tally()
    tally.add(result(Outcome.READ_TIMEOUT, None, ms=15_000), "h")
    tally.add(result(Outcome.OK, 200, ms=None), "h")

    assert tally.percentile(0.5) is None
    assert tally.slowest == []


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 30)), max_size=60))
def test_the_slowest_hosts_are_the_true_five(times: list[tuple[str, int]]) -> None:
    """Though five hosts are kept at most, they are those with the longest answers of all, in whatever order."""
    longest: dict[str, int] = {}
    for host, ms in times:
        longest[host] = max(ms, longest.get(host, 0))

    slowest = answered(*times).slowest

    assert [ms for _, ms in slowest] == sorted(longest.values(), reverse=True)[:5]
    assert all(longest[host] == ms for host, ms in slowest)


def test_memory_does_not_grow_with_the_list() -> None:
    """Ten thousand hosts, long URLs and times, each slower than the one before, leave some kilobytes behind."""
    tally = Tally()
    tracemalloc.start()
    try:
        for n in range(10_000):
            tally.add(result(Outcome.OK, 200, ms=n, url=f"http://h{n}/" + "x" * 10_000), f"h{n}")
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept_bytes < 100_000


def test_an_example_is_cut() -> None:
    """A URL of a megabyte is not kept whole to be an example."""
    tally = Tally()
    tally.add(result(Outcome.INVALID_URL, None, url="x" * 1_000_000), "")

    assert [len(trouble.example) for trouble in tally.troubles] == [LONGEST_EXAMPLE]
