"""``python -m status_probe`` and the command ``status-probe``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        from .cli import main as run  # takes a moment, in which Ctrl-C may come
    except KeyboardInterrupt:
        return 130
    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
