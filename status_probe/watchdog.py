"""Blocking TLS sockets, and who ends the waits on them when their time is over.

A wait with a time limit of the ssl module's own takes two or three system calls, and each of them hands the
interpreter's lock to another thread, which costs more than the call.  A blocking one is a single call, but knows no
limit: SO_RCVTIMEO begins anew with each byte, so a server that drips them holds a reader for as long as it likes.
So one thread looks after the time of all sockets, and shuts down the one that is late: whoever waits on it sees an end.
"""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from contextlib import suppress

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


class Watchdog:
    """Watches sockets, for all threads of a run; its own thread lives while there are any.

    Release a socket before it is closed: its number may be another one's at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows, and is_late of the sockets
        self._ends: dict[TLSSocket, float] = {}  # on the monotonic clock
        self._is_running = False

    def watch(self, sock: TLSSocket, until: float) -> bool:
        """Shut *sock* down at *until* (monotonic), unless told otherwise by then; return False if that was done before.

        Raises OSError (EAGAIN) where this machine has no thread left to do it.
        """
        with self._lock:
            if not sock.is_late:
                if not self._is_running:
                    self._start()
                self._ends[sock] = until
            return not sock.is_late

    def release(self, sock: TLSSocket) -> None:
        """Watch *sock* no longer."""
        with self._lock:
            self._ends.pop(sock, None)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="watchdog", daemon=True).start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, "out of threads") from error
        self._is_running = True

    def _run(self) -> None:
        while (seconds := self._end_waits()) is not None:
            time.sleep(seconds)

    def _end_waits(self) -> float | None:
        """Shut down what is late, and return for how long to sleep, None where nothing is left to watch."""
        with self._lock:
            now = time.monotonic()
            for sock in [sock for sock, end in self._ends.items() if end <= now]:
                del self._ends[sock]
                sock.is_late = True
                with suppress(OSError):  # the server was faster
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would go on in plain text
            self._is_running = bool(self._ends)
            return min(TICK_SECONDS, min(self._ends.values()) - now) if self._ends else None
