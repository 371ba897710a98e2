"""An HTTP proxy and a SOCKS5 proxy on loopback.

Whatever name they are asked for leads to 127.0.0.1, or to where *hosts* says: no name is looked up, and nothing off
this machine is connected to.
A proxy that misbehaves is scripted more simply: a Server whose routes are absolute URLs.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import select
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.connection import Connection, Request
from tests.listener import Listener

__all__ = ["Proxy", "SocksProxy"]


class Proxy(Listener):
    """An HTTP proxy: CONNECT opens a tunnel, an absolute URL is forwarded, one request a connection.

    With *user* it wants Basic credentials, and answers 407 without them.  With *refusal*, a status, it answers
    everything so.  With *tls*, a context, it is spoken to over TLS.  Its log holds what it was asked; a dead target is
    answered 502.
    """

    def __init__(
        self,
        *,
        user: str = "",
        password: str = "",
        refusal: int = 0,
        hosts: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(address=address)
        self.tls = tls
        self.credentials = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self.refusal = refusal
        self.hosts = hosts or {}

    @property
    def url(self) -> str:
        """Its address as --proxy takes it, without credentials."""
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    def serve(self, connection: Connection) -> None:
        if self.tls:
            connection.start_tls(self.tls)
        request = connection.read_request()
        self.record(request)
        if self.credentials and request.header("Proxy-Authorization") != self.credentials:
            connection.send(_refusal(407, 'Proxy-Authenticate: Basic realm="test"\r\n'))
        elif self.refusal:
            connection.send(_refusal(self.refusal))
        elif request.method == "CONNECT":
            host, _, port = request.target.rpartition(":")
            self._pass_on(connection, host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n", b"")
        else:
            parts = urlsplit(request.target)
            self._pass_on(connection, parts.hostname or "", parts.port or 80, b"", _origin_form(request))
        connection.close()

    def _pass_on(self, connection: Connection, host: str, port: int, greeting: bytes, head: bytes) -> None:
        try:
            upstream = _connect(host, port, self.hosts)
        except OSError:
            connection.send(_refusal(502))
            return
        with upstream:
            connection.send(greeting)
            upstream.sendall(head)
            _relay(connection, upstream)


class SocksProxy(Listener):
    """A SOCKS5 proxy (RFC 1928) for CONNECT, with *user* and *password* where given (RFC 1929).

    *asked* holds the hosts as they were sent, names unresolved, and their ports.  *reply* other than 0 refuses all:
    2 not allowed, 4 host unreachable, 5 refused.
    """

    def __init__(
        self,
        *,
        user: str = "",
        password: str = "",
        reply: int = 0,
        hosts: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        super().__init__(address=address)
        self.user, self.password = user.encode(), password.encode()
        self.reply = reply
        self.hosts = hosts or {}
        self.asked: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        """Its address as --proxy takes it: names are resolved by the proxy."""
        return f"socks5h://{self.address}:{self.port}"

    def serve(self, connection: Connection) -> None:
        self._greet(connection)
        host, port = _read_target(connection)
        self.asked.append((host, port))
        upstream = None
        if not self.reply:
            with contextlib.suppress(OSError):
                upstream = _connect(host, port, self.hosts)
        connection.send(bytes([5, 0 if upstream else self.reply or 5, 0, 1, 0, 0, 0, 0, 0, 0]))
        if upstream:
            with upstream:
                _relay(connection, upstream)

    def _greet(self, connection: Connection) -> None:
        offered = connection.read_exactly(connection.read_exactly(2)[1])
        method = 2 if self.user else 0
        connection.send(bytes([5, method if method in offered else 255]))
        if self.user:
            user = connection.read_exactly(connection.read_exactly(2)[1])
            password = connection.read_exactly(connection.read_exactly(1)[0])
            right = (user, password) == (self.user, self.password)
            connection.send(bytes([1, not right]))
            if not right:
                connection.close()


def _read_target(connection: Connection) -> tuple[str, int]:
    kind = connection.read_exactly(4)[3]  # version, command, reserved, kind of address
    if kind == 3:
        host = connection.read_exactly(connection.read_exactly(1)[0]).decode()
    else:
        host = str(ipaddress.ip_address(connection.read_exactly(4 if kind == 1 else 16)))
    return host, int.from_bytes(connection.read_exactly(2), "big")


def _connect(host: str, port: int, hosts: Mapping[str, str]) -> socket.socket:
    """Connect to what *host* leads to.  Raises OSError, also for an address off this machine."""
    host = host.strip("[]")
    try:
        address = ipaddress.ip_address(hosts.get(host, host))
    except ValueError:
        address = ipaddress.ip_address("127.0.0.1")
    if not address.is_loopback:
        raise OSError(f"{address} is not on this machine")
    return socket.create_connection((str(address), port), timeout=5)


def _refusal(status: int, header: str = "") -> bytes:
    return f"HTTP/1.1 {status} Refused\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _origin_form(request: Request) -> bytes:
    """Return the head of an absolute-form *request* as the origin wants it, with what is between hops left out."""
    path = "/" + request.target.split("/", 3)[3] if request.target.count("/") > 2 else "/"
    headers = [(name, value) for name, value in request.headers if not name.lower().startswith("proxy-")]
    lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def _relay(connection: Connection, upstream: socket.socket) -> None:
    """Copy bytes both ways until either side ends."""
    client = connection.sock
    with contextlib.suppress(OSError):
        while not connection.stopping.is_set():
            for sock in select.select([client, upstream], [], [], 0.2)[0]:
                got = sock.recv(65536)
                if not got:
                    return
                (upstream if sock is client else client).sendall(got)
