"""``python -m status_probe`` and the command ``status-probe``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

LOADED = 50_000  # objects, more than our modules and theirs make, and they stay


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    if argv is None:
        gc.set_threshold(LOADED, *gc.get_threshold()[1:])  # to look for cycles among them takes 12 ms of 100
    try:
        from .cli import main as run  # takes a moment, in which Ctrl-C may come
    except KeyboardInterrupt:
        return 130
    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
