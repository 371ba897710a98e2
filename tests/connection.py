"""One accepted client of a loopback server: what came from it, and all that may be done to it.

    Request     one request head as it came
    Connection  reads heads, sends, waits, closes, resets
    Gone        the client left, or the server stops

A handler never sleeps: it waits on ``stopping``, so that a server ends at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Connection", "Gone", "Request", "most_at_once"]

HEAD_BYTES = 4 << 20  # a request head longer than this is a test's mistake
WINDOWS = os.name == "nt"


class Gone(Exception):  # noqa: N818 - not an error
    """The connection is over: the client left, or the server stops.  Ends a handler, and is no error."""


@dataclass
class Request:
    """One request head.  Times are of time.monotonic()."""

    time: float  # its head was complete
    ended: float  # its last piece was about to be sent, or its wait was over; inf while it waits
    connection: int  # number of the connection on this server, from 0
    number: int  # number of the request on its connection, from 0
    overall: int  # number of the request on this server, from 0
    method: str
    target: str
    headers: list[tuple[str, str]]  # names as sent, latin-1
    head: bytes
    local: str  # address the client connected to
    server_name: str  # asked for by the TLS client (SNI), "" without

    @property
    def first(self) -> bool:
        """Whether no request came before it on its connection."""
        return self.number == 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Return the values of header *name*, joined by ", "; "" where there is none."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())


def most_at_once(requests: Iterable[Request]) -> int:
    """Return how many of *requests* were in flight at the same time, at most.

    A request counts from its head to just before its last piece was sent, so a client that asks again as soon as
    it has an answer never counts twice.
    """
    steps = sorted(step for request in requests for step in ((request.time, 1), (request.ended, -1)))
    current = most = 0
    for _, change in steps:
        current += change
        most = max(most, current)
    return most


class Connection:
    """One accepted client.  Every method raises Gone once the client left or the server stops."""

    def __init__(self, sock: socket.socket, number: int, stopping: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self.stopping = stopping  # set when the server ends
        self.request: Request | None = None  # the one being answered
        self._served = 0
        self._unread = b""

    def receive(self) -> bytes:
        """Return some bytes, as soon as there are any."""
        try:
            got = self.sock.recv(65536)
        except (OSError, ValueError) as exc:
            raise Gone from exc
        if not got:
            raise Gone
        return got

    def send(self, payload: bytes) -> None:
        """Send *payload* in one call, which over TLS makes one record of each 16 KiB."""
        self._stamp()
        try:
            self.sock.sendall(payload)
        except (OSError, ValueError) as exc:
            raise Gone from exc

    def pause(self, seconds: float) -> None:
        """Wait, without reading."""
        if self.stopping.wait(seconds):
            raise Gone
        self._stamp()

    def hang(self) -> NoReturn:
        """Read and drop what comes until the client leaves."""
        try:
            while True:
                self.receive()
        finally:
            self._stamp()

    def close(self) -> NoReturn:
        """End the connection in order: over TLS with a close_notify, then a FIN."""
        with contextlib.suppress(OSError, ValueError):
            self.sock.settimeout(0)
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.unwrap()  # sends ours; theirs is not awaited
        self.cut()

    def cut(self) -> NoReturn:
        """Send a FIN, over TLS without a close_notify."""
        with contextlib.suppress(OSError, ValueError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
            self.sock.settimeout(0)
            while socket.socket.recv(self.sock, 65536):
                pass  # closing with bytes unread would send a reset
        self.sock.close()
        raise Gone

    def reset(self) -> NoReturn:
        """Send a RST, which may overtake what was sent before."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if WINDOWS else "ii", 1, 0))
        self.sock.close()
        raise Gone

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as the server; a client that refuses is Gone."""
        try:
            sock = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock = sock
            sock.do_handshake()
        except (OSError, ValueError) as exc:
            raise Gone from exc

    def read_exactly(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        while len(self._unread) < size:
            self._unread += self.receive()
        wanted, self._unread = self._unread[:size], self._unread[size:]
        return wanted

    def read_request(self) -> Request:
        """Return the next request; what the client sent ahead is kept for the one after it.

        A TLS greeting on a plain port gets the answer that nginx gives: 400, in plain text.
        """
        while b"\r\n\r\n" not in self._unread:
            self._unread += self.receive()
            if self._unread[:1] == b"\x16":
                self.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.close()
            if len(self._unread) > HEAD_BYTES:
                raise AssertionError("the request head does not end")
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        self.request = self._parse(head + b"\r\n\r\n")
        return self.request

    def _parse(self, head: bytes) -> Request:
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        pairs = [line.partition(":") for line in lines[1:] if line]
        number, self._served = self._served, self._served + 1
        return Request(
            time.monotonic(), math.inf, self.number, number, -1, method, rest.rpartition(" ")[0],
            [(name, value.strip()) for name, _, value in pairs], head, self.sock.getsockname()[0],
            getattr(self.sock, "server_name", None) or "",
        )  # fmt: skip

    def _stamp(self) -> None:
        if self.request is not None:
            self.request.ended = time.monotonic()
