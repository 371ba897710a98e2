"""Pace: how fast one host may be asked.

A host that answers 429 or 503 again and again is asked with one request at a time and growing gaps until it
answers normally; then it recovers step by step.  In full, for a normal pace of 4 at once without a gap:

    normal --429--> warned --429--> 1 at once, 0.5 s --429--> 1 s --429--> 2 s ... the longest gap
                       '--200--> normal                 --200--> 2 at once, 1 s --200--> 3, 0.5 s --200--> normal

Source: RFC 6585, section 4, asks for nothing but Retry-After; halving and doubling are additive increase and
multiplicative decrease as in TCP (RFC 5681), with the gap in the place of the window's inverse.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FIRST_GAP", "Pace"]

FIRST_GAP = 0.5  # seconds; below it a gap is gone, so that a recovery takes few steps


class Pace(NamedTuple):
    """At most so many tasks of a host at once, and seconds between the starts of two; an immutable value."""

    at_once: int
    gap: float = 0.0
    warned: bool = False  # whether the host has complained; only the next complaint slows it down

    def slower(self, longest: float) -> Pace:
        """Return the pace after a complaint; the gap grows to *longest* seconds at most, or stays."""
        if not self.warned:
            return self._replace(warned=True)
        gap = max(FIRST_GAP, 2 * self.gap)
        return Pace(1, max(self.gap, min(gap, longest)), warned=True)

    def faster(self, normal: Pace) -> Pace:
        """Return the pace after a normal answer; *normal* itself when nothing is left to recover."""
        at_once = min(self.at_once + 1, normal.at_once)
        gap = self.gap / 2
        if gap < max(FIRST_GAP, normal.gap):
            gap = normal.gap
        return normal if (at_once, gap) == normal[:2] else Pace(at_once, gap, warned=True)
