"""One connection: what is sent and received over it, within a deadline, and what may go wrong with it.

Every wait is for at most what is left of its limit: a socket's own timeout begins anew with each byte, so a server
that drips bytes holds a plain client for as long as it likes.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import requests

from .records import Phase
from .watchdog import TLSSocket, Watchdog
from .wire import Head, HeadReader

__all__ = [
    "CONNECTING", "LOOK_UP", "SYSTEM_WAITS", "ConnectFailed", "ConnectTimedOut", "Connection", "ConnectionLost",
    "DeadlineExceeded", "Limits", "NotTried", "ProxyFailed", "ReadTimedOut", "Shape", "TLSFailed", "causes",
    "is_exhaustion", "read_head", "timeval",
]  # fmt: skip

# Where the system's own time limit on a socket is used, a read is one system call, not two: each one hands the
# interpreter's lock to another thread.  Under TLS it has no effect, as the ssl module waits again: a watchdog ends the
# waits there.  Windows has no MSG_DONTWAIT, and may not wake who waits on a socket that is shut down.  And on 32 bits
# the system may want a timeval of 64 (glibc 2.34, musl 1.2), which Python does not tell.
SYSTEM_WAITS = sys.platform in ("linux", "darwin") and sys.maxsize > 2**32
RECEIVE_BYTES = 16 * 1024  # a TLS record
TICK_SECONDS = max(0.001, time.get_clock_info("monotonic").resolution)  # 1/64 on Windows before Python 3.13

LOOK_UP = "looking up the name"
CONNECTING = "connecting"
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
    """The server ended the connection before an answer."""


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

    def exceeded(self, phase: str) -> DeadlineExceeded:
        """Return the exception for a deadline that passed in *phase*."""
        return DeadlineExceeded(f"the time of {self.total:g} s ran out while {phase}")

    def connect_timed_out(self, phase: str) -> requests.Timeout:
        """Return the exception for a connect budget that ran out in *phase*: the deadline's, if that came first."""
        if self.are_over:
            return self.exceeded(phase)
        return ConnectTimedOut(f"no connection within {self.connect:g} s: time ran out while {phase}")


Shape = tuple[str, int, bool]  # of an answer: method, status, whether a body follows


class Connection:
    """A socket that is connected, and what its next use needs to know."""

    __slots__ = (
        "_blocks", "_received", "_timeout", "_watchdog", "_watched", "idle_since", "ip", "is_rested", "shape", "sock",
        "waited",
    )  # fmt: skip

    def __init__(self, sock: Any, ip: str, watchdog: Watchdog | None = None) -> None:
        self.sock = sock
        self.ip = ip
        self.waited = 0.0  # seconds it was watched before this use
        self.idle_since = 0.0
        self.is_rested = True  # long enough since its last answer for anything that trails behind it to be seen
        self.shape: Shape | None = None  # of its last answer
        self._timeout: float | None = -1.0  # as set on the socket
        self._received = 0  # bytes in all, while it blocks
        self._watched: Any = getattr(sock, "socket", sock)  # what TLS within TLS stands on, or itself
        self._watchdog = watchdog if isinstance(self._watched, TLSSocket) else None  # then it blocks
        self._blocks = SYSTEM_WAITS and isinstance(sock, socket.socket) and not isinstance(sock, ssl.SSLSocket)
        if self._blocks and sock.gettimeout() is not None:  # a system call
            sock.settimeout(None)

    def send(self, request: bytes, limits: Limits) -> None:
        """Write the whole request.

        Raises ConnectionLost or DeadlineExceeded.
        """
        if self._blocks:
            request = request[self._send_at_once(request) :]
            if request:
                self._stop_blocking()
        while request:
            self._set_timeout(limits, SENDING)
            try:
                request = request[self.sock.send(request) :]
            except OSError as error:
                if isinstance(error, TimeoutError) or self._is_late:
                    raise self._timed_out(limits, SENDING) from None
                raise _lost_in_sending() from error

    def receive(self, limits: Limits, phase: str = WAITING) -> bytes:
        """Return some bytes, none where the server ended its side.

        Raises ConnectionLost, ReadTimedOut or DeadlineExceeded.
        """
        self._set_timeout(limits, phase)
        try:
            received: bytes | None = self.sock.recv(RECEIVE_BYTES) or b""  # SSLTransport says 0 for an end
        except (TimeoutError, BlockingIOError):
            received = None  # not raised from here: the EAGAIN behind it would look like this machine's limits
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            received = b""  # an end without a TLS goodbye, which many servers leave out
        except OSError as error:
            if not self._is_late:
                raise ConnectionLost("the server reset the connection before an answer") from error
            received = None
        if received is None or (not received and self._is_late):
            raise self._timed_out(limits, phase)
        self._received += len(received)
        return received

    def listen(self, seconds: float) -> bytes | None:
        """Return None if nothing comes from the server within *seconds*, else what came, empty for its end.

        It reads rather than polls: bytes may lie decrypted inside OpenSSL where no poll sees them, and under TLS 1.3
        a readable socket may hold a session ticket only.
        """
        try:
            if self._blocks and not seconds:
                if self._is_idle():
                    return None
                return self.sock.recv(400, socket.MSG_DONTWAIT)  # type: ignore[no-any-return]
            self._wait_at_most(seconds)
            received: bytes = self.sock.recv(400) or b""  # mostly nothing comes, and a small buffer costs less
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return None
        except OSError:
            return b""
        self._received += len(received)
        return received

    def rest(self) -> None:
        """Begin to be idle."""
        self.idle_since = time.monotonic()
        if self._watchdog:
            self._watchdog.release(self._watched)

    def close(self) -> None:
        """Close at once, without a TLS goodbye."""
        if self._watchdog:
            self._watchdog.release(self._watched)
        with suppress(OSError):  # it is as closed as it will be
            self.sock.close()

    def _set_timeout(self, limits: Limits, phase: str) -> None:
        limits.phase.name = phase
        now = time.monotonic()
        left = limits.deadline - now
        if left <= 0:
            raise limits.exceeded(phase)
        timeout: float | None = min(limits.read, left)
        if self._watchdog:
            if not self._watchdog.watch(self._watched, limits.deadline, limits.read):
                raise self._timed_out(limits, phase)
            timeout = None
        if timeout != self._timeout:  # a system call
            self._wait_at_most(timeout)

    @property
    def _is_late(self) -> bool:
        """Whether what looks like the server's end, or its fault, is the watchdog's doing."""
        return self._watchdog is not None and bool(self._watched.is_late)

    def _wait_at_most(self, seconds: float | None) -> None:
        self._timeout = seconds
        with suppress(OSError):  # macOS may say so of a connection that is gone already; reading tells
            if self._blocks and seconds is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(seconds))
            else:
                self.sock.settimeout(seconds)

    def _send_at_once(self, request: bytes) -> int:
        """Send what the system takes without waiting, mostly all, and return how many bytes that is."""
        try:
            return self.sock.send(request, socket.MSG_DONTWAIT)  # type: ignore[no-any-return]
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _lost_in_sending() from error

    def _is_idle(self) -> bool:
        """Whether Linux says that it is connected and received no byte that we have not read.

        It spares a read that finds nothing, and with it a hand-over of the interpreter's lock, which getsockopt keeps.
        False means nothing: the read tells.  Source: linux/tcp.h, struct tcp_info, tcpi_state and tcpi_bytes_received.
        """
        if sys.platform != "linux":
            return False
        try:
            info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
        except OSError:
            return False
        return len(info) == 136 and info[0] == 1 and int.from_bytes(info[128:], sys.byteorder) == self._received

    def _stop_blocking(self) -> None:
        """Let the socket module keep the time from now on."""
        self._blocks = False
        self._timeout = -1.0

    def _timed_out(self, limits: Limits, phase: str) -> requests.Timeout:
        if limits.are_over:
            return limits.exceeded(phase)
        return ReadTimedOut(f"the server was silent for {limits.read:g} s while {phase}")


def _lost_in_sending() -> ConnectionLost:
    return ConnectionLost("the server closed the connection before an answer")


def timeval(seconds: float) -> bytes:
    """Return the C structure of a duration; never nought, which means for ever."""
    return struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1e6)))


def read_head(
    connection: Connection, limits: Limits, fault: ConnectionLost | None = None
) -> tuple[HeadReader, Head]:
    """Return the head of the final answer, and its reader, which holds what followed.

    *fault* is what went wrong in sending; it is raised where no answer comes either.

    Raises ConnectionLost, ReadTimedOut, DeadlineExceeded or ProtocolError.
    """
    reader = HeadReader()
    phase = WAITING
    while True:
        try:
            received = connection.receive(limits, phase)
        except ConnectionLost as lost:
            received, fault = b"", lost
        head = reader.feed(received) if received else reader.end()
        if head is not None:
            return reader, head
        if not received:
            where = "in the middle of its answer" if reader.began else "without an answer"
            try:
                raise fault or ConnectionLost(f"the server closed the connection {where}")
            finally:
                fault = None  # it knows this frame, and with it the connection
        if reader.began:
            seen = reader.status_seen
            phase = f"{HEADERS}, which began with status {seen}" if seen else HEADERS


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
