"""What Windows says and does otherwise, by small fakes of its system: why a write fails, what is not replaced."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from status_probe.cli import main
from tests.server import Server, answer
from tests.windows import as_on_windows

__all__ = ["as_on_windows"]

INVALID = OSError(errno.EINVAL, "Invalid argument")  # of a pipe without a reader, and of a share that is lost


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server({"/ok": answer(200)}) as server:
        yield server


class LostShare(io.FileIO):
    """A file that takes its heading and nothing more."""

    def write(self, data: Any) -> int:
        if self.tell():
            raise INVALID
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
