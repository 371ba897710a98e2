"""What may be written to, and by one run at a time: the refusals, told before the first request."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

__all__ = ["ReportError", "lock", "refuse", "refuse_stream"]

MANY_FILES = 1000  # more are seldom made, and "report-2024.csv" is seldom one of them: that is looked at when it is


class ReportError(ValueError):
    """The output cannot be used; the message is one line for the user."""


def refuse(path: Path, sources: Sequence[str], *, split: bool, resume: bool, overwrite: bool) -> None:
    """Raise ReportError if *path*, or with *split* one of its numbered files, is nothing that may be written."""
    if not path.exists() and not path.parent.is_dir():  # Windows' NUL is in none
        raise ReportError(f'there is no directory "{path.parent}"')
    if path.is_dir():
        raise ReportError(f'"{path}" is a directory; name a file')
    for number, place in _numbered(path) if split else ():
        if number < MANY_FILES or overwrite:
            _refuse_existing(place, sources, may_be_written=resume or overwrite)
    if path.exists():
        _refuse_existing(path, sources, may_be_written=resume or overwrite)
        if not path.is_file() and (resume or split):
            raise ReportError(f'"{path}" is no plain file, so it can be neither resumed nor split')


def refuse_stream(stream: BinaryIO, sources: Iterable[str]) -> None:
    """Raise ReportError if *stream* is a file that is one of the lists: the rows would be read as further lines."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):  # it is closed, or no file at all
        return
    if stat.S_ISREG(there.st_mode) and any(_is_at(there, source) for source in sources):
        raise ReportError("standard output is the list itself; name another file")


def lock(file: BinaryIO, path: Path) -> None:
    """Keep other runs from writing to *file*, opened as *path*, until it is closed or this process ends.

    On Windows nothing is done: there a lock would keep a spreadsheet from reading, too.

    Raises ReportError, and closes the file, if another run has it, or replaced it just now.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = os.path.samestat(os.fstat(file.fileno()), path.stat())
    except BlockingIOError:
        is_free = False
    except OSError:
        return  # a file system without locks
    if not is_free:
        file.close()
        raise ReportError(f'another run is writing "{path}"')


def _refuse_existing(path: Path, sources: Sequence[str], *, may_be_written: bool) -> None:
    if any(_is_at(path.stat(), source) for source in sources):
        raise ReportError(f'"{path}" is the list itself; name another file')
    if not path.is_file():  # a device; Windows says of one that it is read-only
        return
    if not path.stat().st_mode & 0o222:  # asked of the mode, since root could write to it
        raise ReportError(f'"{path}" is read-only')
    if not may_be_written:
        raise ReportError(f'"{path}" exists; go on with it by --resume, or replace it by --overwrite')


def _numbered(path: Path) -> list[tuple[int, Path]]:
    """Return the numbered files of *path* that there are, each of which may be replaced or removed at the end."""
    name = re.compile(rf"{re.escape(path.stem)}-([1-9][0-9]*){re.escape(path.suffix)}", re.IGNORECASE)
    return sorted(
        (int(match[1][:9]), place)
        for place in path.parent.iterdir()
        if (match := name.fullmatch(place.name)) and place.is_file()  # the name costs no look at the disk
    )


def _is_at(there: os.stat_result, source: str) -> bool:
    """Whether the list *source* is what has this stat; of standard input only a file is looked at."""
    try:
        if source == "-":
            return stat.S_ISREG(there.st_mode) and os.path.samestat(there, os.fstat(0))
        return os.path.samestat(there, Path(source).stat())
    except (OSError, ValueError):  # a URL, a list that is not there, a standard input that is closed
        return False
