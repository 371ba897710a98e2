"""What an exception means for a row, and whether and when to try again.

Both are decided by tables: the first by the type of the exception, never by its text, the second by outcome and
status.
"""

from __future__ import annotations

import errno
import random
import ssl
import time
from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .addresses import BlockedAddress
from .limits import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    DeadlineExceeded,
    NotTried,
    ProxyFailed,
    ReadTimedOut,
    TLSFailed,
    is_exhaustion,
)
from .names import NameFailure
from .records import Attempt, Outcome, Result
from .tls import explain_tls
from .urls import InvalidURL
from .wire import ProtocolError

__all__ = ["Failure", "RetryPolicy", "classify", "fault_of_ours", "is_passing", "parse_retry_after"]


class Failure(NamedTuple):
    """What a row says of a request that got no answer."""

    outcome: Outcome
    error: str  # one sentence for the owner of the site
    cause: str = ""  # tells apart what one outcome has several hints for: see codes.hint()
    again_in: float = 0.0  # seconds; until then the host was not to be tried, and this was no attempt


# The first that fits decides.  The sentence of these exceptions is written where they are raised.
_OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (
    (InvalidURL, Outcome.INVALID_URL),
    (BlockedAddress, Outcome.BLOCKED_ADDRESS),
    (NameFailure, Outcome.DNS_ERROR),
    (ConnectTimedOut, Outcome.CONNECT_TIMEOUT),
    (ReadTimedOut, Outcome.READ_TIMEOUT),
    (DeadlineExceeded, Outcome.DEADLINE_EXCEEDED),
    (ProxyFailed, Outcome.PROXY_ERROR),
    (ConnectionLost, Outcome.CONNECTION_LOST),
    (ProtocolError, Outcome.PROTOCOL_ERROR),
)

_CONNECT_SENTENCES = {
    errno.ENETUNREACH: "there is no route to the network of this address",
    errno.EAFNOSUPPORT: "this machine has no IPv6, the host nothing else",
    errno.EHOSTUNREACH: "there is no route to the host",
    errno.EADDRNOTAVAIL: "this address cannot be connected to",
    errno.EACCES: "this machine does not allow this connection",
    errno.EPERM: "this machine's firewall does not allow this connection",
    errno.EINVAL: "this address cannot be connected to",
}

# Windows' numbers where they differ from the errno module's.
_REFUSED = frozenset({errno.ECONNREFUSED, 10061})
_TIMED_OUT = frozenset({errno.ETIMEDOUT, 10060})
_RESET = frozenset({errno.ECONNRESET, 10054})


def classify(error: Exception) -> Failure:
    """Return what *error*, raised by the session, means.

    Raises *error* again if it is none that a server, a network or this machine's limits cause: a fault of ours.
    """
    if is_exhaustion(error):
        return Failure(Outcome.LOCAL_ERROR, "this machine ran out of files, ports, memory or name look-ups")
    if isinstance(error, TLSFailed) or _is_alert(error):
        cause, sentence = explain_tls(error)
        return Failure(Outcome.TLS_ERROR, sentence, cause)
    if isinstance(error, ConnectFailed):
        return _connect_failure(error)
    if isinstance(error, NotTried):
        return Failure(Outcome.CONNECT_TIMEOUT, str(error), again_in=error.again_in)
    for kind, outcome in _OUTCOMES:
        if isinstance(error, kind):
            return Failure(outcome, str(error), _cause(error))
    if isinstance(error, OSError) and error.errno is not None:
        return Failure(Outcome.LOCAL_ERROR, "this machine could not open a connection")
    raise error


def fault_of_ours(error: Exception) -> Failure:
    """Return what a row says of *error*, a bug unless memory is short; what it says itself is for the log."""
    if isinstance(error, MemoryError):
        return Failure(Outcome.LOCAL_ERROR, "this machine ran out of memory")
    return Failure(Outcome.INTERNAL_ERROR, f"a fault of status-probe: {type(error).__name__}")


def _is_alert(error: Exception) -> bool:
    """Whether TLS itself ended a connection: under 1.3 a server refuses a client certificate after the handshake.

    An end of the connection is an SSLError, too, in sending.
    """
    ends = ssl.SSLEOFError, ssl.SSLZeroReturnError
    cause = error.__cause__
    return isinstance(error, ConnectionLost) and isinstance(cause, ssl.SSLError) and not isinstance(cause, ends)


def _connect_failure(error: ConnectFailed) -> Failure:
    code = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
    if code in _REFUSED:
        cause = "lived" if error.host_lived else ""
        return Failure(Outcome.CONNECT_REFUSED, "the connection was refused: nothing listens on this port", cause)
    if code in _TIMED_OUT:
        return Failure(Outcome.CONNECT_TIMEOUT, "the connection attempt got no answer")
    if code in _RESET:  # a server that resets at once is seen in connecting or in sending, as it happens
        return Failure(Outcome.CONNECTION_LOST, "the server reset the connection before an answer", "handshake_ended")
    return Failure(Outcome.CONNECT_ERROR, _CONNECT_SENTENCES.get(code or 0, "the connection could not be made"))


def _cause(error: Exception) -> str:
    return error.cause if isinstance(error, ConnectionLost | NameFailure | ProxyFailed) else ""


# What may be gone in a moment.  A port on which nothing listens stays so, unless something did a moment ago.
_PASSING_OUTCOMES = frozenset({
    Outcome.CONNECTION_LOST, Outcome.CONNECT_ERROR, Outcome.CONNECT_TIMEOUT, Outcome.READ_TIMEOUT, Outcome.LOCAL_ERROR,
})  # fmt: skip
_PASSING_CAUSES = frozenset({
    (Outcome.DNS_ERROR, "try_again"), (Outcome.DNS_ERROR, "timeout"),
    (Outcome.PROXY_ERROR, "unreachable"), (Outcome.PROXY_ERROR, "unanswered"),
    (Outcome.CONNECT_REFUSED, "lived"),
    (Outcome.TLS_ERROR, "handshake_ended"),  # as a load balancer does whose servers begin anew
})  # fmt: skip
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_passing(outcome: Outcome, status: int | None, cause: str = "") -> bool:
    """Whether another attempt may end otherwise."""
    if outcome.is_answer:
        return status in _PASSING_STATUSES
    return outcome in _PASSING_OUTCOMES or (outcome, cause) in _PASSING_CAUSES


class RetryPolicy(NamedTuple):
    """How often, and after how long, an attempt is made again.

    *retries* are further attempts after the first; *wait* is the delay before the first of them in seconds, doubled
    for each next one; *max_wait* cuts every delay, Retry-After included.
    """

    retries: int = 1
    wait: float = 1.0
    max_wait: float = 60.0

    def delay(
        self, attempt: Attempt, now: float | None = None, jitter: Callable[[], float] = random.random
    ) -> float | None:
        """Return the least delay in seconds before another attempt, or None to leave it at this one.

        A Retry-After that parses wins over the computed delay, unless it says "now".  What this machine's limits
        spoiled is tried once more whatever *retries* says: it is no answer of the server's.  *now* is Unix time.
        """
        if not attempt.passing or attempt.result.attempts > self._retries_for(attempt.result):
            return None
        said = self.host_delay(attempt, now)
        if said:
            return said
        doubled = self.wait * 2.0 ** min(attempt.result.attempts - 1, 30)
        return min(self.max_wait, doubled * (0.75 + 0.5 * jitter()))

    def host_delay(self, attempt: Attempt, now: float | None = None) -> float | None:
        """Return for how long, in seconds, the server wants not to be asked, cut to *max_wait*; None if not said."""
        if not attempt.retry_after:
            return None
        seconds = parse_retry_after(attempt.retry_after, time.time() if now is None else now)
        return None if seconds is None else min(seconds, self.max_wait)

    def _retries_for(self, result: Result) -> int:
        return max(1, self.retries) if result.outcome is Outcome.LOCAL_ERROR else self.retries


def parse_retry_after(text: str, now: float) -> float | None:
    """Return the seconds from *now* (Unix time) that a Retry-After header names, or None if it is neither form.

    A date may be of any zone; one in the past is 0.  Source: RFC 9110, section 10.2.3.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # '-0000', or no zone at all: HTTP dates are in UTC
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
