"""Blocking TLS sockets, and who ends the waits on them when their time is over.

A wait with a time limit of the ssl module's own takes two or three system calls, and each of them hands the
interpreter's lock to another thread, which costs more than the call.  A blocking one is a single call, but knows no
limit: SO_RCVTIMEO begins anew with each byte, so a server that drips them holds a reader for as long as it likes.
So one thread looks after the time of all sockets, and shuts down the one that is late: whoever waits on it sees an end.

A read under TLS ends with a whole record, of up to 16 KiB.  While its bytes come the server is not silent, which Linux
tells of a socket.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from math import inf
from typing import NamedTuple

__all__ = ["TLSSocket", "Watchdog"]

TICK_SECONDS = 0.05  # a time that was set meanwhile is seen so late at most


class TLSSocket(ssl.SSLSocket):
    """What a context wraps a connected socket in, without the system calls that tell the ssl module what we know.

    It is for ``ssl.SSLContext.sslsocket_class``.
    """

    is_late = False  # it was shut down because its time was over

    def getpeername(self) -> None:
        """Say that it is connected: that is what the ssl module wants to know when it wraps a socket."""

    def settimeout(self, value: float | None) -> None:
        """Set the time limit of a single wait, if that is another one."""
        if value != self.gettimeout():
            super().settimeout(value)

    def silent_for(self) -> float:
        """Return the seconds since the last bytes came, inf where the system does not tell.

        Source: linux/tcp.h, struct tcp_info, tcpi_last_data_recv in milliseconds.
        """
        if sys.platform == "linux":
            with suppress(OSError):
                info = self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
                if len(info) == 56:
                    return int.from_bytes(info[52:], sys.byteorder) / 1000
        return inf


class _Wait(NamedTuple):
    """When the time of a wait is over, on the monotonic clock."""

    end: float  # for what is known so far
    until: float  # at the latest
    silence: float  # seconds without a byte


class Watchdog:
    """Watches sockets, for all threads of a run; its own thread lives while there are any.

    Release a socket before it is closed: its number may be another one's at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows, and is_late of the sockets
        self._waits: dict[TLSSocket, _Wait] = {}
        self._is_running = False

    def watch(self, sock: TLSSocket, until: float, silence: float = inf) -> bool:
        """Shut *sock* down at *until* (monotonic), or when it was silent for so many seconds, unless told otherwise.

        Return False if that was done before.

        Raises OSError (EAGAIN) where this machine has no thread left to do it.
        """
        with self._lock:
            if not sock.is_late:
                if not self._is_running:
                    self._start()
                self._waits[sock] = _Wait(min(until, time.monotonic() + silence), until, silence)
            return not sock.is_late

    def release(self, sock: TLSSocket) -> None:
        """Watch *sock* no longer."""
        with self._lock:
            self._waits.pop(sock, None)

    def _start(self) -> None:
        self._is_running = True  # before it does: it may end at once
        try:
            threading.Thread(target=self._run, name="watchdog", daemon=True).start()
        except RuntimeError as error:
            self._is_running = False
            raise OSError(errno.EAGAIN, "out of threads") from error

    def _run(self) -> None:
        try:
            while (seconds := self._end_waits()) is not None:
                time.sleep(seconds)
        except BaseException:  # out of memory, say; the next to watch starts another
            self._is_running = False
            raise

    def _end_waits(self) -> float | None:
        """Shut down what is late, and return for how long to sleep, None where nothing is left to watch."""
        with self._lock:
            now = time.monotonic()
            for sock, wait in [(sock, wait) for sock, wait in self._waits.items() if wait.end <= now]:
                end = min(wait.until, now - sock.silent_for() + wait.silence) if wait.end < wait.until else now
                if end > now:
                    self._waits[sock] = wait._replace(end=end)
                    continue
                del self._waits[sock]
                sock.is_late = True
                with suppress(OSError):  # the server was faster
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would go on in plain text
            self._is_running = bool(self._waits)
            return min(TICK_SECONDS, min(self._waits.values()).end - now) if self._waits else None
