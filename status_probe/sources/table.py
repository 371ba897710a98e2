"""CSV and TSV lists: the delimiter, the heading, the column of URLs, and the records as entries.

The delimiter is the most frequent of the heading's; where that has none, the list has one column and a line is a cell.
A record with more cells than the heading keeps the further ones in its last cell, so that nothing is lost: of a URL
that holds the delimiter, unquoted in the last column, say.

A quotation mark that is not closed makes csv take all that follows for one cell.  So a record is ended by force beyond
RECORD_LIMIT, and the next line begins another; that record, and one within which the list ends, has a fault.  In TSV,
where many programs quote nothing, lines that are whole records by their tabs are taken as such.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Iterator, Sequence
from itertools import chain, count, dropwhile, islice

from status_probe.records import COLUMNS
from status_probe.sources.lines import Content, SourceError, quoted, read_lines
from status_probe.sources.plain import Entry, checked
from status_probe.urls import BLANKS, redact, redact_cut, redact_note

__all__ = ["Table"]

RECORD_LIMIT = 1_048_576  # characters; a cell of a spreadsheet holds 32,767
FIELD_LIMIT = 4 * RECORD_LIMIT  # what csv may meet: a record just within the limit, and one more line of it
CELL_LIMIT = 40_000  # characters kept of an own cell: more than a spreadsheet's, so that the report still marks the cut
HEADING_LIMIT = 65_536  # characters of one heading; beyond it a quotation mark was not closed
MOST_COLUMNS = 1_000  # each record has a cell for each, and thousands of records wait
SAMPLE_RECORDS = 20  # looked at to find the column that holds URLs

URL_HEADINGS = ("url", "link", "address", "website")  # in order of preference
OUR_HEADINGS = frozenset({*COLUMNS, "source"})  # also those not shown: a name means the same in every report

_ONE_COLUMN = "\x1f"  # a delimiter that no list has
_FULL_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_HOST_URL = re.compile(r"[\w-]+(\.[\w-]+)*\.[^\W\d_]{2,}\.?(:\d+)?([/?#]\S*)?")
_SEPARATOR_LINE = re.compile(r'"?sep=."?', re.IGNORECASE)  # spreadsheets put it above the heading
_PARTS_OF_NO_URL = re.compile(r"\s|[,;](?:[,;]|\Z|[A-Za-z]+://)").search  # in what follows a URL in its cell
_QUOTATION = re.compile(r'"[^"]*("|$)')

_TOO_LONG = f"record longer than {RECORD_LIMIT:,} characters: is a quotation mark not closed?"
_OPEN_AT_END = "the list ends within quotation marks: one is not closed"


class Table:
    """A CSV or TSV list; *column* is the heading or the number, from 1, of its URL column, None to find it.

    Raises SourceError where it has no heading or no such column.
    """

    def __init__(self, content: Content, encoding: str | None, column: str | None, *, tabs: bool) -> None:
        csv.field_size_limit(max(FIELD_LIMIT, csv.field_size_limit()))  # the whole process's, so it is only raised
        self.name = content.name
        self._content = content
        self._encoding = encoding
        self._delimiter = _find_delimiter(self._first_record(), tabs=tabs)
        heading, *sample = [cells for cells, _ in islice(self._records(), 1 + SAMPLE_RECORDS)] or [[]]
        try:
            if self._delimiter == _ONE_COLUMN:
                _refuse_title(sample)
            self._place = _find_column([cell.strip(BLANKS) for cell in heading], sample, column)
        except SourceError as exc:
            raise SourceError(f"{self.name}: {exc}") from None
        if len(heading) > MOST_COLUMNS:
            raise SourceError(f"{self.name}: it has {len(heading):,} columns, more than {MOST_COLUMNS:,}")
        self.headings: Sequence[str] = _unique_headings(heading)

    def entries(self) -> Iterator[Entry]:
        """Yield a record that is not all blank under its number, the heading's being 1."""
        place = self._place
        for row, (cells, fault) in self._numbered():
            single = cells[place] if place < len(cells) else ""
            fitted = self._fitted(cells)
            further = fitted[place][len(single) :]
            was_quoted = self._delimiter in single
            url, no_url = checked(single if was_quoted or _PARTS_OF_NO_URL(further) else fitted[place])
            own_cells = [
                redact_cut(cell, CELL_LIMIT) if column == place else redact_note(cell[: 2 * CELL_LIMIT])[:CELL_LIMIT]
                for column, cell in enumerate(fitted)
            ]
            yield row, url, own_cells, fault or no_url

    def count(self) -> int:
        """Return how many entries a pass will yield."""
        return sum(1 for _ in self._numbered())

    def _numbered(self) -> Iterator[tuple[int, tuple[list[str], str]]]:
        for row, record in enumerate(self._records(), 1):
            if row > 1 and (record[1] or "".join(record[0]).strip(BLANKS)):
                yield row, record

    def _records(self) -> Iterator[tuple[list[str], str]]:
        """Yield the cells of each record, blank ones too, and its fault."""
        lines, width = _RecordLines(self._lines()), 0
        for cells in csv.reader(lines, delimiter=self._delimiter):
            record, fault = lines.end_record()
            width = width or len(cells)
            if (fault or len(record) > 1) and self._delimiter == "\t" and _is_unquoted(record, width):
                yield from ((line.split("\t"), "") for line in record)
            else:
                yield cells, fault

    def _first_record(self) -> str:
        """Return the lines of the heading, which may have some within quotation marks."""
        text = ""
        for line in self._lines():
            text += line + "\n"
            if text.count('"') % 2 == 0 or len(text) > HEADING_LIMIT:
                break
        return text

    def _lines(self) -> Iterator[str]:
        """Return the lines from the heading on."""
        lines = read_lines(self._content, self._encoding, RECORD_LIMIT)
        return dropwhile(lambda line: not line.strip(BLANKS) or _SEPARATOR_LINE.fullmatch(line), lines)

    def _fitted(self, cells: list[str]) -> list[str]:
        """Return as many cells as there are headings."""
        width = len(self.headings)
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) > width:
            cells[width - 1 :] = [self._delimiter.join(cells[width - 1 :])]
        return cells + [""] * (width - len(cells))


def _is_unquoted(lines: Sequence[str], width: int) -> bool:
    """Tell whether the quotation marks in a TSV record's *lines* are text.

    So it is where they do not pair up, and each line has as many cells as the heading.  Some programs, spreadsheets
    among them, quote nothing in TSV: two cells that begin with a mark would take all lines between them.
    """
    if width < 2 or any(line.count("\t") != width - 1 for line in lines):
        return False
    try:
        list(csv.reader([line + "\n" for line in lines], delimiter="\t", strict=True))
    except csv.Error:
        return True
    return False


class _RecordLines:
    """The lines that csv.reader asks for; it asks for another within a record only where a quotation is open."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._record: list[str] = []  # its lines so far
        self._length = 0
        self._ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._length > RECORD_LIMIT:
            return '"\n'
        try:
            line = next(self._lines)
        except StopIteration:
            self._ended = True
            raise
        self._record.append(line)
        self._length += len(line) + 1
        return line + "\n"

    def end_record(self) -> tuple[list[str], str]:
        """Begin another record; return the lines and the fault of the one that csv has just returned."""
        record, length = self._record, self._length
        self._record, self._length = [], 0
        if length > RECORD_LIMIT:
            return record, _TOO_LONG
        return record, _OPEN_AT_END if self._ended else ""


def _find_delimiter(heading: str, *, tabs: bool) -> str:
    """Return the delimiter of a list with this first line; *tabs* says that its name is that of a TSV list."""
    outside = _QUOTATION.sub("", heading)
    if tabs and "\t" in outside:
        return "\t"
    found = max(",;\t", key=outside.count)
    return found if found in outside else _ONE_COLUMN


def _find_column(heading: Sequence[str], sample: Sequence[Sequence[str]], wanted: str | None) -> int:
    """Return the place, from 0, of the column of URLs.

    That is the one *wanted*; else one headed as URLs are, of several the first that holds some; else the first that
    does.  Raises SourceError where there is none, or where what should be its heading is a URL, which would be lost.
    """
    if not any(heading):
        raise SourceError("it has no heading")
    place = _headed_as_urls(heading, sample) if wanted is None else _headed(heading, wanted)
    if place is not None:
        return place
    place = _holding_urls(sample, range(len(heading))) if wanted is None else _numbered(heading, wanted)
    if any(_is_url(heading[at], at, sample) for at in (range(len(heading)) if place is None else [place])):
        raise SourceError("its first line holds a URL: a CSV or TSV list needs a heading above, such as 'url'")
    if place is None:
        missing = "no column holds URLs" if wanted is None else f"no column {quoted(wanted)}"
        raise SourceError(f"{missing}; it has {', '.join(quoted(redact(text)) for text in heading)}")
    return place


def _refuse_title(sample: Sequence[Sequence[str]]) -> None:
    """Raise SourceError where the *sample* of a list with one column is a table with a heading of its own."""
    lines = [cells[0] for cells in sample if cells]
    delimiter = _find_delimiter(lines[0], tabs=False) if lines else _ONE_COLUMN
    if delimiter == _ONE_COLUMN:
        return
    heading, *records = csv.reader(lines, delimiter=delimiter)
    places = range(len(heading))
    if _holding_urls([heading], places) is None and _holding_urls(records, places) is not None:
        raise SourceError(f"its first line has one cell, the next {len(heading)}: is there a title above the heading?")


def _headed(heading: Sequence[str], wanted: str) -> int | None:
    for known, name in ((heading, wanted), ([text.casefold() for text in heading], wanted.casefold())):
        if name in known:
            return known.index(name)
    return None


def _numbered(heading: Sequence[str], wanted: str) -> int | None:
    numbers = [str(number) for number in range(1, len(heading) + 1)]
    return numbers.index(wanted) if wanted in numbers else None


def _headed_as_urls(heading: Sequence[str], sample: Sequence[Sequence[str]]) -> int | None:
    folded = [text.casefold() for text in heading]
    places = [at for name in URL_HEADINGS for at, text in enumerate(folded) if text == name]
    holding = _holding_urls(sample, places)  # an address may be one of a street
    return places[0] if places and holding is None else holding


def _holding_urls(sample: Sequence[Sequence[str]], places: Sequence[int]) -> int | None:
    for pattern in (_FULL_URL, _HOST_URL):
        for place in places:
            if _mostly(pattern, place, sample):
                return place
    return None


def _mostly(pattern: re.Pattern[str], place: int, sample: Sequence[Sequence[str]]) -> bool:
    """Tell whether at least half of a column's cells that are not blank match *pattern*."""
    cells = [cells[place].strip(BLANKS) for cells in sample if place < len(cells)]
    matches = [bool(pattern.fullmatch(cell)) for cell in cells if cell]
    return any(matches) and sum(matches) * 2 >= len(matches)


def _is_url(heading: str, place: int, sample: Sequence[Sequence[str]]) -> bool:
    """Tell whether a heading is a URL; one such as 'site.name' is only where the cells below are like it."""
    if _FULL_URL.fullmatch(heading):
        return True
    return bool(_HOST_URL.fullmatch(heading)) and _mostly(_HOST_URL, place, sample)


def _unique_headings(heading: Sequence[str]) -> list[str]:
    """Return the names under which the columns go into the report: none is empty, one of ours or another's."""
    names: dict[str, None] = {}
    for number, text in enumerate(heading, 1):
        name = " ".join(redact(text.strip(BLANKS)).split()) or f"column {number}"
        name = f"input_{name}" if name in OUR_HEADINGS else name
        names[_unused(name, names)] = None
    return list(names)


def _unused(name: str, names: Container[str]) -> str:
    candidates = chain([name], (f"{name}_{number}" for number in count(2)))
    return next(candidate for candidate in candidates if candidate not in names)
