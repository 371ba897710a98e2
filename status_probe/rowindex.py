"""Where the rows of a file are, and the file read in input order.

No row is held in memory: a row is known by its offset and size, 13 bytes in all, and copied through a small buffer.
(A memory map of the file would count as memory used, page by page.)
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["NEAR_BYTES", "FileChanged", "RowIndex", "Stopped", "never", "rows_in_order"]

NEAR_BYTES = 256 * 1024  # some 1000 rows: as far as one mostly is from its place


class Stopped(Exception):  # noqa: N818
    """The user wants no more; the file is as it was."""


class FileChanged(OSError):  # noqa: N818
    """Another program has changed the file, or put another one in its place: where its rows are is not known."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EIO, "another program has changed it", str(path))


def never() -> bool:
    """Say that nobody wants a stop."""
    return False


class RowIndex:
    """Where the row of each target is in the file."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._sizes = array("I")  # bytes, the line end included; 0 where there is no row
        self._passing = bytearray()  # 1 where the row only stays until there is another
        self.in_order = True  # whether each row came behind those before it
        self.replaced: set[int] = set()  # offsets of rows that others have come for, and that are in the file still
        self._last = -1  # the greatest number that came

    def add(self, number: int, offset: int, size_bytes: int, *, passing: bool = False) -> None:
        """Note the row of target *number*, in the place of an earlier one; a *passing* one is to be asked again."""
        if number > self._last:
            self._last = number
            self.reserve(number + 1)
        else:
            self.in_order = False
            if self._sizes[number]:
                self.replaced.add(self._offsets[number])
        self._offsets[number] = offset
        self._sizes[number] = size_bytes
        self._passing[number] = passing

    def reserve(self, rows: int) -> None:
        """Have room for so many rows: nothing is moved when they are noted, so another thread may ask of others."""
        missing = max(0, rows - len(self._sizes))
        self._offsets.frombytes(bytes(missing * self._offsets.itemsize))
        self._sizes.frombytes(bytes(missing * self._sizes.itemsize))
        self._passing += bytes(missing)

    def __contains__(self, number: int) -> bool:
        return number < len(self._sizes) and self._sizes[number] > 0

    def is_settled(self, number: int) -> bool:
        """Whether there is a row that is not to be asked again."""
        return number in self and not self._passing[number]

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers that have a row, in input order."""
        return (number for number, size_bytes in enumerate(self._sizes) if size_bytes)

    def place(self, number: int) -> tuple[int, int]:
        """Return the offset and the size in bytes of a row that is there."""
        return self._offsets[number], self._sizes[number]

    def close_ranks(self, offset: int) -> None:
        """Note that the rows now stand in input order from *offset* on, nothing between them."""
        for number in self:
            self._offsets[number] = offset
            offset += self._sizes[number]
        self.in_order = True
        self.replaced.clear()


def rows_in_order(path: Path, index: RowIndex, is_stopped: Callable[[], bool] = never) -> Iterator[bytes]:
    """Yield the rows of the file, in input order.

    Raises Stopped when *is_stopped* says so, and FileChanged.
    """
    with path.open("rb", NEAR_BYTES) as file:
        for number in index:
            if is_stopped():
                raise Stopped
            offset, size_bytes = index.place(number)
            file.seek(offset)  # free within the buffer, and rows are mostly near their place
            row = file.read(size_bytes)
            if len(row) != size_bytes:
                raise FileChanged(path)
            yield row
