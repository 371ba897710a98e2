"""One connection: what is sent and received over it, within its limits.

Every wait is for at most what is left of its limit: a socket's own timeout begins anew with each byte, so a server
that drips bytes holds a plain client for as long as it likes.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
from contextlib import suppress
from typing import Any

import requests

from .limits import (
    HEADERS,
    LONGEST_SYSTEM_WAIT,
    SENDING,
    SYSTEM_WAITS,
    WAITING,
    ConnectionLost,
    Limits,
    ReadTimedOut,
    timeval,
)
from .watchdog import TLSSocket, Watchdog
from .wire import Head, HeadReader

__all__ = ["Connection", "Shape", "read_head"]

RECEIVE_BYTES = 16 * 1024  # a TLS record

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
        if self._blocks and (seconds or 0.0) > LONGEST_SYSTEM_WAIT:
            self._stop_blocking()
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
