"""How long an attempt may take, what it is doing meanwhile, and the exceptions that end it.

They are requests' own kinds, so whoever uses the session catches what is known.  ``failures`` tells what each means.
"""

from __future__ import annotations

import errno
import struct
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import requests

from .records import Phase

__all__ = [
    "CONNECTING", "HANDSHAKE", "HEADERS", "LONGEST_SYSTEM_WAIT", "LOOK_UP", "SENDING", "SYSTEM_WAITS", "WAITING",
    "ConnectFailed", "ConnectTimedOut", "ConnectionLost", "DeadlineExceeded", "Limits", "NotTried", "ProxyFailed",
    "ReadTimedOut", "TLSFailed", "causes", "is_exhaustion", "timeval",
]  # fmt: skip

# Where the system's own time limit on a socket is used, a read is one system call, not two: each one hands the
# interpreter's lock to another thread.  Under TLS it has no effect, as the ssl module waits again: a watchdog ends the
# waits there.  Windows has no MSG_DONTWAIT, and may not wake who waits on a socket that is shut down.  And on 32 bits
# the system may want a timeval of 64 (glibc 2.34, musl 1.2), which Python does not tell.
SYSTEM_WAITS = sys.platform in ("linux", "darwin") and sys.maxsize > 2**32
LONGEST_SYSTEM_WAIT = 16.0  # seconds; Linux ends a wait late by up to an eighth of its length
TICK_SECONDS = max(0.001, time.get_clock_info("monotonic").resolution)  # 1/64 on Windows before Python 3.13

LOOK_UP = "looking up the name"
CONNECTING = "connecting"
HANDSHAKE = "in the TLS handshake"
SENDING = "sending the request"
WAITING = "waiting for the answer"
HEADERS = "reading the headers of the answer"

# This machine's own limits: out of files, of ports, of buffers, of memory; the last three are Windows' names for them.
_EXHAUSTION = frozenset({
    errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, 10024, 10048, 10055,
}) - {10049}  # fmt: skip  # Windows' EADDRNOTAVAIL: not for want of ports, but for an address like 0.0.0.0


class ConnectFailed(requests.ConnectionError):
    """No address of the host could be connected to; the cause is the OSError of the last one."""

    host_lived = False  # whether it could be connected to before


class ConnectTimedOut(requests.ConnectTimeout):
    """The connect timeout ran out; the message says in which phase."""


class NotTried(ConnectTimedOut):
    """The host was left alone, since it did not answer the last attempts.

    It may be tried again in *again_in* seconds, if that is worth the wait, else 0.
    """

    def __init__(self, message: str, again_in: float) -> None:
        super().__init__(message)
        self.again_in = again_in


class TLSFailed(requests.exceptions.SSLError):
    """The TLS handshake failed; the cause is the ssl.SSLError."""


class ProxyFailed(requests.exceptions.ProxyError):
    """The proxy could not be reached, or would not serve.

    *cause* tells apart: "unreachable", "unanswered" for a tunnel asked for in vain, "refused" for one; or nothing.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class ConnectionLost(requests.ConnectionError):
    """The server ended the connection before an answer; *cause* is "handshake_ended" where it did so before that."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class ReadTimedOut(requests.ReadTimeout):
    """The server was silent for as long as the read timeout."""


class DeadlineExceeded(requests.Timeout):
    """The time for the whole attempt ran out; the message says in which phase."""


class Limits(NamedTuple):
    """How long an attempt may take."""

    connect: float  # seconds for name, connection and TLS together
    read: float  # seconds of silence
    total: float  # seconds, for messages; what counts is:
    deadline: float  # on the monotonic clock
    phase: Phase  # kept up to date for whoever wants to know

    @property
    def are_over(self) -> bool:
        """Whether the deadline has passed, or is about to: by the clock a wait may end a moment before it."""
        return time.monotonic() >= self.deadline - TICK_SECONDS

    def connect_until(self) -> float:
        """Return until when a connection may take that is begun now, on the monotonic clock."""
        return min(time.monotonic() + self.connect, self.deadline)

    def exceeded(self, phase: str) -> DeadlineExceeded:
        """Return the exception for a deadline that passed in *phase*."""
        return DeadlineExceeded(f"the time of {self.total:g} s ran out while {phase}")

    def connect_timed_out(self, phase: str) -> requests.Timeout:
        """Return the exception for a connect budget that ran out in *phase*: the deadline's, if that came first."""
        if self.are_over:
            return self.exceeded(phase)
        return ConnectTimedOut(f"no connection within {self.connect:g} s: time ran out while {phase}")


def is_exhaustion(error: BaseException) -> bool:
    """Whether an error comes from this machine's own limits, wherever in its chain that is said.

    Out of files was seen as a failed look-up and inside an ssl.SSLError.
    """
    return any(
        isinstance(part, OSError) and part.errno in _EXHAUSTION and not isinstance(part, requests.RequestException)
        for part in causes(error)
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what it came from, step by step."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def timeval(seconds: float) -> bytes:
    """Return the C structure of a duration; never nought, which means for ever."""
    return struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1e6)))
