"""A file's rows in input order: where each is, and a new file put in the place of the old in one step.

No row is held in memory: a row is known by its offset and size, 13 bytes in all, and copied through a small buffer.
(A memory map of the file would count as memory used, page by page.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice, takewhile
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

__all__ = [
    "IN_ORDER", "Ending", "FileChanged", "RowIndex", "Stopped", "join_numbered", "never", "numbered",
    "patiently", "remove_leftovers", "replace_file", "rows_in_order", "write_numbered",
]  # fmt: skip

SUFFIX = ".status-probe.tmp"  # of what is to take the place of a report
NEAR_BYTES = 256 * 1024  # some 1000 rows: as far as one mostly is from its place
HELD_TRIES = 10  # after the first, where another program has the file open
HELD_SECONDS = 0.1  # between them
Replace = Callable[[Path, Path], object]


class Stopped(Exception):  # noqa: N818
    """The user wants no more; the file is as it was."""


class FileChanged(OSError):  # noqa: N818
    """Another program has changed the file, or put another one in its place: where its rows are is not known."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EIO, "another program has changed it", str(path))


def never() -> bool:
    """Say that nobody wants a stop."""
    return False


class Ending(NamedTuple):
    """What becomes of a file when its rows are all in."""

    as_completed: bool = False  # rows stay in order of completion
    split_rows: int = 0  # rows in each of the numbered files; 0 for one file
    overwrite: bool = False  # a numbered file that exists
    resumed: bool = False  # one that is this report's may then be there already
    replace: Replace = os.replace  # puts one file in the place of another


IN_ORDER: Final = Ending()


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


def replace_file(
    path: Path,
    rows: Iterable[bytes],
    *,
    like: Path,
    replace: Replace = os.replace,
    is_stopped: Callable[[], bool] = never,
) -> None:
    """Write *rows* to a file beside *path*, with the permissions of *like*, and put it in the place of *path*.

    Raises OSError if that is refused, say by Windows since a spreadsheet holds the file open, and Stopped when
    *is_stopped* says so while that is tried again; nothing has changed then.
    """
    number, name = tempfile.mkstemp(prefix=_prefix(like), suffix=SUFFIX, dir=path.parent)  # nobody else's file
    beside = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.writelines(rows)
            file.flush()
            os.fsync(file.fileno())  # else a loss of power could leave the name with no content
        shutil.copymode(like, beside)
        patiently(lambda: replace(beside, path), is_stopped)
    finally:
        _discard(beside)


def patiently(change: Callable[[], object], is_stopped: Callable[[], bool] = never) -> None:
    """Do *change* to a file, on Windows again for about a second: a virus scanner, say, may have it open for a moment.

    Raises OSError if it is refused still, and Stopped when *is_stopped* says so between two tries.
    """
    for _ in range(HELD_TRIES if os.name == "nt" else 0):
        with contextlib.suppress(PermissionError):
            change()
            return
        if is_stopped():
            raise Stopped
        time.sleep(HELD_SECONDS)
    change()


def _discard(beside: Path) -> None:
    """Remove what was to take the place of a file, if it is there; an error would hide what went wrong before."""
    with contextlib.suppress(OSError):
        beside.chmod(0o600)  # Windows removes no file that is read-only
        beside.unlink()


def remove_leftovers(path: Path) -> None:
    """Remove what runs that were killed left beside the report *path*, which no other run is writing."""
    name = re.compile(f"{re.escape(_prefix(path))}[a-z0-9_]{{8}}{re.escape(SUFFIX)}")
    for left in path.parent.iterdir():
        if name.fullmatch(left.name):
            with contextlib.suppress(OSError):  # on Windows another run may be writing it
                left.unlink()


def _prefix(path: Path) -> str:
    """Return what the report's own temporary files begin with; a name has 255 bytes at most."""
    encoded = os.fsencode(path.name)
    return f"{path.name}." if len(encoded) < 200 else f"{path.name[:40]}-{crc32(encoded):08x}."


def numbered(path: Path, number: int) -> Path:
    """Return the name of a numbered file: ``FILE-1.csv`` of ``FILE.csv``."""
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def join_numbered(path: Path, heading: bytes) -> None:
    """Make the one file at *path* again, of the numbered files of a run that was finished.

    Raises OSError, and ValueError if one of them does not begin with *heading*.
    """
    parts = list(takewhile(Path.exists, (numbered(path, number) for number in count(1))))
    for part in parts:
        if not _begins_with(part, heading):
            raise ValueError(f'"{part}" does not begin as this report would')
    replace_file(path, chain([heading], *(_rows_of(part, heading) for part in parts)), like=parts[0])


def _rows_of(part: Path, heading: bytes) -> Iterator[bytes]:
    with part.open("rb") as file:
        file.seek(len(heading))
        yield from iter(lambda: file.read(NEAR_BYTES), b"")


def _begins_with(path: Path, heading: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(heading)) == heading


def write_numbered(
    path: Path, heading: bytes, rows: Iterator[bytes], ending: Ending, is_stopped: Callable[[], bool] = never
) -> None:
    """Write *rows* of the file at *path* to numbered files; at least one is written.

    With ``ending.overwrite``, numbered files of an earlier run that follow the last are removed.

    Raises OSError if one cannot be written, or is there already and may not be overwritten, and Stopped when
    *is_stopped* says so while one is tried again; *path* has all rows then.
    """
    first: bytes | None = next(rows, b"")
    for number in count(1):
        part = numbered(path, number)
        exists = part.exists()
        if exists and not (ending.overwrite or (ending.resumed and _begins_with(part, heading))):
            if first is None:
                break
            raise FileExistsError(errno.EEXIST, "it exists", str(part))
        if first is not None:
            block = chain([heading, first], islice(rows, ending.split_rows - 1))
            replace_file(part, block, like=path, replace=ending.replace, is_stopped=is_stopped)
            first = next(rows, None)
        elif exists:
            patiently(part.unlink, is_stopped)
        else:
            break
