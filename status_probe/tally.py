"""What a run has seen so far, counted: statuses, outcomes, verdicts, failures, speed.  No output, no clock.

A list may hold ten million lines, so nothing here grows with it.  Rows are counted by kind (outcome, status, verdict),
of which there are some hundreds at most; each kind keeps its first URL as its example; response times go to a
histogram; and of the hosts only the five slowest are kept.

One thread at a time may use a Tally: in a run, the one that writes the rows.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import NamedTuple

from .records import Outcome, Result

__all__ = ["Groups", "Tally", "Trouble"]

SLOWEST = 5  # hosts that are kept
LONGEST_EXAMPLE = 500  # characters of a URL that are kept: more than a terminal shows
FINE_BITS = 7  # times below 2**7 ms are counted exactly, longer ones in steps of at most 1/64 of themselves

_Kind = tuple[Outcome, "int | None", str]  # outcome, status, verdict: what rows are counted by
_TROUBLE = frozenset(Outcome) - {Outcome.OK, Outcome.REDIRECT}


class Groups(NamedTuple):
    """Rows by what came of them, as coarse as a progress bar has room for; together they are all rows."""

    ok: int = 0
    redirect: int = 0
    client_error: int = 0
    server_error: int = 0
    failed: int = 0  # no final answer
    nonstandard: int = 0


class Trouble(NamedTuple):
    """A failure, or an answer of 4xx, 5xx or no known class, and how often it came."""

    outcome: Outcome
    status: int | None  # None for a failure, also where a redirect's status was its last answer
    rows: int
    example: str  # the first URL it came for


class Tally:
    """Counts of results, in memory that does not depend on how many there are."""

    def __init__(self) -> None:
        self.rows = 0
        self._kinds: dict[_Kind, int] = {}
        self._examples: dict[_Kind, str] = {}  # the same keys, in order of appearance
        self._times: defaultdict[int, int] = defaultdict(int)  # rows by bucket, see _bucket
        self._slowest: dict[str, int] = {}  # longest answer in ms by host
        self.slow_floor = -1  # milliseconds that an answer must exceed for its host to be of interest

    def add(self, result: Result, host: str) -> None:
        """Count *result*, whose URL is on *host*; that is of no interest for one of no more than ``slow_floor``."""
        # Called for each row on the thread that also writes it, hence the plain code: 0.4 us a row (CPython 3.11).
        self.rows += 1
        status = result.status
        kind = (result.outcome, status, result.verdict)
        try:
            self._kinds[kind] += 1
        except KeyError:
            self._kinds[kind] = 1
            self._examples[kind] = result.url[:LONGEST_EXAMPLE]
        elapsed_ms = result.elapsed_ms
        if status is not None and elapsed_ms is not None:
            self._times[_bucket(elapsed_ms)] += 1
            if elapsed_ms > self.slow_floor:
                self._note_slow(host, elapsed_ms)

    def _note_slow(self, host: str, elapsed_ms: int) -> None:
        """Keep *host* among the slowest if it belongs there.

        Only a host's longest answer counts, so a host that was dropped, or never taken up, loses nothing: none of its
        answers was longer than those kept, and a longer one brings it back.  So the five are the true five.
        """
        slowest = self._slowest
        slowest[host] = max(elapsed_ms, slowest.get(host, -1))
        if len(slowest) > SLOWEST:
            del slowest[min(reversed(slowest), key=slowest.__getitem__)]  # of equals the one that came last
        if len(slowest) == SLOWEST:
            self.slow_floor = min(slowest.values())

    # What one may ask.  Each answer is put together when asked for; with some hundred kinds that takes microseconds.

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Rows by outcome."""
        counts: Counter[Outcome] = Counter()
        for (outcome, _, _), count in self._kinds.items():
            counts[outcome] += count
        return counts

    @property
    def statuses(self) -> Counter[int]:
        """Rows by final status; a failure has none, though a redirect may have led to it."""
        counts: Counter[int] = Counter()
        for (outcome, status, _), count in self._kinds.items():
            if status is not None and outcome.is_answer:
                counts[status] += count
        return counts

    @property
    def verdicts(self) -> Counter[str]:
        """Rows by verdict."""
        counts: Counter[str] = Counter()
        for (_, _, verdict), count in self._kinds.items():
            counts[verdict] += count
        return counts

    @property
    def groups(self) -> Groups:
        """Rows by the coarse classes of a progress bar."""
        by = self.outcomes
        ok, redirect = by[Outcome.OK], by[Outcome.REDIRECT]
        client_error, server_error = by[Outcome.CLIENT_ERROR], by[Outcome.SERVER_ERROR]
        nonstandard = by[Outcome.NONSTANDARD]
        failed = self.rows - ok - redirect - client_error - server_error - nonstandard
        return Groups(ok, redirect, client_error, server_error, failed, nonstandard)

    @property
    def troubles(self) -> list[Trouble]:
        """Failures by outcome and bad answers by status, the commonest first."""
        counts: Counter[tuple[Outcome, int | None]] = Counter()
        examples: dict[tuple[Outcome, int | None], str] = {}
        for kind, count in self._kinds.items():
            outcome, status, _ = kind
            if outcome in _TROUBLE:
                name = (outcome, status if outcome.is_answer else None)
                counts[name] += count
                examples.setdefault(name, self._examples[kind])
        return [Trouble(*name, count, examples[name]) for name, count in counts.most_common()]

    @property
    def slowest(self) -> list[tuple[str, int]]:
        """The five hosts with the longest answers, slowest first: name and milliseconds of that answer."""
        return sorted(self._slowest.items(), key=lambda item: -item[1])

    def percentile(self, share: float) -> int | None:
        """Return the time in ms within which *share* (0 to 1) of the answers came, or None without answers.

        It is the nearest rank, exact below 128 ms and at most 1/64 too small above.
        """
        answers = sum(self._times.values())
        rank = max(1, math.ceil(round(share * answers, 6)))  # 0.07 * 100 is a little above 7
        for bucket in sorted(self._times):
            rank -= self._times[bucket]
            if rank <= 0:
                return _least(bucket)
        return None


def _bucket(elapsed_ms: int) -> int:
    """Return the histogram's bucket for a time: its seven leading bits, and how many follow."""
    shift = max(0, elapsed_ms.bit_length() - FINE_BITS)
    return (shift << FINE_BITS) | (elapsed_ms >> shift)


def _least(bucket: int) -> int:
    """Return the least time that falls into *bucket*."""
    return (bucket & ((1 << FINE_BITS) - 1)) << (bucket >> FINE_BITS)
