"""What becomes of a file whose rows are all in: another put in its place in one step, or several with numbers."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice, takewhile
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from .rowindex import NEAR_BYTES, Stopped, never

__all__ = [
    "IN_ORDER", "Ending", "join_numbered", "numbered", "patiently", "remove_leftovers", "replace_file",
    "write_numbered",
]  # fmt: skip

SUFFIX = ".status-probe.tmp"  # of what is to take the place of a report
HELD_TRIES = 10  # after the first, where another program has the file open
HELD_SECONDS = 0.1  # between them
Replace = Callable[[Path, Path], object]


class Ending(NamedTuple):
    """What becomes of a file when its rows are all in."""

    as_completed: bool = False  # rows stay in order of completion
    split_rows: int = 0  # rows in each of the numbered files; 0 for one file
    overwrite: bool = False  # a numbered file that exists
    resumed: bool = False  # one that is this report's may then be there already
    replace: Replace = os.replace  # puts one file in the place of another


IN_ORDER: Final = Ending()


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
    parts = list(takewhile(Path.is_file, (numbered(path, number) for number in count(1))))
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
        if exists and not (ending.overwrite or (ending.resumed and part.is_file() and _begins_with(part, heading))):
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
