"""Results to rows of text and back: what a spreadsheet may be handed.  Pure: no file is touched here.

The rules, each for every text cell, be it ours, a server's or the list's own:

1. A row is one physical line: line breaks and tabs become a blank, other control characters go, a lone surrogate is
   escaped.  So a line end in the file always is a row's end, which is what resuming relies on.
2. No cell is run as a formula: an apostrophe goes before a leading ``= + - @``, in full width too, and blanks or
   quotes before it do not help.  The same after a ``;`` inside a cell: where ``;`` is the list separator, a
   spreadsheet splits a comma-separated line there, quoted or not.
3. A cell holds at most 32,767 UTF-16 units, which is how Excel counts; what is longer is cut and marked.
4. A cell that holds any of the usual delimiters is quoted, whichever is in use: LibreOffice's import offers comma,
   semicolon and tab all at once.

Numbers of ours stay numbers, and so does a plain negative number in the list's own columns.  All of it is idempotent,
so a cell that was read back from a report is written as it was.

Source: OWASP ASVS 5.0, 1.2.10; OWASP "CSV injection"; Microsoft, "Excel specifications and limits".
"""

from __future__ import annotations

import codecs
import csv
import operator
import re
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from .records import COLUMNS, Outcome, Result, Target, outcome_of

__all__ = ["CELL_UNITS", "CUT_MARK", "Layout", "choose_columns", "obstacle_to_resume", "safe_text", "tells_outcomes"]

CELL_UNITS: Final = 32_767
CUT_MARK: Final = "[cut]"  # plain ASCII: every encoding has it
EOL: Final = "\r\n"

_UNSEEN: Final = "\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069"  # takes no room on the screen
# What else may part cells where a file is opened with another delimiter than it has; a comma of its own is quoted.
# A plain number behind it, as in the address of a map, is no formula.
_SEPARATORS: Final = {",": ";", ";": ";,", "\t": ";,"}
_FORMULAS: Final = {
    delimiter: re.compile(rf"(?:^|[{marks}](?!-[0-9.]+(?:[,;\t\"]|$)))(?=[\s\"{_UNSEEN}]*[=+\-@＝＋－＠])")
    for delimiter, marks in _SEPARATORS.items()
}
_BEFORE_SIGN: Final = rf"(?:[^\S\n]|[\"{_UNSEEN}])*[=+\-@＝＋－＠]"
_CELL_FORMULA: Final = re.compile(rf"\n{_BEFORE_SIGN}")  # in cells parted by line feeds: two searches for one
_PART_FORMULAS: Final = {  # character are faster than one for either
    delimiter: re.compile(rf"[{marks}]{_BEFORE_SIGN}") for delimiter, marks in _SEPARATORS.items()
}
_NUMBER: Final = re.compile(r"-[0-9]{1,15}(?:[.,][0-9]{1,15})?")
_BREAKS: Final = re.compile(r"\r\n|[\t-\r\x85\u2028\u2029]")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

_NUMBERS: Final = frozenset({"row", "status", "redirects", "elapsed_ms", "attempts", "content_length"})
_WITHOUT_BOM: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
}


def safe_text(text: str, delimiter: str = ",") -> str:
    """Return *text* as it may stand in a cell of a file with this delimiter: one line, no formula, not too long."""
    if len(text) > CELL_UNITS:
        text = text[:CELL_UNITS] + CUT_MARK
    if not text.isprintable():  # false for more than we mind, never true for what we do mind
        text = _CONTROLS.sub("", _BREAKS.sub(" ", text))
        text = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return _cut(_FORMULAS[delimiter].sub(_guarded, text))


def _guarded(found: re.Match[str]) -> str:
    return found[0] + "'"


def _cut(text: str) -> str:
    if len(text) <= CELL_UNITS // 2:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * CELL_UNITS:
        return text
    return units[: 2 * (CELL_UNITS - len(CUT_MARK))].decode("utf-16-le", "ignore") + CUT_MARK  # no half of a pair


def _safe_own(text: str, delimiter: str) -> str:
    """Return a cell of the list's own columns, where a plain negative number is left as it is."""
    return text if _NUMBER.fullmatch(text) else safe_text(text, delimiter)


def choose_columns(spec: str | None = None, *, with_source: bool = False) -> tuple[str, ...]:
    """Return the names of our columns in the order wanted; without a *spec* all.

    *spec* is names parted by commas.  *with_source* says that there are several sources: without a *spec*,
    ``source`` then follows ``row``.

    Raises ValueError if a name is unknown, or there twice.
    """
    if spec is None:
        return (COLUMNS[0], "source", *COLUMNS[1:]) if with_source else COLUMNS
    names = tuple(name.strip() for name in spec.split(","))
    for place, name in enumerate(names):
        if name != "source" and name not in COLUMNS:
            raise ValueError(f'no column is named "{name}"; there are {", ".join(COLUMNS)} and source')
        if name in names[:place]:
            raise ValueError(f'column "{name}" is named twice')
    return names


def obstacle_to_resume(columns: Container[str], *, several: bool, judged: bool) -> str:
    """Return why a report of these columns cannot be resumed; nothing where it can.

    *several* says that it is of more than one source, *judged* that --fail wants to know of each row.
    """
    if "row" not in columns or "url" not in columns:
        return "a report without the columns row and url cannot be resumed"
    if several and "source" not in columns:
        return "a report of several sources without the column source cannot be resumed"
    if judged and not tells_outcomes(columns):
        return "a report without the columns status and outcome cannot be resumed with --fail"
    return ""


def tells_outcomes(columns: Container[str]) -> bool:
    """Whether a row of these columns tells what its URL answered: status alone may be that of a failed redirect."""
    return "status" in columns and "outcome" in columns


class Layout:
    """How a report is written: its columns, delimiter and encoding.  Immutable by custom.

    *columns* are names of ours, ``source`` among them; *own* are the headings of the list's own columns, which follow:
    the list has given them names that are none of ours.

    Raises ValueError if *encoding* is unknown, or is none that text can be written in row by row.
    """

    def __init__(
        self,
        columns: Sequence[str] = COLUMNS,
        own: Sequence[str] = (),
        *,
        delimiter: str = ",",
        encoding: str = "utf-8-sig",
    ) -> None:
        self.columns = tuple(columns)
        self.headings = (*self.columns, *own)
        self.delimiter = delimiter
        self.bom, self.encoding = _row_encoding(encoding)  # the mark, and what encodes a row without it
        self.eol = EOL.encode(self.encoding)
        self._pick = _picker(self.columns)
        self._others = [mark for mark in ',;\t"' if mark != delimiter]
        self._begins_oddly = re.compile(delimiter + "[ =+\\-@＝＋－＠]").search
        self._own = len(own)

    def heading(self) -> bytes:
        """Return the file's first bytes: the byte-order mark, if it has one, and the heading."""
        return self.bom + self._encoded([safe_text(name, self.delimiter) for name in self.headings])

    def row(self, target: Target, result: Result) -> bytes:
        """Return the row of *result*, encoded, its line end included."""
        values = self._pick((*result, target.source))
        cells = ["" if value is None else value if value.__class__ is str else str(value) for value in values]
        if self._own:
            cells += (*target.own_cells, *[""] * self._own)[: self._own]
        line = self.delimiter.join(cells)
        if self._is_plain(line, len(cells)):
            try:
                return (line + EOL).encode(self.encoding)
            except UnicodeEncodeError:
                pass  # below
        return self._encoded(cells if _are_safe(cells, self.delimiter) else self._safe(cells))

    def _is_plain(self, line: str, cells: int) -> bool:
        """Whether *line*, made of so many cells, is one row as it is: nothing to quote, to guard or to cut.

        Most rows with an answer are; what looks at each cell would leave them so in several times the time.
        """
        one, two, three = self._others
        return (
            not (one in line or two in line or three in line)
            and line.count(self.delimiter) == cells - 1
            and 0 < len(line) <= CELL_UNITS // 2
            and line.replace("\t", "").isprintable()  # so of all that may come before a sign only blanks can be there
            and not self._begins_oddly(self.delimiter + line)
        )

    def _safe(self, cells: list[str]) -> list[str]:
        delimiter = self.delimiter
        ours = [
            text if name in _NUMBERS else safe_text(text, delimiter)
            for name, text in zip(self.columns, cells, strict=False)
        ]
        return ours + [_safe_own(text, delimiter) for text in cells[len(ours) :]]

    def _encoded(self, cells: Iterable[str]) -> bytes:
        try:
            return self._line(cells).encode(self.encoding)
        except UnicodeEncodeError:
            return self._line([_cut(self._escaped(text)) for text in cells]).encode(self.encoding)

    def _line(self, cells: Iterable[str]) -> str:
        cells = [*cells]
        if not _needs_quotes("".join(cells)):
            return (self.delimiter.join(cells) or '""') + EOL
        quoted = ['"' + text.replace('"', '""') + '"' if _needs_quotes(text) else text for text in cells]
        return (self.delimiter.join(quoted) or '""') + EOL  # an empty line would be no row to most readers

    def _escaped(self, text: str) -> str:
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def shown(self, text: str) -> str:
        """Return *text* as it reads back from a cell of this report."""
        text = safe_text(text, self.delimiter)
        return text if text.isascii() else _cut(self._escaped(text))

    def cells(self, line: str) -> list[str]:
        """Return the cells of a row without its line end.

        Raises ValueError if it is not a row of this layout, by its quoting or its number of cells.
        """
        try:
            cells = next(csv.reader([line], delimiter=self.delimiter, strict=True))
        except (csv.Error, StopIteration) as exc:
            raise ValueError(str(exc)) from exc
        if len(cells) != len(self.headings):
            raise ValueError(f"{len(cells)} cells, not {len(self.headings)}")
        return cells

    def result(self, cells: Sequence[str]) -> Result:
        """Return the Result that a row's *cells* tell of; a column that is not there has its default.

        Raises ValueError if a number is none, or an outcome unknown.
        """
        values: dict[str, object] = {"row": 0, "url": "", "status": None, "outcome": ""}
        for name, text in zip(self.columns, cells, strict=False):
            if name not in _NUMBERS:
                values[name] = text
            elif text:
                values[name] = _number(name, text)
        values.pop("source", None)
        values["outcome"] = _outcome(values["outcome"], values["status"])
        return Result(**values)  # type: ignore[arg-type]  # by name, each made its type above


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' stands under {name}, which is a number") from None


def _outcome(text: object, status: object) -> Outcome:
    """Return the outcome that *text* names; without any, what *status* tells, which is not the kind of a failure."""
    if not text:
        return outcome_of(status) if isinstance(status, int) else Outcome.CONNECT_ERROR
    try:
        return Outcome(text)
    except ValueError:
        raise ValueError(f"'{text}' stands under outcome, and is none") from None


def _are_safe(cells: Sequence[str], delimiter: str) -> bool:
    """Whether ``_safe`` would leave *cells* as they are, which is so for all but a row in a thousand."""
    joined = "\n".join(cells)
    return len(joined) <= CELL_UNITS // 2 and "".join(cells).isprintable() and not _holds_formula(joined, delimiter)


def _holds_formula(joined: str, delimiter: str) -> bool:
    """Whether one of the cells, which line feeds part, may be run as a formula, or a part of it behind a separator."""
    holds_mark = any(mark in joined for mark in _SEPARATORS[delimiter])
    return bool(_CELL_FORMULA.search("\n" + joined) or (holds_mark and _PART_FORMULAS[delimiter].search(joined)))


def _needs_quotes(text: str) -> bool:
    return "," in text or ";" in text or "\t" in text or '"' in text  # a tenth of the time of a pattern's search


def _picker(columns: Sequence[str]) -> Callable[[tuple[object, ...]], tuple[object, ...]]:
    """Return what takes the values of *columns*, in their order, from a Result with its source behind it."""
    places = [(*COLUMNS, "source").index(name) for name in columns]
    if len(places) == 1:
        return lambda values: (values[places[0]],)
    return operator.itemgetter(*places)


def _row_encoding(name: str) -> tuple[bytes, str]:
    """Return the byte-order mark of encoding *name*, and the encoding that writes the same without it."""
    two = ('\\u0041"0aZ,' + "a" * 64, EOL)  # 'idna' has no more in one piece
    try:
        bom = "".encode(name)
        plain = _WITHOUT_BOM.get(bom, name)
        first, second = (text.encode(plain) for text in two)
        fits = "".join(two).encode(plain) == first + second and first.decode(plain) == two[0] and b"\r" in second
    except (LookupError, ValueError):  # UnicodeError, and a NUL in the name, are ValueErrors
        fits = False
    if not fits:
        raise ValueError(f'no text can be written in encoding "{name}"; try utf-8-sig, utf-8, gb18030 or cp1252')
    return bom, plain
