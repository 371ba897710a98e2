"""The library: results of any iterable of URLs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from .fields import parse_field
from .options import Options
from .records import Result, Target
from .run import Run
from .urls import BLANKS

if TYPE_CHECKING:
    from typing_extensions import Unpack
elif sys.version_info >= (3, 11):
    from typing import Unpack

__all__ = ["probe_urls"]

JOIN_SECONDS = 1.0  # for the threads to end when the results are given up; one that waits for a server takes longer


class ProbeOptions(TypedDict, total=False):
    """The options of Options, as a type checker is to know them; headers may be a mapping here.

    So that each of the command's names is known, *header* is one line ``NAME: VALUE`` or several, and *no_dedupe* too.
    """

    default_scheme: str
    dedupe: bool
    no_dedupe: bool
    method: str
    headers: Mapping[str, str] | Iterable[tuple[str, str]]
    header: str | Iterable[str]
    user_agent: str
    max_redirects: int
    proxy: str | None
    hosts: str | os.PathLike[str] | Mapping[str, str | Iterable[str]] | None
    public_only: bool
    ca_bundle: str | os.PathLike[str] | None
    client_cert: str | os.PathLike[str] | None
    client_key: str | os.PathLike[str] | None
    insecure: bool
    workers: int
    per_host: int
    delay: float
    rate: float | None
    connect_timeout: float
    read_timeout: float
    max_time: float
    retries: int
    retry_wait: float
    max_retry_wait: float
    lang: str


def probe_urls(urls: Iterable[str], **options: Unpack[ProbeOptions]) -> Generator[Result, None, None]:
    """Ask each of *urls* and yield a Result for each, as they complete.

    *urls* is read on another thread, once results are asked for, and ahead of them by what waits to be asked: until
    some thousand URLs of two hosts for each worker may be asked, or 110,000 wait.  ``result.row`` is the place in it,
    from 1.  *options* bear the command's names with underscores, such as ``workers``, ``per_host``, ``max_time``
    (seconds), ``method``; ``headers`` is a mapping or pairs, ``dedupe=False`` is as ``no_dedupe=True``, and ``hosts``
    may be a mapping of names to an address or several.

    Closing the iterator early, or letting go of it, asks nothing more and ends the threads; one that waits for a
    server ends with that, within ``max_time``.

    What a server or a network does is a Result, never an exception, and so is an item that is no text.  Raises
    TypeError for an unknown option and ValueError for a value that one cannot have, when called; and, while iterating,
    what *urls* itself raises, after the results of what it gave before, and RuntimeError where this machine is so short
    of memory that a thread has died.

    >>> from status_probe import probe_urls
    >>> [result] = probe_urls(["http://127.0.0.1:9/"], retries=0)
    >>> result.status, result.outcome.value, result.row
    (None, 'connect_refused', 1)
    """
    given: dict[str, Any] = {**options}
    unknown = sorted(set(given) - set(Options.__dataclass_fields__) - {"header", "no_dedupe"})
    if unknown:
        raise TypeError(f"probe_urls() got an unexpected option '{unknown[0]}'")
    if isinstance(urls, (str, bytes)):
        raise TypeError("urls is one text, expected an iterable of them")
    pairs = (*_pairs(given.pop("headers", ())), *_parted(given.pop("header", ())))
    if "no_dedupe" in given:
        repeats = given.pop("no_dedupe")
        given["dedupe"] = not repeats if isinstance(repeats, bool) else repeats  # which is refused
    return _results(Run(_targets(urls), Options(headers=pairs, **given)))


def _pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((name, value) for name, value in (headers.items() if isinstance(headers, Mapping) else headers))
    except (TypeError, ValueError):
        kind = type(headers).__name__  # not what it holds, which may be secret
        raise ValueError(f"headers: a {kind}, expected a mapping, or pairs of name and value") from None


def _parted(lines: Any) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(map(parse_field, [lines] if isinstance(lines, str) else lines))
    except (AttributeError, TypeError, ValueError):  # it is no text, or none with a colon
        raise ValueError(f"header: a {type(lines).__name__}, expected 'NAME: VALUE', or several") from None


def _targets(urls: Iterable[str]) -> Iterator[Target]:
    for number, url in enumerate(urls):
        fault = "" if isinstance(url, str) else f"it is no text, but a {type(url).__name__}"
        yield Target(number, number + 1, str(url).strip(BLANKS), fault=fault)


def _results(run: Run) -> Generator[Result, None, None]:
    run.start()
    try:
        for batch in run.batches():
            for _, result in batch:
                yield result
    finally:
        _end(run)


def _end(run: Run) -> None:
    """End *run* on a thread of its own, for who lets go of the results may be the collector.

    It does so on any thread, also on one of the run and while that holds a lock which the end waits for.
    """

    def end() -> None:
        run.end()
        run.workers.join(JOIN_SECONDS)

    if sys.is_finalizing():  # the run's threads are gone, and what they held stays locked: there is nothing to end
        return
    ending = threading.Thread(target=end, name="end of a run", daemon=True)
    try:
        ending.start()
    except RuntimeError:  # out of threads
        end()
    else:
        ending.join(2 * JOIN_SECONDS)
