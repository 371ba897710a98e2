"""One port of the demo: plain sockets under the standard library's socketserver, since pages misbehave at will."""

from __future__ import annotations

import os
import socket
import socketserver
import struct
import sys
import threading
import time
from contextlib import suppress

from status_probe.demo.pages import End, Request, find_page

__all__ = ["Site"]

END_SECONDS = 0.5  # for threads that were woken


class _Handler(socketserver.StreamRequestHandler):
    """One connection: requests are answered one after another until either side ends it."""

    disable_nagle_algorithm = True
    server: Site

    def handle(self) -> None:
        if self._is_tls():  # other plain servers answer so, too
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        while (request := self._read_request()) and self._play(request):
            pass

    def _is_tls(self) -> bool:
        """Tell a TLS greeting from HTTP by its first byte, and take it in, lest closing send a reset."""
        if self.connection.recv(1, socket.MSG_PEEK) != b"\x16":
            return False
        self.connection.recv(65536)
        return True

    def _read_request(self) -> Request | None:
        """Return the next request, None at the end."""
        line = self.rfile.readline(65537)
        method, _, rest = line.decode("latin-1").strip().partition(" ")
        if not line.endswith(b"\n") or not rest:
            return None
        headers = {}
        while (line := self.rfile.readline(65537)).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return Request(method, rest.rpartition(" ")[0], headers)

    def _play(self, request: Request) -> bool:
        """Do a page's steps; return whether the connection goes on."""
        for step in find_page(request):
            if isinstance(step, bytes):
                head, blank, _ = step.partition(b"\r\n\r\n")
                self.wfile.write(head + blank if request.method == "HEAD" else step)
            elif isinstance(step, End):
                self._end(step)
                return False
            elif self.server.stopping.wait(step):
                return False
        return request.headers.get("connection", "").lower() != "close"

    def _end(self, way: End) -> None:
        """Prepare what the closing of the connection will be."""
        if way is End.SILENCE:
            while self.connection.recv(65536):
                pass
        elif way is End.RESET:  # a linger of no time makes it one, where no FIN was sent before
            form = "hh" if sys.platform == "win32" else "ii"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(form, 1, 0))
            self.connection.close()


class Site(socketserver.ThreadingTCPServer):
    """One port of the demo, a thread a connection."""

    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stopping = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}  # connections and who serves them
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="demo", daemon=True)

    @property
    def port(self) -> int:
        """The port that was free."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Wake every thread from its wait, its read or its write, and join them all; one that does not wake is left."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        threads = dict(self._open)
        for sock in threads:
            _wake(sock)
        limit = time.monotonic() + END_SECONDS
        for thread in threads.values():
            thread.join(max(0.0, limit - time.monotonic()))
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # which says that the client left, as it should from some pages
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        super().shutdown_request(request)
        self._open.pop(request, None)


def _wake(sock: socket.socket) -> None:
    """End what other threads wait for at *sock*.

    On Windows a shutdown may leave them waiting, and closing would too: the handler's file keeps the socket open.  So
    its number is closed, and the object lets go of that first, lest it close another's of the same number later.
    """
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    if os.name == "nt":
        with suppress(OSError):
            socket.close(sock.detach())
