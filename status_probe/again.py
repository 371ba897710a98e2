"""What to type to go on with a run that was stopped."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from .urls import redact

__all__ = ["command_to_resume", "quoted_for_windows"]

_LEFT_OUT = ("--overwrite", "--resume")


def command_to_resume(words: Iterable[str], headers: Iterable[tuple[str, str]] = ()) -> str:
    """Return a line for the shell that goes on with the run that *words*, the command's arguments, began.

    Passwords, and the values of *headers* where a word ends with the whole header, stand as ``***``.
    """
    kept = [_without_secrets(word, headers) for word in words if word not in _LEFT_OUT]
    return _quoted([*_program(Path(sys.argv[0])), "--resume", *kept])  # in front: behind a "--" it would be a source


def _quoted(words: list[str]) -> str:
    return " ".join(map(quoted_for_windows, words)) if os.name == "nt" else shlex.join(words)


def quoted_for_windows(word: str) -> str:
    """Return *word* as cmd.exe and PowerShell take it: what means something to either stands in quotation marks."""
    from subprocess import list2cmdline

    if re.fullmatch(r"[\w.:/\\=+-]+", word):
        return word
    return '"' + list2cmdline([" " + word])[2:]  # the blank, for which it takes quotation marks, is left out again


def _program(script: Path) -> list[str]:
    """Return what starts the program, by its name alone where the shell finds the same under it."""
    if script.name == "__main__.py":
        return [_short(Path(sys.executable)), "-m", "status_probe"]
    return [_short(script)]


def _short(path: Path) -> str:
    name = _without_exe(path.name)
    found = shutil.which(name)
    is_same = found and _without_exe(str(Path(found).resolve())) == _without_exe(str(path.resolve()))
    return name if is_same else str(path)


def _without_exe(text: str) -> str:
    """Return *text* as Windows knows a program: pip's start scripts leave out their .exe themselves."""
    return text.lower().removesuffix(".exe") if os.name == "nt" else text


def _without_secrets(word: str, headers: Iterable[tuple[str, str]]) -> str:
    for name, value in headers:
        if value:
            word = re.sub(rf"({re.escape(name)}\s*:\s*){re.escape(value)}\s*\Z", r"\1***", word)
    return redact(word)
