"""What Windows says and does otherwise, by small fakes of its system: why a write fails, what is not replaced."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from status_probe.cli import main
from tests.server import Server, answer
from tests.windows import as_on_windows

__all__ = ["as_on_windows"]


def refused(*_: object) -> NoReturn:
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
    really = io.open

    def open_(file: Any, mode: str = "r", *others: Any, **named: Any) -> object:
        return kind(file, mode) if mode == "x+b" else really(file, mode, *others, **named)

    return open_


@pytest.mark.usefixtures("as_on_windows")
def test_a_share_that_is_lost_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a pipe says when its reader has left is a file's fault where the rows go to one: 3, its name and why."""
    path = tmp_path / "o.csv"
    with monkeypatch.context() as patch:
        patch.setattr("io.open", opened_by(LostShare))
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
def test_an_invalid_argument_of_anything_else_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with a file is not taken for a reader who has left."""
    monkeypatch.setattr("os.path.realpath", refused)
    assert main(["http://a.test/", "-q", "-o", str(tmp_path / "o.csv"), "--lang", "en"]) in (2, 3)
    assert "invalid argument" in capsys.readouterr().err.lower()
