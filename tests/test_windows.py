"""What Windows says and does otherwise, by small fakes of its system: why a write fails, what is not replaced."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from status_probe.cli import main
from status_probe.ending import Ending
from status_probe.report import Report, open_report
from status_probe.rowindex import Stopped
from tests.server import Server, answer
from tests.test_report import SHUFFLED, layout, pairs, unbroken
from tests.windows import as_on_windows

__all__ = ["as_on_windows"]


def refused(*_: object, **__: object) -> NoReturn:
    """Raise what Windows says of a pipe without a reader, and of a share that is lost."""
    raise OSError(errno.EINVAL, "Invalid argument")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server({"/ok": answer(200)}) as server:
        yield server


class LostShare(io.FileIO):
    """A file that takes its heading and nothing more."""

    def write(self, data: Any) -> int:
        if self.tell():
            refused()
        return super().write(data)


def opened_by(kind: Callable[[Any, str], object]) -> Callable[..., object]:
    """Return what is to stand for open(): new files are of this *kind*."""
    really = Path.open

    def open_(file: Path, mode: str = "r", *others: Any, **named: Any) -> object:
        return kind(file, mode) if mode == "x+b" else really(file, mode, *others, **named)

    return open_


@pytest.mark.usefixtures("as_on_windows")
def test_a_share_that_is_lost_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a pipe says when its reader has left is a file's fault where the rows go to one: 3, its name and why."""
    path = tmp_path / "o.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened_by(LostShare))
        status = main([server.url("/ok"), "-q", "-o", str(path), "--lang", "en"])
    lines = capsys.readouterr().err.splitlines()
    assert (status, lines[0]) == (3, f'status-probe: error: cannot write "{path}": invalid argument')
    assert "0 rows are kept" in lines[1]


class LeftPipe(io.RawIOBase):
    """A pipe, to Windows, whose reader has left."""

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        refused()


@pytest.mark.usefixtures("as_on_windows")
@pytest.mark.parametrize("words", [["--explain"], ["--explain", "404"], ["--plan"], []])
def test_a_reader_that_leaves_is_no_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Whoever quits a pager has seen enough: 130, as of a broken pipe elsewhere, and no line of an error."""
    sources = [] if "--explain" in words else [server.url("/ok")]
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BufferedWriter(LeftPipe())))
    assert main([*words, *sources, "-q", "--lang", "en"]) == 130
    assert "error" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.buffer.raw.write", len)  # lest the stream's own end fail


@pytest.mark.usefixtures("as_on_windows")
def test_an_output_that_leads_nowhere_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A console's name, or a share that refuses, is told at once, and not taken for a reader who has left."""
    monkeypatch.setattr("os.path.realpath", refused)
    assert main(["http://a.test/", "-q", "-o", "CON", "--lang", "en"]) == 2
    assert capsys.readouterr().err == 'status-probe: error: cannot write "CON": Invalid argument\n'


# What another program has open


def held_until(is_free: Callable[[], bool]) -> Callable[[Path, Path], None]:
    """Return a rename that is refused, as by Windows, until the file *is_free*."""

    def replace(source: Path, target: Path) -> None:
        if not is_free():
            raise PermissionError(errno.EACCES, "Access is denied", str(source), None, str(target))
        source.replace(target)

    return replace


def unordered(path: Path, ending: Ending) -> Report:
    report = open_report(path, layout(), ending)
    report.write(pairs(SHUFFLED))
    return report


@pytest.mark.usefixtures("as_on_windows")
def test_what_a_scanner_has_open_is_replaced_a_moment_later(tmp_path: Path) -> None:
    """A file that is held for some tenths of a second is put in order all the same."""
    path, looks = tmp_path / "o.csv", iter([False, False, True])
    assert unordered(path, Ending(replace=held_until(lambda: next(looks)))).finish() is None
    assert path.read_bytes() == unbroken(layout())


@pytest.mark.usefixtures("as_on_windows")
def test_what_stays_open_is_tried_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the rows stay as they completed, as ever; a stop ends the trying at once."""
    path, slept = tmp_path / "o.csv", list[float]()
    monkeypatch.setattr("time.sleep", slept.append)
    assert isinstance(unordered(path, Ending(replace=held_until(lambda: False))).finish(), PermissionError)
    assert 0.8 < sum(slept) < 1.2
    report = unordered(path, Ending(overwrite=True, replace=held_until(lambda: False)))
    del slept[:]
    with pytest.raises(Stopped):
        report.finish(lambda: bool(slept))
    assert len(slept) == 1
    assert path.read_bytes() == unbroken(layout(), SHUFFLED)


@pytest.mark.skipif(sys.platform == "win32", reason="is not elsewhere")
def test_elsewhere_what_is_refused_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Windows minds who has a file open: another system's refusal stays one."""
    slept = list[float]()
    monkeypatch.setattr("time.sleep", slept.append)
    assert unordered(tmp_path / "o.csv", Ending(replace=held_until(lambda: False))).finish()
    assert not slept


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_a_file_made_read_only_meanwhile_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    """Windows removes no file that is read-only, as the new one is after the old; the reason told is the first."""
    path, unlink = tmp_path / "o.csv", Path.unlink

    def refuse_read_only(path: Path, **named: bool) -> None:
        if not path.stat().st_mode & 0o200:
            raise PermissionError(errno.EACCES, "read-only")
        unlink(path, **named)

    def replace(*_: Path) -> None:
        raise error(errno.EIO, "the first")

    monkeypatch.setattr(Path, "unlink", refuse_read_only)
    report = unordered(path, Ending(replace=replace))
    path.chmod(0o444)
    refused = report.finish()
    assert refused
    assert refused.strerror == "the first"
    assert [each.name for each in tmp_path.iterdir()] == ["o.csv"]
    path.chmod(0o644)


def test_what_cannot_be_cleaned_up_does_not_hide_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the new file cannot be removed either, the refusal to replace the old one is what is told."""
    report = unordered(tmp_path / "o.csv", Ending(replace=held_until(lambda: False)))
    monkeypatch.setattr(Path, "unlink", refused)
    assert isinstance(report.finish(), PermissionError)


def denied(*names: Any) -> NoReturn:
    """Raise what Windows says of a file that another program has open."""
    raise PermissionError(errno.EACCES, "Access is denied", *names)


@pytest.mark.parametrize("words", [[], ["--split-rows", "1"]])
def test_what_cannot_be_replaced_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """A numbered file, or a report with rows that were asked again, is named, and asked whether it is open."""
    path = tmp_path / "o.csv"
    options = ["-q", "-o", str(path), "--lang", "en"]
    assert main(["http://127.0.0.1:1/", *options, "--retries", "0"]) == 0
    held = tmp_path / "o-1.csv" if words else path
    monkeypatch.setattr("shutil.copymode", lambda _, new: denied(str(new), None, str(held)))
    assert main(["http://127.0.0.1:1/", *options, *words, "--resume", "--retry-failed", "--retries", "0"]) == 3
    error = capsys.readouterr().err.splitlines()[0]
    assert error == f'status-probe: error: cannot write "{held}": access is denied; is it open elsewhere?'


@pytest.mark.parametrize(("lang", "told"), [("en", "is it open elsewhere?"), ("zh", "文件是否正被其他程序打开？")])
def test_what_remains_beside_its_numbered_files_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    lang: str, told: str,
) -> None:  # fmt: skip
    """Where all rows are in numbered files the run was completed, though the one file cannot be removed."""
    path, unlink = tmp_path / "o.csv", Path.unlink

    def refuse(each: Path, **named: bool) -> None:
        if each == path:
            denied(str(each))
        unlink(each, **named)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert main([server.url("/ok"), "-q", "-o", str(path), "--split-rows", "1", "--lang", lang]) == 0
    [line] = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert told in line
    assert (tmp_path / "o-1.csv").read_bytes() == path.read_bytes()


# Threads


@pytest.mark.usefixtures("as_on_windows")
def test_the_stacks_of_threads_are_as_they_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a size that is asked for is taken from memory at once, for each thread."""
    asked, stack_size = list[int](), threading.stack_size

    def sized(size_bytes: int = 0) -> int:
        asked.append(size_bytes)
        return stack_size(size_bytes)

    monkeypatch.setattr("threading.stack_size", sized)
    assert main([server.url("/ok"), "-q", "-o", os.devnull]) == 0
    assert not any(asked)
