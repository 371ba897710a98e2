"""What every loopback server of the tests stands on: an accept loop, a thread a connection, an end without a trace."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from tests.connection import Connection, Gone, Request

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Listener"]

JOIN_SECONDS = 5.0


class Listener:
    """A listening socket on *address*, whose serve() runs in a thread for each connection.

    Port 0 takes a free one.  On "0.0.0.0" it hears all of 127.0.0.0/8; Request.local tells which was meant.
    Leaving the ``with`` block closes everything, joins every thread, and raises what a handler raised.
    """

    def __init__(self, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self.address = address
        self.port = port
        self.log: list[Request] = []  # every request, in order of arrival
        self.connections = 0  # accepted so far
        self.stopping = threading.Event()
        self.faults: list[BaseException] = []  # raised by handlers: a test's mistake
        self._changed = threading.Condition()  # guards log, connections, _open; told of every change of theirs
        self._open: set[Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._listening: socket.socket | None = None

    def serve(self, connection: Connection) -> None:
        """Do what this server does with one connection; it is closed afterwards."""
        raise NotImplementedError

    def record(self, request: Request) -> None:
        """Append *request* to the log, and wake whoever waits for it."""
        with self._changed:
            request.overall = len(self.log)
            self.log.append(request)
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Return once *condition* holds; it is asked again at each request and each connection's begin and end.

        Raises AssertionError after *seconds*.
        """
        with self._changed:
            assert self._changed.wait_for(condition, seconds), f"not reached within {seconds} s"

    @property
    def open_connections(self) -> int:
        """How many connections are served at this moment."""
        with self._changed:
            return len(self._open)

    @property
    def targets(self) -> list[str]:
        """The targets asked for, in order of arrival."""
        return [request.target for request in list(self.log)]

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listening = socket.socket(family, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two servers share a port
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind((self.address, self.port))
        self._listening.listen(1024)
        self._listening.settimeout(0.1)  # where shutdown() does not wake accept(), this does
        self.port = self._listening.getsockname()[1]
        self._start(self._accept, self._listening)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        assert self._listening is not None
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + JOIN_SECONDS
        while self._threads and time.monotonic() < deadline:
            self._wake()
            with self._changed:
                threads = list(self._threads)
            for thread in threads:
                thread.join(0.2)  # a connection accepted at the last moment is woken on the next round
        self._listening.close()
        assert not self._threads, f"still serving: {self._threads}"
        if exc is None and self.faults:
            raise self.faults[0]

    def _wake(self) -> None:
        """Wake the threads that read or write; close() alone would not, and TLS's own shutdown() is not safe here."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):  # closed meanwhile, or just being wrapped in TLS
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _start(self, run: Callable[[socket.socket], None], sock: socket.socket) -> None:
        def work() -> None:
            try:
                run(sock)
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=work, name=f"{type(self).__name__}-{self.port}", daemon=True)
        with self._changed:  # whoever joins it finds it started
            self._threads.add(thread)
            thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:  # the end; or this process is out of files, which must not become a busy loop
                self.stopping.wait(0.02)
                continue
            sock.settimeout(None)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = self._begin(sock)
        try:
            self.serve(connection)
        except Gone:
            pass
        except Exception as exc:  # shown by __exit__, in the test's own thread
            self.faults.append(exc)
        finally:
            connection.sock.close()
            self._end(connection)

    def _begin(self, sock: socket.socket) -> Connection:
        with contextlib.suppress(OSError):  # the client may have reset already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            connection = Connection(sock, self.connections, self.stopping)
            self.connections += 1
            self._open.add(connection)
            self._changed.notify_all()
        return connection

    def _end(self, connection: Connection) -> None:
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()
