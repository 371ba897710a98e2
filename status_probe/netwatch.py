"""NetworkWatch: tells an outage of our own network from hosts that are dead.  Pure logic and a lock; no I/O.

When many different hosts in a row could not be reached, and nothing answered in between, our side is suspected: the
run is to pause, for growing gaps, and a host that answered earlier is to be asked meanwhile.  Whatever answers
what was asked since then ends the suspicion.  What an outage may have spoiled is to be done again.

It comes to an end: until a first host answers there is no pause at all; pauses without an answer between them last
PATIENCE times the longest one in all; and a host feeds a suspicion once, until it answers, so dead hosts run out.
What that leaves open: two outages, the second while tasks put back in the first are what is left of the run.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum
from math import inf
from typing import NamedTuple

__all__ = ["NetworkWatch", "Orders", "Sign"]

MANY, MOST = 8, 32  # different hosts in a row for a suspicion: at first, and at last, as each one doubles it
PATIENCE = 10  # longest pauses in all, until something answers
SETTLED = 1.0  # seconds; the network was up that long into an attempt, then it had its chance
DOUBTS = 50_000  # hosts remembered as given a second chance, 8 MB; later ones get none


class Sign(Enum):
    """What the end of an attempt says of our network."""

    ALIVE = "something answered: a status, a refusal, a TLS alert"
    UNREACHED = "neither name nor connection: time-out, unreachable, 'try again'"
    UNCLEAR = "connected, then silence or the end; 'no such name'"


class Orders(NamedTuple):
    """What is to be done; nothing, mostly."""

    again: bool = False  # put the task back, and do not count the attempt
    pause: float = 0.0  # seconds for which nobody is to be asked
    resume: bool = False  # end the pause
    check: tuple[Hashable, ...] = ()  # hosts that answered before: if one can be connected to, tell ended(ALIVE)


class NetworkWatch:
    """Hears how attempts end, and says when to wait for our own network.

    A pause lasts at most *longest_pause* seconds; *clock* returns seconds.  Without *second_chances* what fails before
    there is a suspicion is not done again: the user wants one attempt only.
    """

    def __init__(
        self, longest_pause: float = 60.0, clock: Callable[[], float] = time.monotonic, *, second_chances: bool = True
    ) -> None:
        self._longest = longest_pause
        self._clock = clock
        self._second_chances = second_chances
        self._lock = threading.Lock()  # guards all that follows
        self._known: deque[Hashable] = deque(maxlen=3)  # hosts that answered, the last to be added last
        self._alive_at = -inf  # when something answered last
        self._in_a_row = 0  # different hosts not reached since then
        self._row_began = -inf  # the attempt at the first of them
        self._doubted: dict[Hashable, float] = {}  # host, until it answers, to the time of its second chance
        self._many = MANY
        self.down = False  # whether our network is under suspicion
        self._up_since = -inf  # the end of the last outage
        self._paused_until = -inf
        self._pauses = 0  # since something answered
        self._patience = PATIENCE * longest_pause  # seconds left for pauses

    def ended(self, host: Hashable, sign: Sign, began: float) -> Orders:
        """Tell how an attempt ended that *began* then, on the clock; return what is to be done."""
        with self._lock:
            now = self._clock()
            if sign is Sign.ALIVE:
                return self._alive(host, began, now)
            if not self._known:
                return Orders()
            if self.down or began < self._up_since:
                self._doubted.setdefault(host, now)  # what is dead after all is asked only once more
                return self._spoiled(sign, now)
            return self._doubt(host, began, now) if sign is Sign.UNREACHED else Orders()

    def _alive(self, host: Hashable, began: float, now: float) -> Orders:
        if host not in self._known:
            self._known.append(host)
        self._doubted.pop(host, None)
        if self._in_a_row and began < self._row_began:
            return Orders()  # the answer was on its way when the first of them failed
        was_down = self.down
        if was_down:
            self.down = False
            self._up_since = now
            self._many = min(2 * self._many, MOST)
        self._alive_at = now
        self._in_a_row = 0
        self._pauses = 0
        self._patience = PATIENCE * self._longest
        return Orders(resume=was_down)

    def _spoiled(self, sign: Sign, now: float) -> Orders:
        if self.down and sign is Sign.UNREACHED and now >= self._paused_until:
            return self._pause(now)
        return Orders(again=True, pause=max(0.0, self._paused_until - now) if self.down else 0.0)

    def _doubt(self, host: Hashable, began: float, now: float) -> Orders:
        if self._alive_at - began >= SETTLED or self._patience <= 0:
            return Orders()
        if host in self._doubted or len(self._doubted) >= DOUBTS:
            return Orders(again=self._second_chances and began <= self._doubted.get(host, -inf))
        self._doubted[host] = now
        if not self._in_a_row:
            self._row_began = began
        self._in_a_row += 1
        if self._in_a_row < self._many:
            return Orders(again=self._second_chances)
        self.down = True
        return self._pause(now)

    def _pause(self, now: float) -> Orders:
        if self._patience <= 0:
            self.down = False
            return Orders(resume=True)
        gap = min(2.0**self._pauses, self._longest, self._patience)
        self._pauses += 1
        self._patience -= gap
        self._paused_until = now + gap
        return Orders(again=True, pause=gap, check=tuple(self._known))
