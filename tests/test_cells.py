"""Laws of a report's cells: one line, no formula, not too long, and back."""

from __future__ import annotations

import csv
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from status_probe.cells import CELL_UNITS, CUT_MARK, Layout, choose_columns, safe_text
from status_probe.records import COLUMNS, Outcome, Result, Target

NASTY = st.text(st.sampled_from("=+-@＝＋－＠;,\t\r\n\x0b\x85\u2028\"' \xa0\u3000\ufeff\u200b\0\x1b\x9b\ud800é€汉😀a1"))
ANY_TEXT = NASTY | st.text(st.characters(exclude_categories=()))
FORMULA = re.compile(r"(?:^|;)[\s\"\ufeff\u200b]*[=+\-@＝＋－＠]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
ENCODINGS = ["utf-8-sig", "utf-8", "gbk", "gb18030", "cp1252", "latin-1", "utf-16", "utf-16-be", "utf-32", "shift_jis"]


def result(**values: object) -> Result:
    return Result(1, "http://a.test/", 200, Outcome.OK)._replace(**values)  # type: ignore[arg-type]


def row_text(layout: Layout, answer: Result, target: Target | None = None) -> str:
    return layout.row(target or Target(0, answer.row, answer.url), answer).decode(layout.encoding)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
def test_any_text_is_a_safe_cell(text: str) -> None:
    """Whatever the text, its cell has no control character, no surrogate, no formula, and is left alone thereafter."""
    cell = safe_text(text)
    assert not CONTROL.search(cell)
    assert not FORMULA.search(cell)
    assert safe_text(cell) == cell


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.sampled_from(ENCODINGS), st.sampled_from(",;\t"))
def test_any_row_is_one_line_and_comes_back(reason: str, own: str, encoding: str, delimiter: str) -> None:
    """A row of any texts in any encoding is one physical line, which gives back what the cells show."""
    layout = Layout(("row", "url", "reason", "outcome"), ["note"], delimiter=delimiter, encoding=encoding)
    answer = result(reason=reason)
    line = row_text(layout, answer, Target(0, 1, answer.url, "", (own,)))
    assert line.endswith("\r\n")
    assert not CONTROL.search(line[:-2].replace("\t", "") if delimiter == "\t" else line[:-2])
    (cells,) = csv.reader([line], delimiter=delimiter, strict=True)
    assert cells[:4] == ["1", answer.url, layout.shown(reason), "ok"]
    assert cells == layout.cells(line[:-2])
    again = Target(0, 1, answer.url, "", (cells[4],))
    assert row_text(layout, layout.result(cells), again) == line


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("a\0b", "ab"),
        ("a\r\nb\tc\nd", "a b c d"),
        ("\t=1", "' =1"),
        (' "@x', "' \"@x"),
        ("\0+1", "'+1"),
        ("＝1+1", "'＝1+1"),
        ("x;=cmd", "x;'=cmd"),
        ("a\ud800", "a\\ud800"),
        ("a-b+c=d@e", "a-b+c=d@e"),
        ("http://a/?x=-1;y=2", "http://a/?x=-1;y=2"),
        ("a;-1.5;-2", "a;-1.5;-2"),
        ("a;-1.5+x", "a;'-1.5+x"),
    ],
)
def test_known_attacks_are_disarmed(text: str, cell: str) -> None:
    """What is known to run, or to tear a line, is made harmless by as little as possible."""
    assert safe_text(text) == cell


@pytest.mark.parametrize("text", ["a" * 40_000, "😀" * 20_000, "=" + "a" * 32_766, "\0" * 40_000 + "a", "é" * 50_000])
def test_a_cell_is_cut_as_excel_counts(text: str) -> None:
    """A cell has at most 32,767 UTF-16 units, the mark included, also where characters are escaped."""
    layout = Layout(("url", "reason"), encoding="ascii")
    for cell in (safe_text(text), layout.cells(row_text(layout, result(reason=text))[:-2])[1]):
        assert len(cell.encode("utf-16-le")) <= 2 * CELL_UNITS
        assert cell.endswith(CUT_MARK)
        assert safe_text(cell) == cell


def test_the_longest_cell_is_not_cut() -> None:
    """A cell of exactly the limit is left as it is."""
    assert safe_text("a" * CELL_UNITS) == "a" * CELL_UNITS


def test_numbers_stay_numbers() -> None:
    """Our numbers and a plain negative number of the list's own stay as they are; what only looks like one does not."""
    layout = Layout(("status", "content_length"), ["a", "b", "c"])
    target = Target(0, 1, "", "", ("-5,25", "+49 89 1", "-2+3"))
    cells = layout.cells(row_text(layout, result(content_length=-7), target)[:-2])
    assert cells == ["200", "-7", "-5,25", "'+49 89 1", "'-2+3"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_part_behind_a_comma_is_disarmed_where_that_is_not_the_delimiter(delimiter: str) -> None:
    """A file with semicolons, opened where commas part cells, is parted within quotation marks as well."""
    layout = Layout(("row", "reason"), delimiter=delimiter)
    assert row_text(layout, result(reason="x,=1+1,y;@z")) == f'1{delimiter}"x,\'=1+1,y;\'@z"\r\n'
    assert row_text(Layout(("row", "reason")), result(reason="x,=1+1,y;@z")) == '1,"x,=1+1,y;\'@z"\r\n'


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_place_on_a_map_stays_as_listed(delimiter: str) -> None:
    """A number with a minus is none that a spreadsheet runs."""
    url = "https://maps.test/@40.7,-74.0,15z"
    assert safe_text(url, delimiter) == url


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_cell_with_any_usual_delimiter_is_quoted(delimiter: str) -> None:
    """Whichever delimiter is in use, a cell with one of the others is quoted, for importers that split at them all."""
    for text in ("a,b", "a;b"):
        assert f'"{text}"' in row_text(Layout(("row", "reason"), delimiter=delimiter), result(reason=text))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_heading_carries_the_only_mark(encoding: str) -> None:
    """The byte-order mark an encoding asks for is before the heading, and before no row."""
    layout = Layout(encoding=encoding)
    text = (layout.heading() + layout.row(Target(0, 1, ""), result())).decode(encoding)
    assert text.startswith("row,url,status,")
    assert "\ufeff" not in text


@pytest.mark.parametrize(
    "name", ["rot13", "base64", "nonsense", "a\0b", "punycode", "idna", "unicode_escape", "undefined", ""]
)
def test_what_is_no_text_encoding_is_refused(name: str) -> None:
    """A codec that does not write text row by row is a ValueError that names it."""
    with pytest.raises(ValueError, match="encoding"):
        Layout(encoding=name)


def test_what_an_encoding_lacks_is_escaped() -> None:
    """A character that the encoding has not is written as an escape, never an error."""
    layout = Layout(("reason",), encoding="cp1252")
    assert layout.row(Target(0, 1, ""), result(reason="é€汉")) == "é€\\u6c49\r\n".encode("cp1252")


def test_an_empty_row_is_a_row() -> None:
    """A sole empty cell is written such that readers do not pass over its line."""
    assert row_text(Layout(("reason",)), result()) == '""\r\n'


def test_own_columns_follow() -> None:
    """The list's own columns come after ours, and each row has all of them."""
    layout = Layout(("row", "url"), ["name", "input_url", "=x"])
    assert layout.heading().decode("utf-8-sig") == "row,url,name,input_url,'=x\r\n"
    assert row_text(layout, result(), Target(0, 1, "", "", ("A",))) == "1,http://a.test/,A,,\r\n"


def test_columns_are_chosen_by_name() -> None:
    """Columns come as asked; unasked all do, with source after row where there are several."""
    assert choose_columns() == COLUMNS
    assert choose_columns(with_source=True)[:3] == ("row", "source", "url")
    assert choose_columns(" url, source,status", with_source=True) == ("url", "source", "status")
    assert row_text(Layout(("source", "url")), result(), Target(0, 1, "", "a.txt")) == "a.txt,http://a.test/\r\n"
    for spec in ("url,staus", "url,url", "url,"):
        with pytest.raises(ValueError, match="column"):
            choose_columns(spec)


def test_a_result_comes_back_whole() -> None:
    """A full Result reads back equal, types included; what a column does not tell has its default."""
    full = Result(
        3, "u", None, Outcome.DNS_ERROR, "r", "m", "f", 2, "c", 5, 4, "GET", "t", 9, "::1", "e", "h", "d", "v"
    )
    for answer in (full, full._replace(status=404, outcome=Outcome.CLIENT_ERROR, elapsed_ms=None)):
        layout = Layout()
        back = layout.result(layout.cells(row_text(layout, answer)[:-2]))
        assert back == answer
        assert type(back.outcome) is Outcome
    few = Layout(("url", "status"))
    assert few.result(["u", "301"]) == Result(0, "u", 301, Outcome.REDIRECT)


@pytest.mark.parametrize("line", ["1", "1,2,3", '1,"2', '1,"2"x', ""])
def test_what_is_no_row_is_refused(line: str) -> None:
    """A line of other cells or broken quoting is a ValueError."""
    with pytest.raises(ValueError, match=r"\S"):
        Layout(("row", "url")).cells(line)
