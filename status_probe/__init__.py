"""Bulk URL status checker: the true HTTP status of each URL in a list.

For example::

    from status_probe import probe_urls
    for result in probe_urls(["https://www.python.org/"], workers=8):
        print(result.url, result.status, result.outcome)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .library import probe_urls as probe_urls
    from .records import Outcome as Outcome
    from .records import Result as Result

__all__ = ["Outcome", "Result", "__version__", "probe_urls"]


if not TYPE_CHECKING:  # a checker would take every name for one that there is

    def __getattr__(name: str) -> Any:
        """Import on first use, so that ``status-probe --help`` does not wait for requests."""
        if name == "probe_urls":
            from .library import probe_urls

            return probe_urls
        if name in ("Outcome", "Result"):
            from . import records

            return getattr(records, name)
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
