"""One answer on its connection, and how far its body goes."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import wire
from .connection import Connection, Shape
from .wire import Head

__all__ = ["Answer"]


class Answer(NamedTuple):
    """A final answer's head, and what it takes to finish with its connection."""

    head: Head
    connection: Connection
    rest: bytes  # of the body, so far
    origin: tuple[Any, ...]
    method: str
    body_length: int | None  # bytes, None where only reading tells

    @property
    def shape(self) -> Shape:
        """What the pool tells kinds of answers by."""
        return self.method, self.head.status, self.body_length != 0

    @property
    def has_surplus(self) -> bool:
        """Whether more came than the answer: then it may itself be the surplus of another one."""
        try:
            end = self._end()
        except wire.ProtocolError:
            return True
        return end is not None and len(self.rest) > end

    @property
    def is_whole(self) -> bool:
        """Whether the body came along with the head; only for an answer without surplus."""
        return self._end() == len(self.rest)

    def _end(self) -> int | None:
        """Return where in ``rest`` the body ends, None where that cannot be told yet."""
        if self.body_length is None and self.is_chunked:
            return wire.chunked_end(self.rest)
        return self.body_length

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.head.chunked and self.head.has_body(self.method)
