"""What the rooms log, as lines of the command's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["warnings_through"]


@contextmanager
def warnings_through(warn: Callable[[str], object], *, verbose: bool) -> Iterator[None]:
    """Show what the rooms log, as lines of ours; a traceback is for --verbose."""
    logger = logging.getLogger("status_probe")
    handler = _LineHandler(warn, verbose=verbose)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _LineHandler(logging.Handler):
    def __init__(self, warn: Callable[[str], object], *, verbose: bool) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn
        self._verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        lines = [record.getMessage()]
        if self._verbose and record.exc_info:
            lines += logging.Formatter().formatException(record.exc_info).splitlines()
        for line in lines:
            self._warn(line)
