"""Pace: how fast one host may be asked.

A host that answers 429 or 503 again and again is asked with one request at a time and growing gaps until it
answers normally; then it recovers step by step, up to a pace below the one at which it complained.  In full, for a
normal pace of 4 at once without a gap:

    normal --429--> warned --429--> 1 at once, 0.5 s --429--> 1 s --429--> 2 s ... the longest gap
                       '--200--> normal                 --200--> 2 at once, 1 s --200--> 2, 0.5 s --200--> 2

Where it complains again at 2 at once, it recovers up to 1 the next time, then to 1 with a gap, a short one that
doubles.  Each FORGIVEN_AFTER normal answers take one of these steps back.

Source: RFC 6585, section 4, asks for nothing but Retry-After; halving and doubling are additive increase and
multiplicative decrease as in TCP (RFC 5681), with the gap in the place of the window's inverse, and the pace that is
recovered to in the place of ssthresh.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FIRST_GAP", "FORGIVEN_AFTER", "Pace"]

FIRST_GAP = 0.5  # seconds; below it a gap is gone, so that a recovery takes few steps
SHORT_GAPS = (1 / 64, 1 / 32, 1 / 16)  # of hosts that complain where they are asked one at a time without any
FORGIVEN_AFTER = 100


class Pace(NamedTuple):
    """At most so many tasks of a host at once, and seconds between the starts of two; an immutable value."""

    at_once: int
    gap: float = 0.0
    warned: bool = False  # whether the host has complained; only the next complaint slows it down
    steps: int = 0  # below the normal pace that it recovers to
    good: int = 0  # normal answers since it complained, or was forgiven a step

    def slower(self, longest: float) -> Pace:
        """Return the pace after a complaint; the gap grows to *longest* seconds at most, or stays."""
        if not self.warned:
            return self._replace(warned=True, good=1)  # until now it answered
        gap = max(FIRST_GAP, 2 * self.gap)
        steps = self.steps + 1 if self.good else self.steps  # else it was slower already than it could be
        return Pace(1, max(self.gap, min(gap, longest)), True, steps)

    def faster(self, normal: Pace, longest: float) -> Pace:
        """Return the pace after a normal answer; *normal* itself when nothing is left to recover."""
        halvings = normal.at_once.bit_length() - 1
        steps, good = min(self.steps, halvings + len(SHORT_GAPS)), self.good + 1
        if good > FORGIVEN_AFTER and steps:
            steps, good = steps - 1, 1
        least = max(normal.gap, min(longest, SHORT_GAPS[steps - halvings - 1])) if steps > halvings else normal.gap
        gap = self.gap / 2
        if gap < max(FIRST_GAP, least):
            gap = least
        at_once = min(self.at_once + 1, max(1, normal.at_once >> steps))
        return normal if (at_once, gap) == normal[:2] else Pace(at_once, gap, True, steps, good)
