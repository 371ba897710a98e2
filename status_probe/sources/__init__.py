"""Lists to targets: text, CSV and TSV files, gzip of each, standard input and URL arguments, read lazily.

Every line and every record is exactly one target, whatever it holds, but for blank ones and comments.  ``lines`` makes
lines of a source's bytes, ``plain`` and ``table`` make entries of the lines, and TargetList numbers the entries of
all sources and puts the tables' own columns side by side.  No more than a chunk and a line is held at a time.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from status_probe.records import Target
from status_probe.sources.lines import Content, SourceError, check_encoding, quoted
from status_probe.sources.plain import Arguments, TextList
from status_probe.sources.table import Table

__all__ = ["SourceError", "TargetList"]


class TargetList:
    """The targets of all *sources*, in order, read lazily.

    A source is a file's name, ``-`` for *stdin* (None: this process's own), or a URL, which is what contains ``://``.
    All URLs together are one source, "arguments", in the place of the first.  *column* is the heading, or the number
    from 1, of the tables' URL column; *encoding* holds for every source, None finds it.

    Every source is opened and its beginning looked at here; raises SourceError where one cannot be used.
    """

    def __init__(
        self,
        sources: Sequence[str],
        *,
        column: str | None = None,
        encoding: str | None = None,
        stdin: BinaryIO | None = None,
    ) -> None:
        self._column, self._encoding, self._stdin = column, encoding, stdin
        self._contents: list[Content] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._parts = self._open_all(sources)
        except BaseException:
            self.close()
            raise
        self.several: bool = len(self._parts) > 1
        # All columns of the lists, the one of URLs too, under the names they have in the report.
        self.headings: tuple[str, ...] = tuple(dict.fromkeys(name for part in self._parts for name in part.headings))

    def __iter__(self) -> Iterator[Target]:
        """Yield the targets; each pass reads files anew.

        Raises SourceError where a source can be read no further, or is a stream that an earlier pass used up.
        """
        number = 0
        for part in self._parts:
            own_cells = self._aligner(part.headings)
            for row, url, cells, fault in part.entries():
                yield Target(number, row, url, part.name, own_cells(cells), fault)
                number += 1

    def __enter__(self) -> TargetList:  # noqa: PYI034 - Self is 3.11's
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rereadable(self) -> bool:
        """Whether it can be read more than once: no source is a stream, or all of those were spooled."""
        return all(content.rereadable for content in self._contents)

    def count(self) -> int | None:
        """Return how many targets there are, by a pass of its own; None where that would use up a stream.

        Raises SourceError where a source cannot be read to its end.
        """
        return sum(part.count() for part in self._parts) if self.rereadable else None

    def spool(self) -> None:
        """Copy each stream to a temporary file, which close() removes; wait for the stream's end."""
        for content in self._contents:
            if not content.rereadable:
                self._spool(content)

    def close(self) -> None:
        """Close pipes that were opened here and remove temporary files."""
        for content in self._contents:
            content.close()
        if self._folder:
            self._folder.cleanup()

    def _open_all(self, sources: Sequence[str]) -> list[Arguments | TextList | Table]:
        if self._encoding is not None:
            check_encoding(self._encoding)
        if sources.count("-") > 1:
            raise SourceError("standard input, '-', is given more than once")
        parts: list[Arguments | TextList | Table] = []
        urls: list[str] = []
        for source in sources:
            if "://" not in source:
                parts.append(self._open(source))
                continue
            if not urls:
                parts.append(Arguments(urls))
            urls.append(source)
        if self._column is not None and not any(isinstance(part, Table) for part in parts):
            raise SourceError(f"no source is a CSV or TSV list, of which {quoted(self._column)} could be a column")
        return parts

    def _open(self, name: str) -> TextList | Table:
        content = Content(name, self._standard_input() if name == "-" else None)
        self._contents.append(content)
        content.check()
        plain = name.lower().removesuffix(".gz")
        if not plain.endswith((".csv", ".tsv")):
            return TextList(content, self._encoding)
        if not content.rereadable:  # a named pipe, which is rare: a table's beginning is read twice
            self._spool(content)
        return Table(content, self._encoding, self._column, tabs=plain.endswith(".tsv"))

    def _standard_input(self) -> BinaryIO:
        if self._stdin is None and sys.stdin is None:  # as under pythonw
            raise SourceError("cannot read '-': there is no standard input")
        return self._stdin or sys.stdin.buffer

    def _spool(self, content: Content) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="status-probe-", ignore_cleanup_errors=True)
        content.spool(Path(self._folder.name, str(self._contents.index(content))))

    def _aligner(self, headings: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
        """Return what puts cells under *headings* into their places among all headings."""
        blank = ("",) * len(self.headings)
        if not headings:
            return lambda _: blank
        if tuple(headings) == self.headings:
            return tuple
        own = {name: place for place, name in enumerate(headings)}
        places = [own.get(name) for name in self.headings]
        return lambda cells: tuple(["" if place is None else cells[place] for place in places])
