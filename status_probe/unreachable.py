"""Hosts that do not even answer a connection attempt: remembered for a while, so that no list waits for each URL.

Ten thousand URLs on one dead host, four at a time, would take hours of connect timeouts.  So an origin whose last
ATTEMPTS in a row all ran into the connect timeout is not tried for as long as that timeout, counted from the last of
them; then one attempt is let through, whose end decides.  Anything else than silence, a refusal too, forgets it.

One that could be connected to before, in the same run, is more likely to begin anew than to be dead.  So its URLs are
put off until the next attempt, PATIENCE attempts long, and a refusal by it is passing.

Silence may also be our own network's fault.  So what began and ended while nobody could be connected to is forgotten
with the first connection that is made again, to whichever origin.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf
from typing import NamedTuple

__all__ = ["ATTEMPTS", "LeftAlone", "Unreachable"]

ATTEMPTS = 3
PATIENCE = 4  # further ones
REMEMBERED_ORIGINS = 10_000  # some 300 bytes each


class LeftAlone(NamedTuple):
    """An origin that is not to be tried now."""

    age: float  # seconds since the last attempt
    again_in: float  # seconds until the next may be made, if that is worth the wait, else 0


class _Silence:
    """Attempts at one origin that got no answer, in a row."""

    __slots__ = ("attempts", "began", "last", "network_was_up", "trying_since")

    def __init__(self, began: float) -> None:
        self.attempts = 0
        self.began = began  # the first of them
        self.last = began  # the last of them ended
        self.network_was_up = False  # something else could be connected to meanwhile
        self.trying_since = -inf  # the one that was let through


class Unreachable:
    """What is known of origins that are silent; shared by all threads.  *clock* returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards the next two
        self._silent: OrderedDict[Hashable, _Silence] = OrderedDict()  # the longest unchanged first
        self._lived: OrderedDict[Hashable, None] = OrderedDict()  # what could be connected to, the longest ago first
        self._connected = -inf  # when something could last be connected to

    def left_alone(self, origin: Hashable, seconds: float) -> LeftAlone | None:
        """Return why *origin* is not to be tried now, None where it is.

        *seconds* is for how long it is left alone, and how long an attempt may take.
        """
        if origin not in self._silent:  # without the lock: nearly always so
            return None
        with self._lock:
            silence, now = self._silent.get(origin), self._clock()
            if silence is None or silence.attempts < ATTEMPTS:
                return None
            if self._connected > silence.last and not silence.network_was_up:
                del self._silent[origin]
                return None
            again_in = max(silence.last, silence.trying_since) + seconds - now
            if again_in > 0:
                is_worth_it = origin in self._lived and silence.attempts < ATTEMPTS + PATIENCE
                return LeftAlone(now - silence.last, again_in if is_worth_it else 0.0)
            silence.trying_since = now
            return None

    def timed_out(self, origin: Hashable, began: float) -> None:
        """Note an attempt that began then and got no answer."""
        with self._lock:
            silence = self._silent.pop(origin, None) or _Silence(began)
            silence.attempts += 1
            silence.last = self._clock()
            silence.network_was_up = silence.network_was_up or self._connected > silence.began
            silence.trying_since = -inf
            self._silent[origin] = silence
            if len(self._silent) > REMEMBERED_ORIGINS:
                self._silent.popitem(last=False)

    def has_lived(self, origin: Hashable) -> bool:
        """Whether *origin* could be connected to before."""
        with self._lock:
            return origin in self._lived

    def connected(self, origin: Hashable) -> None:
        """Note an attempt that ended in a connection."""
        self.answered(origin)
        with self._lock:
            self._lived[origin] = None
            self._lived.move_to_end(origin)
            if len(self._lived) > REMEMBERED_ORIGINS:
                self._lived.popitem(last=False)

    def answered(self, origin: Hashable) -> None:
        """Note an attempt that got any answer."""
        self._connected = self._clock()
        if origin in self._silent:
            with self._lock:
                self._silent.pop(origin, None)
