"""The library: results of any iterable of URLs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .options import Options, check_names
from .records import Result, Target
from .run import Run

__all__ = ["probe_urls"]


def probe_urls(urls: Iterable[str], **options: Any) -> Iterator[Result]:
    """Ask each of *urls* and yield a Result for each, as they complete.

    *urls* is read lazily, on another thread; ``result.row`` is the place in it, from 1.  *options* bear the command's
    names with underscores, such as ``workers``, ``per_host``, ``max_time`` (seconds), ``method``; ``headers`` is a
    mapping or pairs, ``dedupe=False`` is ``--no-dedupe``, and ``hosts`` may be a mapping of names to addresses.

    What a server or a network does is a Result, never an exception.  Raises TypeError for an unknown option and
    ValueError for a value that one cannot have, when called; and, while iterating, what *urls* itself raises.

    >>> from status_probe import probe_urls
    >>> [result] = probe_urls(["http://127.0.0.1:9/"], retries=0)
    >>> result.status, result.outcome.value, result.row
    (None, 'connect_refused', 1)
    """
    check_names(options)
    headers = options.pop("headers", ())
    pairs = tuple(headers.items()) if hasattr(headers, "items") else tuple(headers)
    if isinstance(urls, str):
        raise TypeError("urls is one text, expected an iterable of them")
    return _results(Run(_targets(urls), Options(headers=pairs, **options)))


def _targets(urls: Iterable[str]) -> Iterator[Target]:
    for number, url in enumerate(urls):
        yield Target(number, number + 1, str(url).strip(" \t\r\n\ufeff\u200b"))


def _results(run: Run) -> Iterator[Result]:
    with run:
        for batch in run.batches():
            for _, result in batch:
                yield result
