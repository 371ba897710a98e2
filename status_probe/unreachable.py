"""Hosts that do not even answer a connection attempt: remembered for a while, so that no list waits for each URL.

Ten thousand URLs on one dead host, four at a time, would take hours of connect timeouts.  So an origin whose last
ATTEMPTS in a row all ran into the connect timeout is not tried for as long as that timeout, counted from the last of
them; then one attempt is let through, whose end decides.  Anything else than silence, a refusal too, forgets it.

Silence may also be our own network's fault.  So what began and ended while nobody could be connected to is forgotten
with the first connection that is made again, to whichever origin.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf

__all__ = ["ATTEMPTS", "Unreachable"]

ATTEMPTS = 3
REMEMBERED_ORIGINS = 10_000  # some 300 bytes each


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
        self._lock = threading.Lock()  # guards the next one
        self._silent: OrderedDict[Hashable, _Silence] = OrderedDict()  # the longest unchanged first
        self._connected = -inf  # when something could last be connected to

    def silent_for(self, origin: Hashable, seconds: float) -> float | None:
        """Return the age in seconds of the last attempt where *origin* is not to be tried now, else None.

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
            if now - max(silence.last, silence.trying_since) < seconds:
                return now - silence.last
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

    def answered(self, origin: Hashable) -> None:
        """Note an attempt that got any answer."""
        self._connected = self._clock()
        if origin in self._silent:
            with self._lock:
                self._silent.pop(origin, None)
