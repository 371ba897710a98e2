"""Windows as our rooms see it by ``os.name``, on any system; pathlib and the like see what there is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import status_probe.cli
import status_probe.follow
import status_probe.report  # noqa: F401  # the rooms below them, too: what is imported later is not told


class _System:
    name = "nt"

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.fixture
def as_on_windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have every room take this system for Windows."""
    with monkeypatch.context() as patch:
        for name, room in list(sys.modules.items()):
            if name.startswith("status_probe.") and hasattr(room, "os"):
                patch.setattr(room, "os", _System())
        yield
