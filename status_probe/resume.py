"""Which lines of a list have a row already: an earlier report, read against its list.

Two passes, each once from start to end, and no object kept for a line: `Listed` notes of the list 16 bytes a line (its
row number, and a hash of its URL as a report shows it); `match_rows` then reads the report, and finds each row's line
by bisection.  A torn end is no row, nor is a line with a NUL in it: after a loss of power a file may end in NULs, or
hold a hole of them.  Nothing is written here.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

from .cells import Layout
from .records import Target
from .rowindex import RowIndex
from .urls import redact

__all__ = ["Listed", "fill_index", "holds_no_row", "read_rows"]

CHUNK_BYTES: Final = 1 << 18  # more than a torn row has, mostly


class EarlierRow(NamedTuple):
    """A whole row of an earlier report, and the line of the list that it belongs to."""

    number: int  # the target's; -1 where a loss of power damaged the row
    offset: int  # bytes from the start of the file
    size_bytes: int  # its line end included
    cells: list[str]


class Listed:
    """What a list's lines are known by, all sources after each other; a Target's number is its place."""

    def __init__(self, targets: Iterable[Target], layout: Layout) -> None:
        """Read *targets* to the end."""
        self._rows = array("Q")
        self._prints = array("q")  # hash() of the URL's cell; salted for each process, so no list can aim at it
        self._stretches: dict[str, list[range]] = {}  # of each source, the places over which its rows ascend
        start, last = 0, None
        for target in targets:
            if last and (target.source != last.source or target.row <= last.row):  # the same list may be given twice
                self._add_stretch(layout.shown(last.source), start)
                start = len(self._rows)
            self._rows.append(target.row)
            self._prints.append(hash(layout.shown(redact(target.url))))
            last = target
        if last:
            self._add_stretch(layout.shown(last.source), start)
        self._taken = bytearray(len(self._rows))  # 1 where a line has its row

    def _add_stretch(self, source: str, start: int) -> None:
        self._stretches.setdefault(source, []).append(range(start, len(self._rows)))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def sources(self) -> list[str]:
        """The names of the sources, as a report shows them."""
        return list(self._stretches)

    def claim(self, row: int, url: str, source: str) -> int:
        """Return the number of the line that has *row* and *url* in *source*, or -1 if there is none.

        Of several, which takes a list that is given twice, one without a row yet comes first.
        """
        number = -1
        for stretch in self._stretches.get(source, ()):
            place = bisect_left(self._rows, row, stretch.start, stretch.stop)
            if place < stretch.stop and self._rows[place] == row and self._prints[place] == hash(url):
                number = place
                if not self._taken[number]:
                    self._taken[number] = 1
                    break
        return number


def read_rows(file: BinaryIO, eol: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the bytes of each whole row from where *file* stands; what follows the last is left out.

    A line end counts only at a multiple of a character's width: in UTF-16 its bytes may also be parts of two others.
    """
    width = len(eol) // 2
    offset, rest = file.tell(), bytearray()
    while chunk := file.read(CHUNK_BYTES):
        seen = max(0, len(rest) - len(eol) + 1)
        rest += chunk
        start, end = 0, rest.find(eol, seen)
        while end >= 0:
            if (end - start) % width:
                end = rest.find(eol, end + 1)
                continue
            end += len(eol)
            yield offset + start, bytes(rest[start:end])
            start, end = end, rest.find(eol, end)
        del rest[:start]
        offset += start


def fill_index(
    index: RowIndex, file: BinaryIO, layout: Layout, listed: Listed, *, retry_failed: bool
) -> tuple[int, bool]:
    """Note in *index* each row that stays of the report *file*, which stands behind its heading.

    Return where the last whole row ends, and whether there is anything between the rows that stay.  With
    *retry_failed* a row without a status only stays until there is another; of two rows of a line the later stays.

    Raises ValueError as `match_rows` does, if *retry_failed* needs a column that is not there, and if what is behind
    the last row was not torn from one: no row of ours holds a line feed.
    """
    if retry_failed and "status" not in layout.columns:
        raise ValueError("to ask again for rows without a status it needs the column status")
    status_at = layout.columns.index("status") if retry_failed else -1
    end, gaps = file.tell(), False
    for earlier in match_rows(file, layout, listed):
        end = earlier.offset + earlier.size_bytes
        if earlier.number < 0:
            gaps = True
        else:
            has_failed = retry_failed and not earlier.cells[status_at]
            index.add(earlier.number, earlier.offset, earlier.size_bytes, passing=has_failed)
    file.seek(end)
    if "\n" in file.read(CHUNK_BYTES).decode(layout.encoding, "replace"):
        raise ValueError("its last lines end in LF, not in CR LF: another program wrote them")
    return end, gaps or bool(index.replaced)


def match_rows(file: BinaryIO, layout: Layout, listed: Listed) -> Iterator[EarlierRow]:
    """Yield each row of the report *file*, which stands behind its heading, with the line it belongs to.

    Raises ValueError if a row is none of this layout, or belongs to no line of the list.
    """
    if len(listed.sources) > 1 and "source" not in layout.columns:
        raise ValueError("with several sources it needs the column source")
    only_source = next(iter(listed.sources), "")
    row_at, url_at = layout.columns.index("row"), layout.columns.index("url")
    source_at = layout.columns.index("source") if "source" in layout.columns else None
    for place, (offset, line) in enumerate(read_rows(file, layout.eol), 2):
        cells = _cells(line, layout, place)
        number = -1
        if cells:
            source = only_source if source_at is None else cells[source_at]
            number = listed.claim(_row_number(cells[row_at], place), cells[url_at], source)
            if number < 0:
                raise ValueError(f'line {place} of it is of another list: row {cells[row_at]}, "{cells[url_at]:.200}"')
        yield EarlierRow(number, offset, len(line), cells)


def _cells(line: bytes, layout: Layout, place: int) -> list[str]:
    """Return the cells of *line*, none where it is damaged."""
    if "\0" in line.decode(layout.encoding, "replace"):
        return []
    try:
        return layout.cells(line.decode(layout.encoding)[:-2])
    except ValueError as exc:
        raise ValueError(f"line {place} of it is no row of these columns and this encoding ({exc})") from exc


def _row_number(text: str, place: int) -> int:
    if not (text.isdecimal() and len(text) < 19):  # what an array can be asked for
        raise ValueError(f'line {place} of it has no row number, but "{text:.40}"')
    return int(text)


def holds_no_row(file: BinaryIO, heading: bytes) -> bool:
    """Tell whether *file*, read from its start, is a *heading* that was cut short, with nothing but NULs behind it.

    So is an empty file.
    """
    begun = file.read(len(heading)).rstrip(b"\0")
    chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
    return heading.startswith(begun) and not any(chunk.strip(b"\0") for chunk in chunks)
