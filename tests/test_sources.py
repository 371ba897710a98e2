"""Lists to targets: every line its target, whatever it holds and however it is written."""

from __future__ import annotations

import csv
import gzip
import io
import locale
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from status_probe.records import Target
from status_probe.sources import SourceError, TargetList
from status_probe.sources.plain import URL_KEPT
from status_probe.sources.table import CELL_LIMIT, RECORD_LIMIT
from status_probe.urls import BLANKS, LONGEST

WAIT = 10.0  # seconds; the most that a test waits for another thread

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030")
LINE_ENDS = ("\n", "\r\n", "\r")

anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40)
many_runs = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture(autouse=True)
def system_of_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test hang on the encoding of the system it runs on."""
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: "UTF-8")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], str]:
    """Return what writes a file and gives its name."""

    def write_file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


Write = Callable[[str, "str | bytes"], str]


def read(*sources: str, **options: Any) -> list[Target]:
    with TargetList(sources, **options) as targets:
        return list(targets)


def urls(*sources: str, **options: Any) -> list[str]:
    return [target.url for target in read(*sources, **options)]


def rows(*sources: str, **options: Any) -> list[tuple[int, str]]:
    return [(target.row, target.url) for target in read(*sources, **options)]


def refusal(*sources: str, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        TargetList(sources, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def expected(lines: Sequence[str]) -> list[tuple[int, str]]:
    stripped = [(row, line.strip(BLANKS)) for row, line in enumerate(lines, 1)]
    return [(row, url) for row, url in stripped if url and not url.startswith("#")]


# Text lists


@many_runs
@given(st.lists(anything, max_size=8), st.sampled_from(ENCODINGS), st.sampled_from(LINE_ENDS), st.booleans())
def test_each_line_comes_back(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], encoding: str, end: str, ended: bool
) -> None:
    """Lines in any encoding and with any line ends come back one by one, blank ones and comments left out."""
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes((end.join(lines) + (end if ended else "")).encode(encoding))
    # A mark at the head of the first line is taken for the list's own; it would be stripped from a URL anyway.
    assert rows(str(path), encoding=encoding) == expected(lines)


@many_runs
@given(st.binary(max_size=200), st.sampled_from(["x.txt", "x.csv", "x.tsv", "x.txt.gz"]))
def test_no_bytes_make_it_crash(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    """Any bytes are targets or a SourceError, and the count is that of the targets."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with suppress(SourceError), TargetList([str(path)]) as targets:
        assert targets.count() == len(list(targets))


def test_blank_lines_and_comments_are_no_targets_and_keep_their_numbers(write: Write) -> None:
    """A target's row is its line in the file, comments and blank lines counted."""
    name = write("list.txt", "# ours\n\nhttp://a/\n \t \n  # more\nhttp://b/#x\n")
    assert rows(name) == [(3, "http://a/"), (6, "http://b/#x")]


def test_blanks_around_a_url_are_stripped_and_no_others(write: Write) -> None:
    """Every space of Unicode, tab, CR, BOM and marks that take no room go from the ends; what lies within stays."""
    around = "\u200b\t \ufeff\u202a\u2060\xa0\u2003\u202f\u3000\u200c\u200d"
    within = "http://a/x y\u3000\xa0\u200dz"
    assert urls(write("list.txt", f"{around}{within}{around}\r\n{around}\n")) == [within]


def test_line_ends_may_be_mixed(write: Write) -> None:
    """LF, CRLF and CR each end one line, also next to one another."""
    name = write("list.txt", b"a\nb\r\nc\rd\r\re")
    assert rows(name) == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (6, "e")]


def test_nothing_else_ends_a_line(write: Write) -> None:
    """VT, FF, FS, U+0085 and U+2028 are part of a line."""
    line = "http://a/\v\f\x1c\x1d\x1e\x85\u2028\u2029b"
    assert urls(write("list.txt", line + "\n")) == [line]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_line_end_across_chunks_is_one(write: Write, end: str) -> None:
    """Lines come back whole wherever the chunks that are read part them."""
    lines = [f"http://a/{'x' * (number % 97)}é{number}" for number in range(6_000)]
    assert urls(write("list.txt", end.join(lines))) == lines


def test_a_nul_is_escaped_rather_than_dropped(write: Write) -> None:
    """A line with a NUL is no other URL than the one listed, and is never lost."""
    assert urls(write("list.txt", "http://a\0b/\n\0\n")) == ["http://a%00b/", "%00"]


def test_a_long_line_is_one_target_with_a_fault(write: Write) -> None:
    """A line beyond the limit has a fault and a short url; its neighbours are as they are."""
    long = "http://long/" + "x" * (5 * LONGEST)
    before, target, after = read(write("list.txt", f"http://a/\n{long}\nhttp://b/"))
    assert (before.url, after.url, after.row) == ("http://a/", "http://b/", 3)
    assert target.url == long[:URL_KEPT]
    assert target.fault == "longer than 65,536 characters"
    assert not before.fault
    assert not after.fault


def test_a_line_at_the_limit_has_no_fault(write: Write) -> None:
    """The limit itself is allowed, one more is not."""
    at, beyond = read(write("list.txt", "x" * LONGEST + "\n" + "x" * (LONGEST + 1)))
    assert (at.fault, len(at.url)) == ("", LONGEST)
    assert beyond.fault


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_a_long_line_takes_bounded_memory(write: Write, name: str) -> None:
    """Reading a line of 30 MB holds a small part of it."""
    path = write(name, b"url,note\nhttp://a/," + b"x" * 30_000_000 + b"\n")
    tracemalloc.start()
    try:
        assert len(read(path)) == (2 if name == "list.txt" else 1)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def test_no_part_of_a_password_is_shown_of_a_long_line(write: Write) -> None:
    """A URL that is cut is redacted before, since its end, by which a password is known, is lost."""
    line = f"http://user:{'secret' * 332}@a/" + "x" * LONGEST  # the @ lies just beyond what is kept
    assert "secret" not in read(write("list.txt", line))[0].url


def test_an_unknown_ending_is_a_text_list(write: Write) -> None:
    """Only .csv and .tsv, in any case, are tables."""
    assert urls(write("list.urls", "url,x\n")) == ["url,x"]
    assert urls(write("LIST.CSV", "x,url\n1,http://a/\n")) == ["http://a/"]


def test_a_line_of_tabs_stays_whole(write: Write) -> None:
    """A text list of a spreadsheet's making is not taken apart."""
    assert urls(write("list.txt", "http://a/\tnote\n".encode("utf-16"))) == ["http://a/\tnote"]


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "gb18030"])
def test_the_encoding_is_found(write: Write, encoding: str) -> None:
    """Each of these is found by its mark, its NULs or its bytes."""
    text = "http://例子.测试/路径/一二三\r\n# 中文网址列表\r\nhttp://b/\r\n"
    assert rows(write("list.txt", text.encode(encoding))) == [(1, "http://例子.测试/路径/一二三"), (3, "http://b/")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_before_a_quoted_heading_is_none_of_it(write: Write, encoding: str) -> None:
    """Programs that quote every cell write marks as well."""
    with TargetList([write("list.csv", '"link","a,b"\n"http://a/","1"\n'.encode(encoding))]) as targets:
        assert targets.headings == ("link", "a,b")
        assert [target.own_cells for target in targets] == [("http://a/", "1")]


def test_the_first_chunk_beyond_ascii_decides(write: Write) -> None:
    """A list that is plain for long is still found to be UTF-8, or not."""
    plain = "http://plain.example/\n" * 10_000
    assert urls(write("list.txt", (plain + "http://ü/\n").encode()))[-1] == "http://ü/"
    assert urls(write("list.txt", (plain + "http://ü/\n").encode("latin-1")))[-1] == "http://ü/"


@pytest.mark.parametrize("line", ["http://münchen.test/", "http://a/étérnel", "http://a/€5"])
def test_european_text_is_not_taken_for_chinese(write: Write, line: str) -> None:
    """Bytes above ASCII that stand alone are Windows-1252, although GB18030 could decode most of them."""
    assert urls(write("list.txt", line.encode("cp1252"))) == [line]


def test_the_systems_encoding_comes_after_utf8(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not UTF-8 is read as the system's own encoding where it has one."""
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: "cp1251")
    assert urls(write("list.txt", "http://a/привет".encode("cp1251"))) == ["http://a/привет"]
    assert urls(write("utf8.txt", "http://a/привет")) == ["http://a/привет"]


def test_a_bad_byte_is_escaped_and_its_line_kept(write: Write) -> None:
    """A byte that the encoding lacks costs no line, neither in a list that is UTF-8 else nor in a named encoding."""
    name = write("list.txt", "http://é/é\n".encode() + b"http://a/\xff\nhttp://b/")
    assert urls(name) == ["http://é/é", "http://a/%FF", "http://b/"]
    assert urls(name, encoding="ascii")[1:] == ["http://a/%FF", "http://b/"]


@pytest.mark.parametrize("system", ["cp936", "gb2312"])
def test_chinese_lists_are_read_as_gb18030(write: Write, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """It has all of the older ones, which is what a Chinese Windows names."""
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: system)
    assert urls(write("list.txt", "http://a/䶮㛃路\n".encode("gb18030"))) == ["http://a/䶮㛃路"]


def test_a_late_bad_byte_is_escaped(write: Write) -> None:
    """UTF-8 once found stays, whatever comes after the first chunk."""
    name = write("list.txt", "http://é/\n".encode() * 100_000 + b"http://a/\xe9\n")
    assert urls(name)[-1] == "http://a/%E9"


def test_a_character_cut_off_at_the_end_is_escaped(write: Write) -> None:
    """The last bytes of a list are not lost where they make no character."""
    assert urls(write("list.txt", "http://路/路".encode()[:-1])) == ["http://路/%E8%B7"]


def test_the_named_encoding_wins(write: Write) -> None:
    """--input-encoding is taken at its word, also against what looks like another; a mark is still dropped."""
    assert urls(write("list.txt", "http://é/"), encoding="latin-1") == ["http://Ã©/"]
    assert urls(write("table.csv", b"\xef\xbb\xbfurl\nhttp://a/"), encoding="UTF-8") == ["http://a/"]


def test_a_named_utf16_needs_no_mark(write: Write) -> None:
    """The order of bytes is found where utf-16 is all that is said."""
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        name = write("list.txt", "http://a/\n路.test\n".encode(encoding))
        assert urls(name, encoding="UTF16") == ["http://a/", "路.test"]


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "idna", "undefined", "a\0b", ""])
def test_an_unknown_encoding_is_refused(write: Write, encoding: str) -> None:
    """A name that is no encoding of text is told before anything is read."""
    assert "unknown encoding" in refusal(write("list.txt", "a"), encoding=encoding)


# Tables


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(2, 4))
    cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0@:"), max_size=12)
    return draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=6))


@many_runs
@given(tables(), st.sampled_from(",;\t"), st.sampled_from(ENCODINGS), st.booleans())
def test_each_record_comes_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], delimiter: str, encoding: str, quoting: bool
) -> None:
    """Whatever csv writes comes back cell by cell under its number, all-blank records left out."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    heading = ["link", "a", "b", "c"][: len(cells[0]) if cells else 2]
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL if quoting else csv.QUOTE_MINIMAL)
        writer.writerows([heading, *cells])
    got = [(target.row, target.url, target.own_cells) for target in read(str(path), encoding=encoding)]
    kept = [(row, record) for row, record in enumerate(cells, 2) if "".join(record).strip(BLANKS)]
    assert got == [(row, record[0].strip(BLANKS), tuple(record)) for row, record in kept]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", "url,a\nhttp://a/,1;2\n"),
        ("l.csv", "url;a\nhttp://a/;1,2\n"),
        ("l.csv", "url\ta\nhttp://a/\t1,2\n"),
        ("l.tsv", "url\ta,b,c\nhttp://a/\t1,2\n"),
        ("l.csv", '"url";"a,b,c"\nhttp://a/;1\n'),
        ("l.csv", "sep=;\nurl;a\nhttp://a/;1,2\n"),
    ],
)
def test_the_delimiter_is_found(write: Write, name: str, content: str) -> None:
    """Comma, semicolon and tab are told by the heading, outside of quotation marks; a TSV's is a tab."""
    with TargetList([write(name, content)]) as targets:
        assert len(targets.headings) == 2
        assert [target.url for target in targets] == ["http://a/"]


def test_a_list_of_one_column_needs_no_quotation_marks(write: Write) -> None:
    """Where the heading has no delimiter, none parts a line: a URL with commas stays whole."""
    assert urls(write("list.csv", "url\nhttp://a/?x=1,2;3\n")) == ["http://a/?x=1,2;3"]


def test_a_line_break_in_a_cell_ends_no_record(write: Write) -> None:
    """A record is one target over any number of lines, and its row is the record's number."""
    name = write("list.csv", 'note,url\r\n"two\r\nlines",http://a/\r\n\r\nx,http://b/\r\n')
    assert rows(name) == [(2, "http://a/"), (4, "http://b/")]


def test_a_blank_record_is_no_target_but_one_without_url_is(write: Write) -> None:
    """Cells without a URL are a line that is not blank: a target with an empty url."""
    name = write("list.csv", "url,name\n,\n ,\t\n,x\n")
    assert [(target.row, target.url, target.own_cells) for target in read(name)] == [(4, "", ("", "x"))]


def test_short_records_are_filled_and_long_ones_keep_all(write: Write) -> None:
    """Missing cells are empty; cells beyond the heading stay in the last, but for empty ones."""
    name = write("list.csv", "url,note\nhttp://a/\nhttp://b/,x,y,,z\nhttp://c/,x,,\n")
    cells = [target.own_cells for target in read(name)]
    assert cells == [("http://a/", ""), ("http://b/", "x,y,,z"), ("http://c/", "x")]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_url_of_the_last_column_stays_whole(write: Write, delimiter: str) -> None:
    """One that holds the delimiter, unquoted, is asked as it stands."""
    url = f"http://a/x{delimiter}y?z=1{delimiter}2"
    (target,) = read(write("l.csv", f"note{delimiter}url\nn{delimiter}{url}{delimiter}\n"))
    assert (target.url, target.own_cells, target.fault) == (url, ("n", url), "")


@pytest.mark.parametrize("surplus", [",see below", ", x", ",,x", ", ,", "\tx"])
def test_what_is_no_part_of_a_url_stays_out_of_it(write: Write, surplus: str) -> None:
    """Cells beyond the heading may as well be a remark: with a blank in it, or behind an empty one."""
    delimiter = surplus[0]
    (target,) = read(write("l.csv", f"note{delimiter}url\nn{delimiter}http://a/x{surplus}\n"))
    assert (target.url, target.fault) == ("http://a/x", "")


def test_a_quoted_url_and_one_that_another_follows_are_whole(write: Write) -> None:
    """What stands behind them is no part of theirs."""
    name = write("l.csv", 'id,url\n1,"http://a/x,1",note\n2,http://a/x,http://b/\n')
    assert urls(name) == ["http://a/x,1", "http://a/x"]


def test_columns_have_a_bound(write: Write) -> None:
    """A heading of thousands is refused: each record that waits would have a cell for each."""
    assert "2,001 columns" in refusal(str(write("l.csv", "url" + ",a" * 2000 + "\nhttp://a/\n")))
    (target,) = read(write("m.csv", "url" + ",a" * 999 + "\nhttp://a/\n"))
    assert len(target.own_cells) == 1000


def test_a_huge_cell_is_no_error(write: Write) -> None:
    """A cell beyond csv's own limit of 131,072 is read, and cut to what a spreadsheet could not hold either."""
    (target,) = read(write("list.csv", f"note,url\n{'x' * 900_000},http://a/\n"))
    assert (target.url, target.fault, target.own_cells[0]) == ("http://a/", "", "x" * CELL_LIMIT)


def test_a_record_beyond_the_limit_ends_and_the_next_is_right(write: Write) -> None:
    """A record too long to hold is one target with a fault, quoted or not."""
    long = "x" * (3 * RECORD_LIMIT)
    name = write("list.csv", f'note,url\n"{long}",http://a/\nx,http://b/\n{long},http://c/\ny,http://d/\n')
    assert [(target.row, bool(target.fault)) for target in read(name)] == [(2, True), (3, False), (4, True), (5, False)]
    assert urls(name)[1::2] == ["http://b/", "http://d/"]


def test_a_quotation_mark_that_is_not_closed_takes_a_bounded_part(write: Write) -> None:
    """It costs the lines up to the limit, is said, and the lines after it are read again."""
    lines = [f"http://a/{number},note" for number in range(100_000)]
    targets = read(write("list.csv", 'url,note\nhttp://b/,"open\n' + "\n".join(lines)))
    assert "quotation mark" in targets[0].fault
    assert targets[-1].url == "http://a/99999"
    assert len(targets) > 40_000
    assert not any(target.fault for target in targets[1:])


def test_a_list_that_ends_within_a_quotation_says_so(write: Write) -> None:
    """The lines that a quotation mark took up to the end of the list are not lost in silence."""
    targets = read(write("list.csv", 'url,note\nhttp://a/,x\nhttp://b/,"open\nhttp://c/,\n'))
    assert [bool(target.fault) for target in targets] == [False, True]


def test_a_nul_in_a_table_is_no_error(write: Write) -> None:
    """csv never sees a NUL, which Python 3.10's refuses."""
    (target,) = read(write("list.csv", "url,a\nhttp://a/,x\0y\n"))
    assert target.own_cells[1] == "x%00y"


# The column of URLs


@pytest.mark.parametrize(
    ("content", "column"),
    [
        ("name,URL\nx,http://a/\n", None),
        ("name, Link \nx,http://a/\n", None),
        ("website,url\nx,http://a/\n", None),
        ("address,website\nStreet 5,http://a/\n", None),
        ("home,page\nnone,http://a/\n", None),
        ("file,page\nx y,http://a/\n", None),
        ("x,y\nnotes.txt,http://a/\n", None),
        ("url,Page\nx,http://a/\n", "Page"),
        ("url,Page\nx,http://a/\n", "pAGE"),
        ("url,Page\nx,http://a/\n", "2"),
        ("2,1\nx,http://a/\n", "1"),
        ("http://x/link,http://x/name\nhttp://a/,n\n", "http://x/link"),
    ],
)
def test_the_column_is_found(write: Write, content: str, column: str | None) -> None:
    """By its heading, exactly or in another case, or its number; else headed as URLs are; else by what it holds."""
    assert urls(write("list.csv", content), column=column) == ["http://a/"]


def test_a_column_of_plain_hosts_is_found(write: Write) -> None:
    """Hosts without a scheme are URLs too."""
    assert urls(write("list.csv", "n,page\n1.5,example.com\n2.5,b.test:80/x\n")) == ["example.com", "b.test:80/x"]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(write: Write) -> None:
    """The message names the headings, passwords hidden."""
    name = write("list.csv", "url,name\nhttp://a/,x\n")
    assert refusal(name, column="foo") == f"{name}: no column 'foo'; it has 'url', 'name'"
    assert "no column '3'" in refusal(name, column="3")
    assert "no column holds URLs; it has 'a', 'b'" in refusal(write("none.csv", "a,b\n1,2\n"))


@pytest.mark.parametrize("content", ["http://a/,x\nhttp://b/,y\n", "http://u:pw@a/\n", "a.test\nb.test\nc.test\n"])
@pytest.mark.parametrize("column", [None, "1"])
def test_a_url_is_never_taken_for_a_heading(write: Write, content: str, column: str | None) -> None:
    """A list without a heading is refused rather than its first URL lost."""
    message = refusal(write("list.csv", content), column=column)
    assert "needs a heading" in message
    assert "pw" not in message


@pytest.mark.parametrize("content", ["", "\n\n", ",,\n1,2,3\n", "\ufeff"])
def test_a_table_without_heading_is_refused(write: Write, content: str) -> None:
    """An empty CSV, or one whose heading is blank, has no column that could be named."""
    assert "no heading" in refusal(write("list.csv", content))


def test_a_column_is_refused_where_nothing_has_columns(write: Write) -> None:
    """--column without a table is not ignored."""
    assert "'url'" in refusal(write("list.txt", "http://a/"), column="url")


def test_quotation_marks_that_are_text_take_no_lines(write: Write) -> None:
    """Some programs quote nothing in TSV: a cell that begins with a mark does not take the lines up to the next one."""
    records = [("title", "url"), ('"Hello', "http://a/1"), ("b", "http://a/2"), ('"World', "http://a/3"), ('"', "x")]
    name = write("list.tsv", "".join("\t".join(record) + "\n" for record in records))
    assert [(*target.own_cells, target.row, target.fault) for target in read(name)] == [
        (*record, row, "") for row, record in enumerate(records[1:], 2)
    ]
    quoted = write("quoted.tsv", 'title\turl\n"a\tb\nc\td"\thttp://a/1\nb\thttp://a/2\n')
    assert [target.own_cells[0] for target in read(quoted)] == ["a\tb\nc\td", "b"]


@pytest.mark.parametrize("content", [
    "Links of May\nurl;title\nhttp://a/;Home\nhttp://b/;About us\n",
    "链接检查表\n标题,网址\n首页,http://a/\n关于,b.test/x\n",
    '"Internal - HTML"\n"Address","Content"\n"http://a/","text/html"\n',
])  # fmt: skip
def test_a_title_above_the_heading_is_refused(write: Write, content: str) -> None:
    """Else it would be the heading of one column, and each line, delimiters and all, a URL."""
    assert "is there a title above the heading?" in refusal(write("list.csv", content))


@pytest.mark.parametrize("content", ["url\nhttp://a/x,1\nhttp://b/y,2\n", "url\na.test/x,1\nb.test/y\n", "url\n\n,,\n"])
def test_a_url_of_a_list_of_one_column_may_hold_delimiters(write: Write, content: str) -> None:
    """No title is seen where none is."""
    assert urls(write("list.csv", content)) == [line for line in content.split("\n")[1:] if line]


@pytest.mark.parametrize(("name", "content"), [
    ("list.txt", "http://a/\tnote\n\thttp://b/\t\n"),
    ("list.csv", 'url\n"http://a/\nhttp://c/"\n"\thttp://b/\n"\n'),
])  # fmt: skip
def test_a_tab_or_a_line_end_within_is_a_fault(write: Write, name: str, content: str) -> None:
    """What a browser would pass over parts a URL from something else in a list: another page would be asked."""
    first, second = read(write(name, content))
    assert "a tab or a line end" in first.fault
    assert (second.url, second.fault) == ("http://b/", "")


# Own columns


def test_headings_are_never_ours_nor_empty_nor_twice(write: Write) -> None:
    """Each own column has a name that no other has, among them and among the report's."""
    name = write("list.csv", "url,status,source,,name,name,name,input_url, two\twords\nhttp://a/\n")
    with TargetList([name]) as targets:
        assert targets.headings == (
            "input_url", "input_status", "input_source", "column 4", "name", "name_2", "name_3", "input_url_2",
            "two words",
        )  # fmt: skip


def test_own_cells_of_several_lists_lie_under_their_headings(write: Write) -> None:
    """Columns of the same name are one; a list that lacks one has empty cells there; a text list has none."""
    one = write("one.csv", "link,a,b\nhttp://a/,1,2\n")
    two = write("two.csv", "c,b,link\n3,4,http://b/\n")
    with TargetList([one, two, write("x.txt", "http://c/")]) as targets:
        assert targets.headings == ("link", "a", "b", "c")
        cells = [target.own_cells for target in targets]
    assert cells == [("http://a/", "1", "2", ""), ("http://b/", "", "4", "3"), ("", "", "", "")]


def test_no_own_cell_shows_a_password(write: Write) -> None:
    """Passwords are hidden in each own cell; the url is verbatim, since it is asked."""
    (target,) = read(write("list.csv", "url,other\nhttp://u:secret@a/,see http://x:secret@b/\n"))
    assert target.url == "http://u:secret@a/"
    assert "secret" not in "".join(target.own_cells)
    (target,) = read(write("list.csv", "mail,url\nE-mail:me@h.test,u:secret@a/\n"))
    assert target.own_cells == ("E-mail:me@h.test", "u:***@a/")
    (target,) = read(write("list.csv", "url\nu:secret@a.test\n"))
    assert target.own_cells == ("u:***@a.test",)


# Several sources


def test_targets_are_numbered_over_all_sources(write: Write) -> None:
    """Numbers go on over the sources, rows begin anew, and the source's name is as given."""
    one, two = write("one.txt", "#\nhttp://a/\n"), write("two.csv", "url\nhttp://b/\n")
    with TargetList([one, two]) as targets:
        assert targets.several
        assert [(t.number, t.row, t.source) for t in targets] == [(0, 2, one), (1, 2, two)]


def test_urls_are_one_source_called_arguments(write: Write) -> None:
    """URL arguments count as one source in the place of the first, with rows 1, 2, 3."""
    name = write("one.txt", "http://c/\n")
    got = [(t.number, t.row, t.url, t.source) for t in read("http://a/", name, "http://a/", " ftp://b/ ")]
    assert got == [
        (0, 1, "http://a/", "arguments"),
        (1, 2, "http://a/", "arguments"),
        (2, 3, "ftp://b/", "arguments"),
        (3, 1, "http://c/", name),
    ]
    assert not TargetList(["http://a/", "http://b/"]).several
    assert TargetList(["http://a/", "http://b/"]).count() == 2


def test_files_can_be_read_again(write: Write) -> None:
    """Each pass reads anew, passes do not disturb each other, and the count is exact."""
    text, table = write("one.txt", "#\na\n\nb\n"), write("two.csv.gz", gzip.compress(b"url\nc\n\nd\n"))
    with TargetList([text, table, "http://e/"]) as targets:
        assert targets.rereadable
        first = iter(targets)
        next(first)
        assert targets.count() == 5
        assert len(list(targets)) == 5
        assert len(list(first)) == 4


def test_no_sources_are_no_targets() -> None:
    """An empty list of sources is allowed here."""
    assert read() == []


# gzip and what is no text


@pytest.mark.parametrize("name", ["list.txt.gz", "list.GZ", "misnamed.txt"])
def test_gzip_is_read_whatever_its_name(write: Write, name: str) -> None:
    """Compressed lists are read as their content, several members too."""
    content = gzip.compress(b"http://a/\nhttp") + gzip.compress(b"://b/\n")
    assert urls(write(name, content)) == ["http://a/", "http://b/"]


def test_compressed_tables_are_tables(write: Write) -> None:
    """The ending before .gz tells a table."""
    assert urls(write("l.csv.gz", gzip.compress(b"n,url\n1,http://a/"))) == ["http://a/"]
    assert urls(write("l.tsv.gz", gzip.compress(b"n\turl\n1\thttp://a/"))) == ["http://a/"]


def many_lines() -> list[str]:
    state, lines = 1, []
    for _ in range(30_000):  # numbers that compress badly, so that damage lies beyond the first chunk
        state = state * 6364136223846793005 % 2**64
        lines.append(f"http://a/{state}")
    return lines


@pytest.mark.parametrize("damage", ["cut", "checksum"])
@pytest.mark.parametrize("name", ["list.txt.gz", "list.csv.gz"])
def test_damage_ends_the_list_after_the_lines_before_it(write: Write, name: str, damage: str) -> None:
    """Lines before the damage are targets, none of them half a line, then comes SourceError."""
    lines = many_lines()
    whole = gzip.compress("\n".join(["url", *lines]).encode())
    path = write(name, whole[: len(whole) // 2] if damage == "cut" else whole[:-8] + b"\0" * 8)
    seen: list[str] = []
    with TargetList([path], column="url" if "csv" in name else None) as targets:
        with pytest.raises(SourceError, match="cut short or damaged"):
            seen.extend(target.url for target in targets)
        with pytest.raises(SourceError, match="cut short or damaged"):
            targets.count()
    seen = [url for url in seen if url != "url"]
    assert seen == lines[: len(seen)]


def test_damage_loses_no_line_that_was_read(write: Write) -> None:
    """Targets are handed out before the damage is met."""
    lines = many_lines()
    whole = gzip.compress("\n".join(lines).encode())
    with TargetList([write("list.txt.gz", whole[: len(whole) // 2])]) as targets:
        assert [target.url for target in islice(targets, 5_000)] == lines[:5_000]


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "utf-8"])
@pytest.mark.parametrize("place", range(12, 16))
def test_the_encoding_is_found_wherever_a_piece_ends(encoding: str, place: int) -> None:
    """One letter that is cut in two at the end of what came first decides for no encoding."""
    text = ("http://a/?é and è" if encoding == "cp1252" else "http://a/?中文网址") * 9
    data = ("#\n" + text).encode(encoding)
    with TargetList(["-"], stdin=io.BufferedReader(InPieces(data[:place], data[place:]))) as targets:
        assert [target.url for target in targets] == [text]


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_what_is_held_back_to_the_end_is_escaped_too(write: Write, name: str) -> None:
    """A NUL beside the first byte that is not ASCII, at the very end, is none in the row."""
    content = b"url\nhttp://a/\0\xe9" if name.endswith("csv") else b"http://a/\0\xe9"
    with TargetList([write(name, content)]) as targets:
        assert [target.url for target in targets] == ["http://a/%00%E9"]


class InPieces(io.RawIOBase):
    """A stream of which each read gives a piece."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_heading_may_hold_a_line_end_within_quotation_marks(write: Write) -> None:
    """As spreadsheets write a heading of two lines, wherever it stands."""
    for heading in ('"my\nname",url', 'url;"two\r\nlines"', '"a\n""b""\nc"\turl'):
        delimiter = next(each for each in ",;\t" if each in heading)
        cells = [f"http://a{delimiter}x", f"x{delimiter}http://a"][not heading.startswith("url")]
        with TargetList([write("list.csv", f"{heading}\n{cells}\n")]) as targets:
            assert [(target.row, target.url) for target in targets] == [(2, "http://a")]


def test_a_name_that_begins_as_a_binary_file_does_is_text(write: Write) -> None:
    """PAR1 is Parquet, and the usual name of a data centre in Paris."""
    with TargetList([write("list.txt", "PAR1.example.com\n")]) as targets:
        assert [target.url for target in targets] == ["PAR1.example.com"]
    assert "binary" in refusal(write("list.txt", b"PAR1\x15\x04\x15"))


def test_what_is_not_gzip_is_refused(write: Write) -> None:
    """A file named .gz that is none is told at once, an empty one too."""
    assert "not gzip" in refusal(write("list.txt.gz", "http://a/"))
    assert "not gzip" in refusal(write("empty.gz", ""))


@pytest.mark.parametrize("name", ["list.xlsx", "list.csv", "list.txt"])
@pytest.mark.parametrize("start", [b"PK\x03\x04", b"%PDF-1.7", b"\xd0\xcf\x11\xe0", b"\x89PNG"])
def test_a_workbook_is_refused_with_what_to_do(write: Write, name: str, start: bytes) -> None:
    """Binary files given by mistake are to be exported, compressed or on standard input too."""
    content = start + bytes(range(256))
    assert "export it as CSV" in refusal(write(name, content))
    assert "export it as CSV" in refusal(write(f"{name}.gz", gzip.compress(content)))
    assert "export it as CSV" in refusal("-", stdin=io.BytesIO(content))


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """Missing files and directories are told by name before anything is read."""
    missing = tmp_path / "list.txt"
    assert refusal("list of mine.txt") == "cannot read 'list of mine.txt': no such file"
    assert refusal("http://a/", str(missing)).endswith("no such file")
    assert "directory" in refusal(str(tmp_path))
    assert refusal(str(tmp_path / "www.example.com")).endswith("no such file")  # a path, as it says itself
    assert refusal("a\0b").startswith("cannot read")
    assert refusal("x" * 5_000).startswith("cannot read")


@pytest.mark.parametrize("name", ["example.com", "www.example.com:8080/a.html?b=c", "192.0.2.1", "bücher.example/"])
def test_a_url_without_its_scheme_is_told_from_a_missing_list(name: str) -> None:
    """Whoever types the address as into a browser learns how to write it here."""
    assert refusal(name) == f"cannot read '{name}': no such file; if it is a URL, write 'https://{name}'"
    assert "if it is a URL" not in refusal(f"{name}.csv")


# Standard input


@pytest.fixture
def pipe() -> Iterator[tuple[io.BufferedReader, io.FileIO]]:
    """Give both ends of a pipe, the reading one as standard input would be."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, io.FileIO(writing, "w") as feed:  # noqa: PTH123 - they have no path
        yield stream, feed


def test_lines_of_a_pipe_come_as_they_are_written(pipe: tuple[io.BufferedReader, io.FileIO]) -> None:
    """A target is there as soon as its line has ended, while the pipe stays open and the next line is half written."""
    stream, feed = pipe
    feed.write(b"a\n")
    targets = iter(TargetList(["-"], stdin=stream))
    got: list[str] = []

    def follow() -> None:
        for number in range(4):
            got.append(next(targets).url)
            feed.write(b"http://%d/\nhttp://half" % number)

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    reader.join(WAIT)
    stuck = reader.is_alive()
    feed.close()  # so that it ends in any case
    reader.join(WAIT)
    assert not stuck
    assert got == ["a", "http://0/", "http://halfhttp://1/", "http://halfhttp://2/"]


def test_bytes_that_come_one_by_one_are_decoded() -> None:
    """A mark and characters of several bytes may be parted by the pipe at any place."""

    class Dripping(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self._content = io.BytesIO(content)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            one = self._content.read(1)
            buffer[: len(one)] = one
            return len(one)

    for encoding in ("utf-8-sig", "utf-16", "utf-32", "utf-8"):
        stream = io.BufferedReader(Dripping("http://路/\r\nhttp://b/\r\n".encode(encoding)))
        assert rows("-", stdin=stream) == [(1, "http://路/"), (2, "http://b/")]


def test_standard_input_may_be_gzip() -> None:
    """Compressed standard input is known by its first bytes."""
    assert urls("-", stdin=io.BytesIO(gzip.compress(b"http://a/\n"))) == ["http://a/"]


def test_standard_input_is_read_once_unless_spooled() -> None:
    """A stream is not rereadable and has no count; a second pass is refused; spooled it is as a file."""
    content = b"http://a/\n#\nhttp://b/\n"
    with TargetList(["-"], stdin=io.BytesIO(content)) as targets:
        assert (targets.rereadable, targets.count()) == (False, None)
        assert [target.source for target in targets] == ["-", "-"]
        with pytest.raises(SourceError, match="only once"):
            list(targets)
        with pytest.raises(SourceError, match="only once"):
            targets.spool()
    for spooled in (content, gzip.compress(content)):
        with TargetList(["-"], stdin=io.BytesIO(spooled)) as targets:
            targets.spool()
            assert (targets.rereadable, targets.count()) == (True, 2)
            assert [t.url for t in targets] == [t.url for t in targets] == ["http://a/", "http://b/"]
            assert {target.source for target in targets} == {"-"}


def test_closing_removes_what_was_spooled_and_leaves_standard_input_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays in the temporary directory; the stream that was given is the caller's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stdin = io.BytesIO(b"http://a/\n")
    targets = TargetList(["-"], stdin=stdin)
    targets.spool()
    assert list(tmp_path.iterdir())
    targets.close()
    targets.close()
    assert not list(tmp_path.iterdir())
    assert not stdin.closed


def test_standard_input_cannot_be_given_twice() -> None:
    """It could be read only by one of the two."""
    assert "more than once" in refusal("-", "-", stdin=io.BytesIO(b""))


def test_missing_or_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard input is told so."""
    closed = io.BufferedReader(io.BytesIO(b""))
    closed.close()
    assert "closed" in refusal("-", stdin=closed)
    monkeypatch.setattr(sys, "stdin", None)
    assert "no standard input" in refusal("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(("name", "rereadable"), [("list.txt", False), ("list.csv", True)])
def test_a_named_pipe_is_opened_once(tmp_path: Path, name: str, rereadable: bool) -> None:
    """A pipe given as a file, as bash's <(command) is, loses nothing to the look at its beginning."""
    path = tmp_path / name
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"link,n\nhttp://a/,1\n",), daemon=True)
    writer.start()
    with TargetList([str(path)]) as targets:
        assert targets.rereadable == rereadable
        assert [target.row for target in targets] == ([2] if rereadable else [1, 2])
    writer.join(WAIT)
