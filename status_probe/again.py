"""What to type to go on with a run that was stopped."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from .urls import redact

__all__ = ["command_to_resume"]

_LEFT_OUT = ("--overwrite", "--resume", "--retry-failed")


def command_to_resume(words: Iterable[str], secrets: Iterable[str] = ()) -> str:
    """Return a line for the shell that goes on with the run that *words*, the command's arguments, began.

    Passwords, and those of *secrets* that end a word, stand as ``***``.
    """
    kept = [_without_secrets(word, secrets) for word in words if word not in _LEFT_OUT]
    return _quoted([*_program(Path(sys.argv[0])), "--resume", *kept])  # in front: behind a "--" it would be a source


def _quoted(words: list[str]) -> str:
    if os.name == "nt":
        from subprocess import list2cmdline

        return list2cmdline(words)
    return shlex.join(words)


def _program(script: Path) -> list[str]:
    """Return what starts the program, by its name alone where the shell finds the same under it."""
    if script.name == "__main__.py":
        return [_short(Path(sys.executable)), "-m", "status_probe"]
    return [_short(script)]


def _short(path: Path) -> str:
    name = path.name.removesuffix(".exe") if os.name == "nt" else path.name
    found = shutil.which(name)
    return name if found and Path(found).resolve() == path.resolve() else str(path)


def _without_secrets(word: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        if word.endswith(secret):
            word = word.removesuffix(secret) + "***"
    return redact(word)
