"""Laws of the report: rows whole at any time, in input order at its end, and gone on with from any state."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from status_probe import resume
from status_probe.cells import Layout, choose_columns
from status_probe.ending import Ending, numbered
from status_probe.outfile import lock
from status_probe.records import Outcome, Result, Target
from status_probe.report import ReportError, open_report
from status_probe.resume import read_rows
from status_probe.rowindex import FileChanged, RowIndex, Stopped, rows_in_order

FEW = ("row", "url", "status", "outcome", "reason")
SHUFFLED = [3, 0, 4, 1, 2]
LINES = 5


def target(number: int, source: str = "") -> Target:
    return Target(number, 2 * number + 1, f"http://me:secret@a.test/{number}", source, (f"own {number}",))


def answer(number: int, status: int | None = 200) -> Result:
    outcome = Outcome.OK if status else Outcome.DNS_ERROR
    return Result(2 * number + 1, f"http://me:***@a.test/{number}", status, outcome, "=é汉;")


def pairs(numbers: Iterable[int]) -> list[tuple[Target, Result]]:
    return [(target(number), answer(number)) for number in numbers]


def targets(lines: int = LINES) -> list[Target]:
    return [target(number) for number in range(lines)]


def layout(encoding: str = "utf-8-sig") -> Layout:
    return Layout(FEW, ["note"], encoding=encoding)


def unbroken(shape: Layout, numbers: Iterable[int] = range(LINES)) -> bytes:
    return shape.heading() + b"".join(shape.row(line, result) for line, result in pairs(numbers))


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def go_on(path: Path, shape: Layout, ending: Ending = Ending(), *, retry_failed: bool = False) -> list[int]:  # noqa: B008
    """Resume, ask what has no row, last line first, and finish; return what was asked."""
    report = open_report(path, shape, ending, resume=True)
    report.resume(targets(), retry_failed=retry_failed)
    asked = [number for number in reversed(range(LINES)) if not report.done(number)]
    report.write(pairs(asked))
    assert report.rows_written == LINES
    assert report.finish() is None
    return asked


# Order


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_a_finished_file_is_in_input_order(tmp_path: Path, encoding: str) -> None:
    """Rows stand as they completed while the run lasts, and in input order when it is finished."""
    path, shape = tmp_path / "out.csv", layout(encoding)
    report = open_report(path, shape)
    assert path.read_bytes() == shape.heading()
    report.write(pairs(SHUFFLED[:3]))
    report.write(pairs(SHUFFLED[3:]))
    assert path.read_bytes() == unbroken(shape, SHUFFLED)
    assert report.finish() is None
    assert path.read_bytes() == unbroken(shape)
    assert names_in(tmp_path) == ["out.csv"]


def test_rows_as_completed_stay(tmp_path: Path) -> None:
    """With as_completed a finished file is left as it is."""
    report = open_report(tmp_path / "out.csv", layout(), Ending(as_completed=True))
    report.write(pairs(SHUFFLED))
    assert report.finish() is None
    assert (tmp_path / "out.csv").read_bytes() == unbroken(layout(), SHUFFLED)


def test_a_file_in_order_is_not_rewritten(tmp_path: Path) -> None:
    """Where rows came in order nothing is replaced."""
    path = tmp_path / "out.csv"
    report = open_report(path, layout())
    before = path.stat().st_ino
    report.write(pairs(range(LINES)))
    assert report.finish() is None
    assert path.stat().st_ino == before


def test_a_stream_gets_heading_and_rows(tmp_path: Path) -> None:
    """A stream gets the heading at once, rows as they complete, and is left open."""
    stream = io.BytesIO()
    report = open_report(stream, layout())
    report.write(pairs(SHUFFLED))
    assert report.finish() is None
    assert stream.getvalue() == unbroken(layout(), SHUFFLED)
    assert report.rows_written == LINES


def refuse(*_: Path) -> None:
    raise PermissionError(errno.EACCES, "held open by a spreadsheet")


def test_where_the_file_cannot_be_replaced_it_stays(tmp_path: Path) -> None:
    """If the replacing is refused, finish tells why; the unordered file stays, and so does what is beside it."""
    path, other = tmp_path / "out.csv", tmp_path / "out.csv.tmp"
    other.write_text("somebody's")
    report = open_report(path, layout(), Ending(replace=refuse))
    report.write(pairs(SHUFFLED))
    assert isinstance(report.finish(), PermissionError)
    assert path.read_bytes() == unbroken(layout(), SHUFFLED)
    assert names_in(tmp_path) == ["out.csv", "out.csv.tmp"]
    assert other.read_text() == "somebody's"


def test_a_name_as_long_as_may_be_is_put_in_order(tmp_path: Path) -> None:
    """The file that is written beside it has a short one."""
    path = tmp_path / ("网" * 83 + ".csv")
    report = open_report(path, layout())
    report.write(pairs(SHUFFLED))
    assert report.finish() is None
    assert path.read_bytes() == unbroken(layout())


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links as POSIX has them")
def test_permissions_and_links_outlast_the_ordering(tmp_path: Path) -> None:
    """A file that is replaced keeps its mode, and a link to it stays a link."""
    path, link = tmp_path / "out.csv", tmp_path / "link.csv"
    path.touch(0o640)
    path.chmod(0o640)
    link.symlink_to(path)
    report = open_report(link, layout(), Ending(overwrite=True))
    report.write(pairs(SHUFFLED))
    assert report.finish() is None
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes() == unbroken(layout())


def test_nothing_of_an_overwritten_file_stays(tmp_path: Path) -> None:
    """A file that is replaced has the heading at once, and nothing of what it was."""
    path = tmp_path / "out.csv"
    path.write_bytes(b"old" * 1000)
    open_report(path, layout(), Ending(overwrite=True)).close()
    assert path.read_bytes() == layout().heading()


# Going on


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
@pytest.mark.parametrize("nuls", [b"", b"\0" * 5])
def test_a_file_cut_anywhere_is_gone_on_with(tmp_path: Path, encoding: str, nuls: bytes) -> None:
    """Cut at any byte, NULs behind or not, a file ends as that of an unbroken run; whole rows are not asked again."""
    path, shape = tmp_path / "out.csv", layout(encoding)
    whole = unbroken(shape, SHUFFLED)
    ends = [len(unbroken(shape, SHUFFLED[:count])) for count in range(LINES + 1)]
    around = {cut for end in ends for cut in range(end - 5, end + 6)}  # of the rows behind the first
    for cut in sorted({*range(ends[1] + 1), *around} & {*range(len(whole) + 1)}):
        path.write_bytes(whole[:cut] + nuls)
        asked = go_on(path, shape)
        kept = max(
            (count for count, end in enumerate(ends) if end <= len((whole[:cut] + nuls).rstrip(b"\0"))), default=0
        )
        if encoding != "utf-16":  # there a NUL may be the row's last byte, and complete it
            assert sorted(asked) == sorted(SHUFFLED[kept:]), cut
        assert path.read_bytes() == unbroken(shape), cut


def test_a_run_may_break_again_and_again(tmp_path: Path) -> None:
    """After any number of breaks the file is that of an unbroken run."""
    path = tmp_path / "out.csv"
    for number in SHUFFLED:
        report = open_report(path, layout(), resume=True)
        report.resume(targets())
        assert not report.done(number)
        report.write(pairs([number]))
        report.close()
        with path.open("ab") as file:
            file.write(b"1,torn")
    assert go_on(path, layout()) == []
    assert path.read_bytes() == unbroken(layout())
    path.write_bytes(unbroken(layout()) + b"1,torn")
    assert go_on(path, layout()) == []
    assert path.read_bytes() == unbroken(layout())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_row_ends_only_at_a_line_end(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are found whole at any size of reading, also where two characters together hold a line end's bytes."""
    shape = Layout(("reason",), encoding=encoding)
    texts = ["a", "\u0d41\u0a00\u4e00", "\u4e00\u0d00\u0a41", "", "b\ra"]
    rows = [shape.row(target(0), answer(0)._replace(reason=text)) for text in texts]
    for chunk_bytes in range(1, 20):
        monkeypatch.setattr(resume, "CHUNK_BYTES", chunk_bytes)
        found = list(read_rows(io.BytesIO(b"".join(rows) + rows[0][:-1]), shape.eol))
        assert [row for _, row in found] == rows
        assert [offset for offset, _ in found] == [sum(map(len, rows[:place])) for place in range(len(rows))]


def test_a_hole_of_nuls_costs_its_rows_only(tmp_path: Path) -> None:
    """Rows that a loss of power turned to NULs are asked again, those around them are not."""
    path = tmp_path / "out.csv"
    rows = [layout().row(*pair) for pair in pairs(range(LINES))]
    path.write_bytes(layout().heading() + rows[0] + b"\0" * 7 + rows[1][7:] + b"".join(rows[2:4]))
    assert go_on(path, layout()) == [4, 1]
    assert path.read_bytes() == unbroken(layout())


def test_no_hole_of_nuls_stays_where_rows_are_not_put_in_order(tmp_path: Path) -> None:
    """It is gone as soon as the file is gone on with."""
    path = tmp_path / "out.csv"
    rows = [layout().row(*pair) for pair in pairs(range(LINES))]
    path.write_bytes(layout().heading() + rows[0] + b"\0" * (len(rows[1]) - 2) + b"\r\n" + rows[2])
    assert go_on(path, layout(), Ending(as_completed=True)) == [4, 3, 1]
    assert path.read_bytes() == unbroken(layout(), [0, 2, 4, 3, 1])


@pytest.mark.skipif(sys.platform == "win32", reason="there no report is locked")
def test_a_report_that_was_rewritten_to_be_gone_on_with_is_still_one_runs(tmp_path: Path) -> None:
    """A second run is refused, as with any other."""
    path = tmp_path / "out.csv"
    path.write_bytes(unbroken(layout(), [1, 0, 1]))
    report = open_report(path, layout(), resume=True)
    report.resume(targets())
    assert path.read_bytes() == unbroken(layout(), [0, 1])
    with pytest.raises(ReportError, match="another run"):
        open_report(path, layout(), resume=True)
    report.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there no report is locked")
def test_a_file_that_was_replaced_before_it_was_locked_is_another_runs(tmp_path: Path) -> None:
    """What is written to it would go nowhere."""
    path = tmp_path / "out.csv"
    path.touch()
    with path.open("r+b") as file:
        path.unlink()
        path.touch()
        with pytest.raises(ReportError, match="another run"):
            lock(file, path)


@pytest.mark.parametrize("url", ["=1", "@a.test", "-a.test/\x07", "x" * 50_000])
def test_a_line_is_known_by_its_cell(tmp_path: Path, url: str) -> None:
    """A URL, or a source, that the report shows otherwise than the list is the same line all the same."""
    path, shape = tmp_path / "out.csv", Layout(choose_columns("row,source,url,status"))
    lines = [Target(0, 1, url, "=a.txt"), Target(1, 1, url, "b.txt")]
    report = open_report(path, shape)
    report.write([(lines[0], Result(1, url, None, Outcome.INVALID_URL))])
    report.close()
    report = open_report(path, shape, resume=True)
    report.resume(lines)
    assert [report.done(number) for number in range(2)] == [True, False]
    report.close()


def test_of_two_rows_of_a_line_the_later_stays(tmp_path: Path) -> None:
    """A line that has two rows keeps the later."""
    path = tmp_path / "out.csv"
    older = layout().row(target(1), answer(1, 404))
    path.write_bytes(layout().heading() + older + unbroken(layout(), [0, 1, 2])[len(layout().heading()) :])
    assert go_on(path, layout(), Ending(as_completed=True)) == [4, 3]
    assert path.read_bytes() == unbroken(layout(), [0, 1, 2, 4, 3])


def test_failures_are_asked_again_if_wished(tmp_path: Path) -> None:
    """With retry_failed the line of a row without a status is asked again; without it, it counts."""
    path = tmp_path / "out.csv"
    half_failed(path)
    assert go_on(path, layout()) == []
    assert go_on(path, layout(), retry_failed=True) == [3, 1]
    assert path.read_bytes() == unbroken(layout())


def half_failed(path: Path) -> bytes:
    """Write a report in which lines 1 and 3 have no status; return what it holds."""
    report = open_report(path, layout())
    report.write([(target(number), answer(number, None if number % 2 else 200)) for number in SHUFFLED])
    report.finish()
    return path.read_bytes()


@pytest.mark.parametrize("written", [[], [3]])
def test_a_failure_stays_until_it_has_another_row(tmp_path: Path, written: list[int]) -> None:
    """Killed or stopped amid asking again, a report has every row that it had; of two of a line the later counts."""
    path = tmp_path / "out.csv"
    before = half_failed(path)
    report = open_report(path, layout(), resume=True)
    report.resume(targets(), retry_failed=True)
    assert sum(1 for _ in report.told_results()) == 3
    report.write(pairs(written))
    assert report.rows_written == LINES
    report.close()
    assert path.read_bytes() == before + unbroken(layout(), written)[len(layout().heading()) :]
    assert go_on(path, layout()) == []
    assert path.read_bytes().count(b"\r\n") == 1 + LINES
    assert go_on(path, layout(), retry_failed=True) == [number for number in [3, 1] if number not in written]
    assert path.read_bytes() == unbroken(layout())


def test_rows_that_cannot_be_left_out_are_told(tmp_path: Path) -> None:
    """Where a spreadsheet holds the file, a line has two rows for now: that is no run that was completed."""
    path = tmp_path / "out.csv"
    half_failed(path)
    with pytest.raises(PermissionError):
        go_on(path, layout(), Ending(replace=refuse), retry_failed=True)
    assert path.read_bytes().count(b"\r\n") == 1 + LINES + 2
    assert go_on(path, layout()) == []
    assert path.read_bytes() == unbroken(layout())


def test_a_number_that_is_a_year_is_in_nobodys_way(tmp_path: Path) -> None:
    """A file of the same name with a large number is no part of a split report."""
    (tmp_path / "out-2024.csv").write_text("mine")
    report = open_report(tmp_path / "out.csv", layout(), Ending(split_rows=3))
    report.write(pairs(SHUFFLED))
    assert report.finish() is None
    assert names_in(tmp_path) == ["out-1.csv", "out-2.csv", "out-2024.csv"]
    assert (tmp_path / "out-2024.csv").read_text() == "mine"


@pytest.mark.parametrize("split_rows", [0, 3])
def test_rows_as_completed_have_no_earlier_failures_among_them(tmp_path: Path, split_rows: int) -> None:
    """Rows that were replaced are gone at the end, also where the others stay in the order of their completion."""
    path = tmp_path / "out.csv"
    half_failed(path)
    assert go_on(path, layout(), Ending(as_completed=True, split_rows=split_rows), retry_failed=True) == [3, 1]
    order = [0, 2, 4, 3, 1]
    if split_rows:
        assert numbered(path, 1).read_bytes() == unbroken(layout(), order[:3])
        path, order = numbered(path, 2), order[3:]
    assert path.read_bytes() == unbroken(layout(), order)


def test_what_is_done_can_be_read(tmp_path: Path) -> None:
    """Earlier rows come back as Results, in input order, the guards of their cells as they are."""
    path = tmp_path / "out.csv"
    report = open_report(path, layout())
    report.write(pairs(SHUFFLED))
    report.close()
    report = open_report(path, layout(), resume=True)
    report.resume(targets())
    assert list(report.told_results()) == [
        answer(number)._replace(reason="'=é汉;") for number in range(LINES)
    ]
    assert report.result(2).row == 5
    report.close()


def test_several_sources_are_told_apart(tmp_path: Path) -> None:
    """Rows of equal number and URL belong to the line of their own source; a list given twice has two rows a line."""
    path, shape = tmp_path / "out.csv", Layout(choose_columns("row,source,url,status"))
    names = ["a.txt", "a.txt", "b.txt"]
    lines = [Target(3 * place + row, row, f"u{row}", name) for place, name in enumerate(names) for row in range(3)]
    report = open_report(path, shape)
    report.write([(lines[number], Result(number % 3, f"u{number % 3}", 200, Outcome.OK)) for number in (4, 2, 8, 1)])
    report.close()
    report = open_report(path, shape, resume=True)
    report.resume(lines)
    assert [number for number in range(9) if report.done(number)] == [1, 2, 4, 8]
    report.close()


def another(change: str, whole: bytes) -> tuple[bytes, Layout, list[Target]]:
    """Return a file, and a layout and a list of which one does not fit to it."""
    if change == "columns":
        return whole, Layout(FEW[:-1], ["note"]), targets()
    if change == "own columns":
        return whole, Layout(FEW, ["remark"]), targets()
    if change == "delimiter":
        return whole, Layout(FEW, ["note"], delimiter=";"), targets()
    if change == "mark":
        return whole, layout("utf-8"), targets()
    if change == "encoding":
        return unbroken(layout("gbk")), layout("utf-8"), targets()
    if change == "shorter list":
        return whole, layout(), targets(4)
    if change == "other list":
        return whole, layout(), [line._replace(url=f"{line.url}x") for line in targets()]
    if change == "shifted list":
        return whole, layout(), [line._replace(row=line.row + 2) for line in targets()]
    if change == "several sources":
        return whole, layout(), [line._replace(source=f"{line.number}.txt") for line in targets()]
    foreign = {
        "diary": b"Dear diary,\r\n",
        "ends as ours begins": whole[10:],
        "no row": whole + b"what is this\r\n",
        "no number": whole + b"x,http://me:***@a.test/1,200,ok,,\r\n",
        "huge number": whole + b"9" * 30 + b",http://me:***@a.test/1,200,ok,,\r\n",
        "binary": b"\0" * 50 + b"x",
        "line feeds": whole.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n", 1),
        "line feeds at the end": whole + b"1,http://me:***@a.test/1,200,ok,,\n",
    }
    return foreign[change], layout(), targets()


@pytest.mark.parametrize(
    "change",
    ["columns", "own columns", "delimiter", "mark", "encoding", "shorter list", "other list", "shifted list",
     "several sources", "diary", "ends as ours begins", "no row", "no number", "huge number", "binary", "line feeds",
     "line feeds at the end"],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_untouched(tmp_path: Path, change: str) -> None:
    """What is no report, or one of other columns or another list, is a ReportError of one line, and left as it is."""
    path = tmp_path / "out.csv"
    content, shape, lines = another(change, unbroken(layout()))
    content += b"1,torn"
    path.write_bytes(content)

    with pytest.raises(ReportError) as caught:  # noqa: PT012  # some are seen by their heading, some by their rows
        report = open_report(path, shape, resume=True)
        report.resume(lines)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    assert names_in(tmp_path) == ["out.csv"]


def test_what_resuming_needs_is_asked_for(tmp_path: Path) -> None:
    """Without row and url a report cannot be resumed, without status its failures cannot be asked again."""
    with pytest.raises(ReportError, match="row and url"):
        open_report(tmp_path / "out.csv", Layout(("url", "status")), resume=True)
    open_report(tmp_path / "out.csv", Layout(("row", "url"))).close()
    report = open_report(tmp_path / "out.csv", Layout(("row", "url")), resume=True)
    with pytest.raises(ReportError, match="status"):
        report.resume(targets(), retry_failed=True)
    report.close()


# Numbered files


@pytest.mark.parametrize(("each", "files"), [(2, [[0, 1], [2, 3], [4]]), (5, [[0, 1, 2, 3, 4]])])
def test_a_file_is_split_at_its_end(tmp_path: Path, each: int, files: list[list[int]]) -> None:
    """Numbered files have so many rows each, each a heading, in input order; the one file goes, and stale ones too."""
    path = tmp_path / "out.csv"
    numbered(path, len(files) + 1).write_text("stale")
    report = open_report(path, layout(), Ending(split_rows=each, overwrite=True))
    report.write(pairs(SHUFFLED))
    assert report.finish() is None
    names = [f"out-{place}.csv" for place in range(1, len(files) + 1)]
    assert names_in(tmp_path) == names
    assert [(tmp_path / name).read_bytes() for name in names] == [unbroken(layout(), part) for part in files]


def test_a_split_report_without_rows_is_one_file(tmp_path: Path) -> None:
    """Whoever looks for it finds its heading."""
    report = open_report(tmp_path / "out.csv", layout(), Ending(split_rows=2))
    assert report.finish() is None
    assert names_in(tmp_path) == ["out-1.csv"]
    assert numbered(tmp_path / "out.csv", 1).read_bytes() == layout().heading()


def test_a_split_run_is_gone_on_with(tmp_path: Path) -> None:
    """Broken before or amid its splitting, a run ends in the same numbered files."""
    path, ending = tmp_path / "out.csv", Ending(split_rows=3, as_completed=True)
    report = open_report(path, layout(), ending)
    report.write(pairs(SHUFFLED))
    report._ending = ending._replace(replace=refuse)
    with pytest.raises(PermissionError):
        report.finish()
    numbered(path, 1).write_bytes(unbroken(layout(), SHUFFLED[:3]))
    assert go_on(path, layout(), ending) == []
    assert numbered(path, 1).read_bytes() == unbroken(layout(), SHUFFLED[:3])
    assert numbered(path, 2).read_bytes() == unbroken(layout(), SHUFFLED[3:])


def test_a_finished_split_run_is_gone_on_with(tmp_path: Path) -> None:
    """Nothing of its numbered files is asked twice, but failures if wished, and what the list has more of."""
    path, ending = tmp_path / "out.csv", Ending(split_rows=2)
    report = open_report(path, layout(), ending)
    report.write([(target(number), answer(number, None if number == 1 else 200)) for number in [2, 1, 0, 3]])
    report.finish()
    assert go_on(path, layout(), ending) == [4]
    assert go_on(path, layout(), ending) == []
    assert go_on(path, layout(), Ending(split_rows=3), retry_failed=True) == [1]
    assert numbered(path, 1).read_bytes() == unbroken(layout(), [0, 1, 2])
    assert numbered(path, 2).read_bytes() == unbroken(layout(), [3, 4])
    assert names_in(tmp_path) == ["out-1.csv", "out-2.csv"]


def test_numbered_files_of_another_list_are_not_gone_on_with(tmp_path: Path) -> None:
    """They stay as they are, and nothing is left beside them."""
    path, ending = tmp_path / "out.csv", Ending(split_rows=2)
    report = open_report(path, layout(), ending)
    report.write(pairs(SHUFFLED))
    report.finish()
    report = open_report(path, layout(), ending, resume=True)
    with pytest.raises(ReportError, match="another list"):
        report.resume([target(number) for number in range(1, 3)])
    numbered(path, 2).write_text("mine")
    with pytest.raises(ReportError, match=r"out-2.csv. does not begin"):
        open_report(path, layout(), ending, resume=True)
    assert names_in(tmp_path) == ["out-1.csv", "out-2.csv", "out-3.csv"]


def test_going_on_replaces_no_numbered_file_of_another(tmp_path: Path) -> None:
    """What does not begin as this report does is somebody's; the rows stay in the one file, and it in its place."""
    path, ending = tmp_path / "out.csv", Ending(split_rows=3)
    report = open_report(path, layout(), ending)
    report.write(pairs(SHUFFLED))
    report.close()
    numbered(path, 2).write_text("mine")
    numbered(path, 3).write_text("mine")
    with pytest.raises(FileExistsError):
        go_on(path, layout(), ending)
    assert numbered(path, 2).read_text() == numbered(path, 3).read_text() == "mine"
    numbered(path, 2).unlink()
    assert go_on(path, layout(), ending) == []
    assert numbered(path, 3).read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_the_place_of_a_numbered_file_is_not_read(tmp_path: Path) -> None:
    """It would never end."""
    path, ending = tmp_path / "out.csv", Ending(split_rows=3)
    report = open_report(path, layout(), ending)
    report.write(pairs(SHUFFLED))
    report.close()
    os.mkfifo(numbered(path, 1))
    with pytest.raises(FileExistsError):
        go_on(path, layout(), ending)


def test_a_split_file_of_another_is_not_replaced(tmp_path: Path) -> None:
    """A numbered file that is there is refused at once, or where it came meanwhile, at the end, with all rows kept."""
    path, ending = tmp_path / "out.csv", Ending(split_rows=2)
    report = open_report(path, layout(), ending)
    numbered(path, 2).write_text("mine")
    report.write(pairs(SHUFFLED))
    with pytest.raises(FileExistsError, match="exists"):
        report.finish()
    assert path.read_bytes() == unbroken(layout(), SHUFFLED)
    assert numbered(path, 2).read_text() == "mine"
    with pytest.raises(ReportError, match="exists"):
        open_report(tmp_path / "out.csv", layout(), ending)


# What cannot be written


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """A missing directory, a directory, an existing or read-only file, the list itself: each is refused untouched."""
    there, list_file, locked = tmp_path / "out.csv", tmp_path / "list.csv", tmp_path / "locked.csv"
    for path in (there, list_file, locked):
        path.write_text("mine")
    locked.chmod(0o444)
    over, sources = Ending(overwrite=True), ["-", "http://a.test/", str(tmp_path / "." / "list.csv"), "no\0name"]
    for path, ending, told in [
        (tmp_path / "none" / "out.csv", over, "no directory"),
        (tmp_path, over, "is a directory"),
        (there, Ending(), "exists"),
        (locked, over, "read-only"),
        (list_file, over, "list itself"),
        (there / "out.csv", over, "no directory"),
    ]:
        with pytest.raises(ReportError, match=told):
            open_report(path, layout(), ending, sources=sources)
    for number in (1, 2, 30):
        list_file = list_file.rename(numbered(there, number))
        with pytest.raises(ReportError, match="list itself"):
            open_report(there, layout(), Ending(overwrite=True, split_rows=5), sources=[*sources, str(list_file)])
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}
    locked.chmod(0o644)


def test_a_stream_that_is_the_list_is_refused(tmp_path: Path) -> None:
    """What a shell appends to the list itself would be read as further URLs."""
    path = tmp_path / "list.txt"
    path.write_text("http://a.test/")
    with path.open("ab") as stream:
        with pytest.raises(ReportError, match="list itself"):
            open_report(stream, layout(), sources=["-", str(path)])
        open_report(stream, layout(), sources=["-", str(tmp_path / "other.txt")])
    assert path.read_bytes() == b"http://a.test/" + layout().heading()


def test_a_stream_is_neither_resumed_nor_split() -> None:
    """Standard output can be neither resumed nor split."""
    with pytest.raises(ReportError):
        open_report(io.BytesIO(), layout(), resume=True)
    with pytest.raises(ReportError):
        open_report(io.BytesIO(), layout(), Ending(split_rows=1))


def test_a_device_is_written_as_a_stream() -> None:
    """A device is written as it is, without asking whether it may be replaced."""
    report = open_report(os.devnull, layout())
    report.write(pairs(SHUFFLED))
    assert report.finish() is None


@pytest.mark.parametrize(("ending", "resume"), [(Ending(), True), (Ending(split_rows=2), False)])
def test_a_device_is_neither_resumed_nor_split(ending: Ending, resume: bool) -> None:
    """Its rows are not there to be read again."""
    with pytest.raises(ReportError, match="no plain file"):
        open_report(os.devnull, layout(), ending, resume=resume)


def test_a_device_may_be_list_and_output() -> None:
    """A terminal is both where URLs are typed in: no row is read as a further line."""
    with Path(os.devnull).open("wb") as stream:
        open_report(stream, layout(), sources=[os.devnull])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_told_at_once() -> None:
    """One that takes nothing is refused as it is opened."""
    with pytest.raises(ReportError, match="/dev/full"):
        open_report("/dev/full", layout())


FULL = """
import resource, signal, sys
sys.path.insert(0, {root!r})
from tests.test_report import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
report = open_report({path!r}, layout())
report.write(pairs([4]))
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    report.write(pairs([0, 1, 2]))
except OSError:
    print(report.rows_written)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit to a file's size")
def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    """Where a write fails half-way, the rows that are whole stay, the half of one goes, and the run can go on."""
    path = tmp_path / "out.csv"
    limit = len(unbroken(layout(), [4, 0, 1])) + 9
    script = FULL.format(root=str(Path(__file__).parents[1]), path=str(path), limit=limit)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "3\n"
    assert path.read_bytes() == unbroken(layout(), [4, 0, 1])
    assert go_on(path, layout()) == [3, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """When the file was removed, the next write says so, and so does finish."""
    path = tmp_path / "out.csv"
    report = open_report(path, layout())
    path.unlink()
    with pytest.raises(FileNotFoundError):
        report.write(pairs([1]))
    with pytest.raises(FileNotFoundError):
        report.finish()
    report.close()


def save_by_replacing(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").replace(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no open file")
@pytest.mark.parametrize("save", [save_by_replacing, Path.write_bytes])
def test_a_file_that_another_program_saves_is_told(tmp_path: Path, save: Callable[[Path, bytes], object]) -> None:
    """An editor that saves what it has read takes rows away: that is said, and what it saved is not written over."""
    path = tmp_path / "out.csv"
    report = open_report(path, layout())
    report.write(pairs([2]))
    read = path.read_bytes()
    report.write(pairs([0]))
    save(path, read)
    with pytest.raises(FileChanged):
        report.write(pairs([1]))
    with pytest.raises(FileChanged):
        report.finish()
    report.close()
    assert path.read_bytes() == read
    assert go_on(path, layout()) == [4, 3, 1, 0]
    assert path.read_bytes() == unbroken(layout())


def test_a_row_that_is_not_whole_is_no_row(tmp_path: Path) -> None:
    """What another program cuts off while rows are copied is not passed over."""
    (tmp_path / "out.csv").write_bytes(b"abc\r\nde")
    index = RowIndex()
    index.add(0, 0, 5)
    index.add(1, 5, 5)
    rows = rows_in_order(tmp_path / "out.csv", index)
    assert next(rows) == b"abc\r\n"
    with pytest.raises(FileChanged):
        next(rows)


@pytest.mark.parametrize(("split_rows", "as_completed"), [(0, False), (1, False), (1, True)])
def test_a_stop_while_the_file_is_put_in_order_leaves_it(tmp_path: Path, split_rows: int, as_completed: bool) -> None:
    """Whoever wants no more need not wait: every row is there, and the next run puts them in order."""
    path = tmp_path / "out.csv"
    report = open_report(path, layout(), Ending(as_completed=as_completed, split_rows=split_rows))
    report.write(pairs(SHUFFLED))
    looks = iter([False, True])
    with pytest.raises(Stopped):
        report.finish(lambda: next(looks))
    assert path.read_bytes() == unbroken(layout(), SHUFFLED)
    assert not list(tmp_path.glob("*.tmp"))
    assert go_on(path, layout()) == []
    assert path.read_bytes() == unbroken(layout())


@pytest.mark.parametrize("name", ["out [1].csv", "长" * 80 + ".csv"])
def test_what_a_killed_run_left_is_removed(tmp_path: Path, name: str) -> None:
    """A kill amid putting rows in order leaves a file beside; the next run takes its own away, and no other."""

    def copy_beside(new: Path, _: Path) -> None:
        shutil.copy(new, new.with_name(new.name[: -len("12345678.status-probe.tmp")] + "leftover.status-probe.tmp"))

    path = tmp_path / name
    report = open_report(path, layout(), Ending(replace=copy_beside))
    report.write(pairs(SHUFFLED))
    report.finish()
    others = [f"{stem}.csv.leftover.status-probe.tmp" for stem in ("other", path.stem + "2", path.stem + ".csv")]
    for other in others[: 1 if len(name) > 50 else 3]:
        (tmp_path / other).touch()
    before = names_in(tmp_path)
    assert go_on(path, layout()) == []
    [removed] = set(before) - set(names_in(tmp_path))
    assert removed.endswith(".leftover.status-probe.tmp")
    assert removed not in others
