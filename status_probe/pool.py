"""Idle connections: kept by origin, few in all, and used again only where that is safe.

A status must belong to the URL that was asked, so what a server leaves on a connection must never be read as the next
answer.  Three guards see to that, and none costs an honest server a round trip:

* before use a connection must be quiet: unread bytes, or its end, rule it out;
* an origin has to show once for each shape of answer (method, status, with a body or without) that nothing trails
  behind: one connection is left alone for QUIET_SECONDS.  Meanwhile a second one is opened, and only a third use in
  that time waits.  A body sent 30 ms after the answer to HEAD is seen by that, be it another whole answer;
* where anything odd was seen, the origin's connections are used once only from then on.

What is left is a connection used again at once, whose last answer had a shape that is in order elsewhere: the
transport looks twice at an answer on it that has a shape the origin never showed on a connection beyond doubt.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

from .connection import Connection, Shape

__all__ = ["Pool"]

QUIET_SECONDS = 0.1  # stray bytes were seen 30 to 50 ms behind an answer
IDLE_SECONDS = 20.0  # what is idle for longer may have been forgotten on the way, without a word
REMEMBERED_ORIGINS = 10_000
OPENED_BEFORE_WAITING = 2


class _Origin:
    """What was seen of one origin."""

    __slots__ = ("genuine", "idle", "listened", "odd", "opened", "proven")

    def __init__(self) -> None:
        self.idle: list[Connection] = []  # the most recently used last
        self.proven: frozenset[Shape | None] = frozenset()  # shapes of answers after which it was quiet
        self.genuine: frozenset[Shape | None] = frozenset()  # shapes seen where no earlier answer could leave them
        self.listened: frozenset[Shape | None] = frozenset()  # shapes of answers after which it took another request
        self.opened = 0
        self.odd = False


class Pool:
    """Idle connections of all origins, at most *max_idle*; the one unused for longest is closed first.

    An origin is any hashable: scheme, host and port, and the proxy.
    """

    def __init__(self, max_idle: int = 256) -> None:
        self._max_idle = max_idle
        self._lock = threading.Lock()  # guards all that follows
        self._origins: OrderedDict[Hashable, _Origin] = OrderedDict()  # the longest unused first
        self._idle: OrderedDict[Connection, Hashable] = OrderedDict()  # the longest idle first
        self._closed = False

    def take(self, origin: Hashable) -> Connection | None:
        """Return an idle connection to *origin* that is safe to use, or None: a new one is to be opened.

        ``waited`` of the connection says for how long, in seconds, it was watched: no time of the server's.
        """
        while True:
            with self._lock:
                known = self._origins.get(origin) or self._origin(origin)  # put() notes the use
                choice = self._choose(known)
                if choice is None:
                    known.opened += 1
                    return None
                connection, quiet_for = choice
                known.idle.remove(connection)
                del self._idle[connection]
            idle_for = time.monotonic() - connection.idle_since
            if idle_for > IDLE_SECONDS:
                connection.close()
                continue
            connection.waited = quiet_for
            connection.is_rested = quiet_for > 0 or idle_for >= QUIET_SECONDS
            stray = connection.listen(quiet_for)
            if stray is None:
                if connection.is_rested and connection.shape not in known.proven:
                    with self._lock:
                        known.proven |= {connection.shape}
                return connection
            connection.close()
            if stray:
                self.distrust(origin)

    def put(self, origin: Hashable, connection: Connection) -> None:
        """Keep a connection whose last answer was read to its end."""
        connection.rest()
        with self._lock:
            known = self._origin(origin)
            if known.odd or self._closed or not self._max_idle:
                surplus: Connection | None = connection
            else:
                known.idle.append(connection)
                self._idle[connection] = origin
                surplus = self._remove_oldest() if len(self._idle) > self._max_idle else None
        if surplus:
            surplus.close()

    def vouch(self, origin: Hashable, shape: Shape) -> None:
        """Note an answer that is the origin's own beyond doubt."""
        with self._lock:
            known = self._origin(origin)
            if shape not in known.genuine:
                known.genuine |= {shape}

    def knows(self, origin: Hashable, shape: Shape) -> bool:
        """Whether the origin gave an answer of this shape before, beyond doubt."""
        known = self._origins.get(origin)
        return known is not None and shape in known.genuine

    def listened(self, origin: Hashable, shape: Shape) -> None:
        """Note that the origin took another request on a connection whose last answer was of this shape."""
        with self._lock:
            self._origin(origin).listened |= {shape}

    def has_listened(self, origin: Hashable, shape: Shape) -> bool:
        """Whether it ever did."""
        known = self._origins.get(origin)
        return known is not None and shape in known.listened

    def distrust(self, origin: Hashable) -> None:
        """Never use a connection to *origin* twice from now on: something odd was seen."""
        with self._lock:
            self._origin(origin).odd = True
        self.drop(origin)

    def drop(self, origin: Hashable) -> None:
        """Close the idle connections to *origin*."""
        with self._lock:
            known = self._origin(origin)
            idle, known.idle = known.idle, []
            for connection in idle:
                del self._idle[connection]
        for connection in idle:
            connection.close()

    def clear(self) -> int:
        """Close all idle connections and return how many there were."""
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
            for known in self._origins.values():
                known.idle = []
        for connection in idle:
            connection.close()
        return len(idle)

    def close(self) -> None:
        """Close all, and keep none from now on."""
        self._closed = True
        self.clear()

    def _origin(self, origin: Hashable) -> _Origin:
        known = self._origins.get(origin)
        if known is None:
            known = self._origins[origin] = _Origin()
            if len(self._origins) > REMEMBERED_ORIGINS:
                self._forget_one()
        else:
            self._origins.move_to_end(origin)
        return known

    def _forget_one(self) -> None:
        for _ in range(len(self._idle) + 1):  # one with an idle connection is none to forget
            oldest, known = next(iter(self._origins.items()))
            if not known.idle:
                del self._origins[oldest]
                return
            self._origins.move_to_end(oldest)

    def _choose(self, known: _Origin) -> tuple[Connection, float] | None:
        """Return a connection and for how long, in seconds, it must be quiet before use."""
        if not known.idle:
            return None
        for connection in reversed(known.idle):
            if connection.shape in known.proven:
                return connection, 0.0
        oldest = known.idle[0]
        wait = max(0.0, oldest.idle_since + QUIET_SECONDS - time.monotonic())
        if wait and known.opened < OPENED_BEFORE_WAITING + len(known.proven):
            return None
        return oldest, wait

    def _remove_oldest(self) -> Connection:
        connection, origin = self._idle.popitem(last=False)
        self._origins[origin].idle.remove(connection)
        return connection
