"""A URL that is listed again is asked once, and every line gets its row.

The first line of a URL is asked; later ones wait while it is out, or take its result from a temporary file, however
long ago it ended.  What stays in memory for a URL that has ended is a hash and an offset, some 120 bytes.  The file
holds the URL as well, so two that share a hash are told apart.

One condition's lock guards everything.  Those who wait for it are in `Repeats.claim`, while too many lines wait;
`Repeats.settle` and `Repeats.stop` wake them.
"""

from __future__ import annotations

import contextlib
import marshal
import tempfile
import threading
from enum import Enum
from typing import IO, Final

from .records import Outcome, Result, Target
from .urls import redact

__all__ = ["Claim", "Repeats"]

MAX_WAITING: Final = 100_000  # lines, as many as the queue may hold


class Claim(Enum):
    """What to do with a line whose result is not known yet."""

    ASK = "ask"  # it is the first of its URL
    WAIT = "wait"  # another line of that URL is being asked; `Repeats.settle` will give its row


class Repeats:
    """The results so far, by URL.  *key* is the same text for lines that ask the same."""

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self._changed = threading.Condition()
        self._max_waiting = max_waiting
        self._waiting = 0
        self._stopped = False
        self._out: dict[str, list[Target] | None] = {}  # keys being asked, and the lines that wait for each
        self._offsets: dict[int, int] = {}  # hash of a key that has ended: where its record begins
        self._file: IO[bytes] | None = None  # opened with the first record
        self._end = 0  # bytes of whole records
        self._at_end = True  # whether the file stands there

    @property
    def has_waiting(self) -> bool:
        """Whether lines wait for a result; once the list is read to its end and none does, nothing need be settled."""
        return self._waiting > 0

    def claim(self, target: Target, key: str) -> Claim | Result:
        """Return what to do with *target*: ask, wait, or the result for its row.

        Blocks while too many lines wait.  After `stop` nobody blocks, and what would wait is dropped.
        """
        with self._changed:
            while key in self._out:
                if self._stopped:
                    return Claim.WAIT
                if self._waiting < self._max_waiting:
                    self._keep_waiting(target, key)
                    return Claim.WAIT
                self._changed.wait()
            result = self._recall(key)
            if result is None:
                self._out[key] = None
                return Claim.ASK
        return _copy(result, target)

    def _keep_waiting(self, target: Target, key: str) -> None:
        waiting = self._out[key]
        if waiting is None:
            self._out[key] = [target]
        else:
            waiting.append(target)
        self._waiting += 1

    def settle(self, key: str, result: Result) -> list[tuple[Target, Result]]:
        """Note the *result* of *key*, and return the lines that waited for it, each with its own Result."""
        with self._changed:
            waiting = self._out.pop(key, None)
            self._record(key, result)
            if waiting is None:
                return []
            self._waiting -= len(waiting)
            self._changed.notify_all()
        return [(target, _copy(result, target)) for target in waiting]

    def preload(self, key: str, result: Result) -> None:
        """Note the *result* of *key* from an earlier run; the last one counts."""
        with self._changed:
            self._record(key, result)

    def stop(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and give up the temporary file."""
        self.stop()
        with self._changed:
            self._offsets.clear()
            if self._file:
                with contextlib.suppress(OSError):  # a full disk; nothing in it is needed any more
                    self._file.close()

    def _record(self, key: str, result: Result) -> None:
        """Keep *result*; where the temporary file takes no more, it is forgotten, and a repeat asked again."""
        # marshal, since it is four times as fast as pickle and can build nothing but plain values; it takes no enum
        block = marshal.dumps((key, *result[:3], result.outcome.value, *result[4:]))
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="status-probe-")  # noqa: SIM115  # close() does
            if not self._at_end:
                self._file.seek(self._end)
            self._at_end = False  # a disk that is full takes a part
            self._file.write(len(block).to_bytes(4, "little") + block)
            self._at_end = True
            self._offsets[hash(key)] = self._end
            self._end += 4 + len(block)
        except (OSError, ValueError):  # ValueError: closed, the run has ended
            pass

    def _recall(self, key: str) -> Result | None:
        offset = self._offsets.get(hash(key))
        if offset is None or self._file is None:
            return None
        self._at_end = False
        with contextlib.suppress(OSError, EOFError, ValueError, TypeError):
            self._file.seek(offset)
            size_bytes = int.from_bytes(self._file.read(4), "little")
            known, *values = marshal.loads(self._file.read(size_bytes))  # noqa: S302  # our own file, without a name
            if known == key:
                values[3] = Outcome(values[3])
                return Result._make(values)
        return None


def _copy(result: Result, target: Target) -> Result:
    """Return *result* for the row of *target*."""
    return result._replace(row=target.row, url=redact(target.url))
