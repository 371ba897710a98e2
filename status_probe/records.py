"""The nouns that travel between the rooms: Target, Hop, Result, Attempt, Outcome; and Phase, which alone changes.

They are tuples rather than dataclasses since a run makes a few of them for each URL, and a
NamedTuple is built three times as fast as a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import NamedTuple

__all__ = ["COLUMNS", "Asking", "Attempt", "Hop", "Outcome", "Phase", "Result", "Target", "outcome_of"]


class Outcome(str, Enum):
    """How a probe ended: an answer's class, or the kind of a failure.

    Members are strings, so ``result.outcome == "ok"`` holds and formatting gives the plain value.
    """

    OK = "ok"  # 2xx
    REDIRECT = "redirect"  # 3xx that ends there
    CLIENT_ERROR = "client_error"  # 4xx
    SERVER_ERROR = "server_error"  # 5xx
    NONSTANDARD = "nonstandard"  # any other final status: 101, 999

    INVALID_URL = "invalid_url"
    DNS_ERROR = "dns_error"
    BLOCKED_ADDRESS = "blocked_address"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_ERROR = "connect_error"
    PROXY_ERROR = "proxy_error"
    TLS_ERROR = "tls_error"
    CONNECTION_LOST = "connection_lost"
    READ_TIMEOUT = "read_timeout"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    PROTOCOL_ERROR = "protocol_error"
    REDIRECT_LOOP = "redirect_loop"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BAD_REDIRECT = "bad_redirect"
    LOCAL_ERROR = "local_error"
    INTERNAL_ERROR = "internal_error"

    __str__ = str.__str__  # 3.11 changed what a mixed-in enum formats as; this is equal on all versions

    @property
    def is_answer(self) -> bool:
        """Whether a final answer came that no redirect led away from."""
        return self in _ANSWERS


_CLASSES = {2: Outcome.OK, 3: Outcome.REDIRECT, 4: Outcome.CLIENT_ERROR, 5: Outcome.SERVER_ERROR}
_ANSWERS = frozenset({*_CLASSES.values(), Outcome.NONSTANDARD})


def outcome_of(status: int) -> Outcome:
    """Return the outcome of an answer with *status*, the final one."""
    return _CLASSES.get(status // 100, Outcome.NONSTANDARD)


class Target(NamedTuple):
    """One line of a list: it gets exactly one row."""

    number: int  # place in the run, from 0, over all sources
    row: int  # line or record number in its source, from 1
    url: str  # as listed, blanks around it gone; may hold a password
    source: str = ""  # name of the list, where there are several
    own_cells: tuple[str, ...] = ()  # the list's own columns, one for each of its headings
    fault: str = ""  # why this line can be no URL, where reading it already told


class Hop(NamedTuple):
    """One answered request of a redirect chain."""

    status: int
    url: str  # without fragment, a password replaced by ***


class Result(NamedTuple):
    """What one URL answered: the columns of the CSV, in their order.

    Text is as the server sent it; what a spreadsheet needs is done by the report.  Empty text and None both
    make an empty cell.
    """

    row: int
    url: str  # as listed, a password replaced by ***
    status: int | None
    outcome: Outcome
    reason: str = ""
    meaning: str = ""
    final_url: str = ""
    redirects: int = 0
    redirect_chain: str = ""
    elapsed_ms: int | None = None
    attempts: int = 1
    method: str = ""
    content_type: str = ""
    content_length: int | None = None
    ip: str = ""
    error: str = ""
    hint: str = ""
    checked_at_utc: str = ""
    verdict: str = ""


COLUMNS: tuple[str, ...] = Result._fields


class Attempt(NamedTuple):
    """A Result, and what the queue needs to know about whether to try again."""

    result: Result
    passing: bool = False  # a failure that may be gone in a moment
    retry_after: str = ""  # the header as sent
    again_in: float = 0.0  # seconds; until then its host was not to be tried, and this was no attempt


class Phase:
    """What an attempt is doing at this moment: written by the thread that asks, read by others."""

    __slots__ = ("home", "ip", "name")

    def __init__(self, home: str = "") -> None:
        self.home = home  # the host that is listed, by its key
        self.name = "beginning"
        self.ip = ""  # connected to last


# An attempt under way: before each request but its first it yields the host to be asked, name and port.  It is to be
# gone on with when that host may be asked, on any thread; the time until then is not the attempt's.
Asking = Generator[str, None, Attempt]
