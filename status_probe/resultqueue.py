"""The queue between the workers and the writer: bounded, with one reader who also has signals to hear."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

__all__ = ["ResultQueue"]

Item = TypeVar("Item")


class ResultQueue(Generic[Item]):
    """Items from any thread to one reader; where *most* wait for him, those who put wait for him too.

    The waiting is done beside SimpleQueue: up to Python 3.12 a signal that comes just when the time of its get() is
    over makes that wait for ever, for the time left is negative then.  So Ctrl-C could be what hangs a run.
    """

    def __init__(self, most: int) -> None:
        self.ended = False  # the reader has met the end
        self._most = most
        self._items: SimpleQueue[Item | None] = SimpleQueue()  # None is the end
        self._is_awaited = False  # by the reader, who found nothing: only then is it worth a hand-over to wake him
        self._came = threading.Event()
        self._room = threading.Condition()  # notified when the reader has taken some, and when nobody is to wait
        self._closed = threading.Event()  # the end is among the items
        self._is_open = False

    def put(self, item: Item) -> None:
        """Append *item*, when there is room."""
        if not self._has_room():
            with self._room:
                self._room.wait_for(self._has_room)
        self._put(item)

    def end(self) -> None:
        """Append the end."""
        self._put(None)
        self._closed.set()

    def rest(self, seconds: float) -> None:
        """Let items gather for so long; where no more will come, return at once."""
        self._closed.wait(seconds)

    def let_in(self) -> None:
        """Let nobody wait for room any more."""
        self._is_open = True
        self._tell_of_room()

    def qsize(self) -> int:
        """Return how many wait."""
        return self._items.qsize()

    def take(self, seconds: float) -> Iterator[Item]:
        """Yield what is there, and what comes meanwhile; where there is nothing, wait so long at most for the first."""
        try:
            item = self._first(seconds)
            while item is not None:
                yield item
                item = self._items.get_nowait()
            self.ended = True
        except Empty:
            pass
        finally:
            self._tell_of_room()

    def _has_room(self) -> bool:
        return self._is_open or self._items.qsize() < self._most

    def _tell_of_room(self) -> None:
        with self._room:
            self._room.notify_all()

    def _put(self, item: Item | None) -> None:
        self._items.put(item)
        if self._is_awaited:
            self._came.set()

    def _first(self, seconds: float) -> Item | None:
        self._came.clear()
        self._is_awaited = True  # before the look: whoever puts after it sees that
        try:
            return self._items.get_nowait()
        except Empty:
            self._came.wait(seconds)
        finally:
            self._is_awaited = False
        return self._items.get_nowait()
