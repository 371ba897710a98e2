"""The report: results to a CSV file, in input order at its end; and going on with one.

While a run lasts, rows stand in the file as they completed, each batch handed to the system in one write, so that
another program sees whole rows at any time and a killed run loses nothing that was written.  At the end the file is
put in input order: rewritten beside, and replaced in one step.

Numbered files, of so many rows each, are made from that one file at the end, which then goes.  Until then there is
one file to look at and to go on with.

One thread writes.  `Report.done` and `Report.result` may be asked by another.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from .cells import Layout, obstacle_to_resume, tells_outcomes
from .ending import (
    IN_ORDER,
    Ending,
    join_numbered,
    numbered,
    patiently,
    remove_leftovers,
    replace_file,
    write_numbered,
)
from .outfile import ReportError, lock, refuse, refuse_stream
from .records import Result, Target
from .resume import Listed, fill_index, holds_no_row, read_rows
from .rowindex import FileChanged, RowIndex, Stopped, never, rows_in_order

__all__ = ["SHEET_ROWS", "Report", "ReportError", "open_report"]

SHEET_ROWS: Final = 1_048_575  # what a spreadsheet shows below the heading


class Report:
    """A report that is being written; `open_report` makes one."""

    def __init__(
        self,
        file: BinaryIO,
        layout: Layout,
        path: Path | None = None,
        ending: Ending = IN_ORDER,
        *,
        closes: bool = True,
        is_joined: bool = False,
    ) -> None:
        """Write to *file*.

        Without a *path* it is a stream: nothing of it is read again, and its rows stay as they completed.
        *closes* says that *file* is closed with the report, *is_joined* that its rows are in numbered files, too.
        """
        self._file = file
        self._layout = layout
        self._path = path
        self._ending = ending
        self._closes = closes
        self._is_joined = is_joined
        self._reader: BinaryIO | None = None
        self._index = RowIndex()
        self._end = 0  # bytes in the file, all of them whole rows
        self._rows = 0
        self._has_earlier = False  # rows of an earlier run, which resume() is to read

    @property
    def path(self) -> Path | None:
        """Where the file is, None for a stream."""
        return self._path

    @property
    def is_split(self) -> bool:
        """Whether the rows are put into numbered files at the end."""
        return self._ending.split_rows > 0

    @property
    def rows_written(self) -> int:
        """How many lines have a row in the report, by earlier runs among them."""
        return self._rows

    @property
    def rows_done(self) -> int:
        """How many lines have a row and are not to be asked again; counted when asked for."""
        return sum(1 for _ in filter(self.done, self._index))

    # Going on

    def begin(self) -> None:
        """Write the heading, over whatever is there."""
        heading = self._layout.heading()
        if self._path:
            self._file.truncate(0)
        if self._file.write(heading) != len(heading):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file.flush()
        self._end = len(heading)

    def begin_again(self) -> None:
        """Take up a file that has rows of an earlier run, if it has any; they are read by `resume`.

        Raises ReportError if the file is not one of this layout, and leaves it as it is.
        """
        heading = self._layout.heading()
        if self._file.read(len(heading)) == heading:
            self._has_earlier = True
            return
        self._file.seek(0)
        if not holds_no_row(self._file, heading):
            raise ReportError(f'"{self._path}" does not begin as this report would: it is no report, or one of other '
                              "columns, delimiter or encoding; it was left as it is")  # fmt: skip
        self._file.seek(0)
        self.begin()

    def resume(self, targets: Iterable[Target], *, retry_failed: bool = False) -> None:
        """Find out which of *targets* have a row already; read to the end if the file holds rows at all.

        With *retry_failed* those without a status are to be asked again; each stays until it has another row.  What is
        torn is cut off, and of two rows of one line the later stays.

        Raises ReportError if the file is of another list, and leaves it as it is.
        """
        if not self._has_earlier:
            return
        listed = Listed(targets, self._layout)  # what is wrong with the list is not the report's to say
        self._index.reserve(len(listed))
        try:
            with self._named().open("rb") as file:
                file.seek(len(self._layout.heading()))
                self._end, gaps = fill_index(self._index, file, self._layout, listed, retry_failed=retry_failed)
            if gaps:
                self._rewrite(rows_in_order(self._named(), self._index))
                self._reopen()
            self._file.truncate(self._end)
            self._file.seek(self._end)
        except (ValueError, OSError) as exc:
            self.close()
            if self._is_joined:
                self._named().unlink()
            raise ReportError(f'cannot go on with "{self._path}": {exc}') from exc
        self._rows = sum(1 for _ in self._index)
        self._has_earlier = False

    def _reopen(self) -> None:
        self.close()
        self._file = self._named().open("r+b", buffering=0)
        lock(self._file, self._named())
        self._end = self._file.seek(0, os.SEEK_END)
        self._index.close_ranks(len(self._layout.heading()))

    def done(self, number: int) -> bool:
        """Tell whether the target of this *number* has a row, and is not to be asked again."""
        return self._index.is_settled(number)

    def result(self, number: int) -> Result:
        """Return the Result of a target that has a row, as it is in the file.

        For one thread at a time.  Raises ReportError if a cell was changed to what it cannot be.
        """
        if self._reader is None:
            self._reader = self._named().open("rb")
        offset, size_bytes = self._index.place(number)
        self._reader.seek(offset)
        line = self._reader.read(size_bytes).decode(self._layout.encoding)
        try:
            return self._layout.result(self._layout.cells(line[:-2]))
        except ValueError as exc:
            raise ReportError(f'cannot go on with "{self._path}": {exc}, in the row that begins {line[:60]!r}') from exc

    def earlier(self, target: Target) -> Result | None:
        """Return the Result of *target* if it has a row and is not to be asked again; for one thread at a time."""
        return self.result(target.number) if self.done(target.number) else None

    def told_results(self) -> Iterator[Result]:
        """Yield the Result of each target that is done, in input order; none where the columns do not tell of it."""
        if tells_outcomes(self._layout.columns):
            yield from map(self.result, filter(self.done, self._index))

    # Writing

    def write(self, pairs: Iterable[tuple[Target, Result]]) -> None:
        """Write a row for each of *pairs*, and hand them to the system.

        Raises OSError if that cannot be done, say since the disk is full or the file gone; what could be written
        is whole rows, and those stay.
        """
        assert not self._has_earlier, "resume() comes before write()"
        row = self._layout.row
        rows = [(target.number, row(target, result)) for target, result in pairs]
        block = memoryview(b"".join([line for _, line in rows]))
        written = 0
        self._check_there()
        try:
            while written < len(block):
                written += self._file.write(block[written:])  # a full disk takes a part, then fails
            self._file.flush()
        except OSError:
            self._note(rows, written)
            self._cut_half_row()
            raise
        self._note(rows, written)

    def _note(self, rows: Iterable[tuple[int, bytes]], written: int) -> None:
        """Take account of those *rows* that are whole in the bytes *written*."""
        written += self._end
        for number, line in rows:
            if self._end + len(line) > written:
                break
            if number not in self._index:
                self._rows += 1
            if self._path:
                self._index.add(number, self._end, len(line))
            self._end += len(line)

    def _cut_half_row(self) -> None:
        if self._path:
            with contextlib.suppress(OSError):  # resuming drops a torn row as well
                self._file.truncate(self._end)
                self._file.seek(self._end)

    def _check_there(self) -> None:
        """Raise FileNotFoundError if the file was removed: the system goes on writing to one without a name.

        Raises FileChanged if an editor, say, has saved it as it was some time ago, in its place or by a new one.
        """
        if not self._path:
            return
        try:
            there = self._path.stat()
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "it was removed", str(self._path)) from None
        try:
            here = os.fstat(self._file.fileno())
        except OSError:  # of FAT, on Windows with Python 3.12.0
            return
        if here.st_size != self._end or not os.path.samestat(here, there):
            raise FileChanged(self._path)

    # The end

    def finish(self, is_stopped: Callable[[], bool] = never) -> OSError | None:
        """Put a file whose rows are all in into input order, or into its numbered files; close it.

        Return why it could not be put in order, if so: it then has every row, in order of completion.  Or why it could
        not be removed, though its numbered files are complete.

        Raises OSError if the numbered files cannot be made, or rows that were replaced be left out, the one file then
        has every row; or if that is gone, or changed by others.  Raises Stopped when *is_stopped* says so; the file has
        every row then.
        """
        self._check_there()
        try:
            if self._path:
                return self._put_in_order(self._path, is_stopped)
        finally:
            self.close()
        return None

    def close(self) -> None:
        """Close the file as it is."""
        if self._reader:
            self._reader.close()
            self._reader = None
        if self._closes:
            self._file.close()

    def _let_go(self) -> None:
        """Close the file where it could not be replaced otherwise; elsewhere it stays locked until it is."""
        if os.name == "nt":
            self.close()

    def _named(self) -> Path:
        assert self._path, "a stream has no earlier rows and no order"
        return self._path

    def _put_in_order(self, path: Path, is_stopped: Callable[[], bool]) -> OSError | None:
        as_completed, index = self._ending.as_completed, self._index
        rows = self._rows_as_completed(path, is_stopped) if as_completed else rows_in_order(path, index, is_stopped)
        if self.is_split:
            self._let_go()
            write_numbered(path, self._layout.heading(), rows, self._ending, is_stopped)
            try:
                patiently(path.unlink, is_stopped)
            except OSError as exc:
                return exc
        elif index.replaced or not (as_completed or index.in_order):
            try:
                self._rewrite(rows, is_stopped)
            except OSError as exc:
                if index.replaced or isinstance(exc, FileChanged):
                    raise
                return exc
        return None

    def _rows_as_completed(self, path: Path, is_stopped: Callable[[], bool]) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(len(self._layout.heading()))
            for offset, row in read_rows(file, self._layout.eol):
                if is_stopped():
                    raise Stopped
                if offset not in self._index.replaced:
                    yield row

    def _rewrite(self, rows: Iterable[bytes], is_stopped: Callable[[], bool] = never) -> None:
        """Make the file one of these rows; it is to be closed then."""
        self._let_go()
        path = self._named()
        whole = chain([self._layout.heading()], rows)
        replace_file(path, whole, like=path, replace=self._ending.replace, is_stopped=is_stopped)


def open_report(
    output: str | os.PathLike[str] | BinaryIO,
    layout: Layout,
    ending: Ending = IN_ORDER,
    *,
    sources: Iterable[str] = (),
    several: bool = False,
    judged: bool = False,
    resume: bool = False,
) -> Report:
    """Open *output*, a file's name or a binary stream, and write the heading; or take up a file with *resume*.

    A file that exists is replaced if *ending* says so.  *sources* are the names of the lists, none of which may be
    written over; *several* says that rows are of more than one, *judged* that --fail wants to know of each row.

    Raises ReportError if the output cannot be used; what was there is then as it was.
    """
    if not isinstance(output, (str, os.PathLike)):
        if resume or ending.split_rows:
            raise ReportError("what goes to standard output can be neither resumed nor split; name a file")
        refuse_stream(output, sources)
        report = Report(output, layout, closes=False)
        report.begin()
        return report
    obstacle = obstacle_to_resume(layout.columns, several=several, judged=judged) if resume else ""
    if obstacle:
        raise ReportError(obstacle)
    path = Path(output)
    try:
        path = _real_path(path)
        refuse(path, tuple(sources), split=ending.split_rows > 0, resume=resume, overwrite=ending.overwrite)
        return _open(path, layout, ending, resume=resume)
    except OSError as exc:
        raise ReportError(f'cannot write "{path}": {exc.strerror or exc}') from exc


def _real_path(path: Path) -> Path:
    """Return where a link leads to, which is to stay one; /dev/stdout of a pipe leads to no name."""
    real = Path(os.path.realpath(path))
    return real if real.exists() or not path.exists() else path


def _open(path: Path, layout: Layout, ending: Ending, *, resume: bool) -> Report:
    is_joined = resume and ending.split_rows > 0 and not path.exists() and numbered(path, 1).exists()
    if is_joined:
        try:
            join_numbered(path, layout.heading())
        except ValueError as exc:
            raise ReportError(f"{exc}; it was left as it is") from exc
    existed = path.exists()
    file = path.open("x+b" if not existed else "r+b" if path.is_file() else "wb", buffering=0)
    if existed and not path.is_file():  # a device, a pipe
        report = Report(file, layout)
    else:
        lock(file, path)
        remove_leftovers(path)
        report = Report(file, layout, path, ending._replace(resumed=resume), is_joined=is_joined)
    try:
        if existed and resume:
            report.begin_again()
        else:
            report.begin()
    except BaseException:
        file.close()
        if not existed:
            path.unlink()
        raise
    return report
