"""A loopback server that behaves as a test scripts it, and all else a test needs to face a hostile network.

    with Server({"/": answer(200), "/late": [pause(0.2), answer(404)], "/cut": [b"HTTP/1.1 2", close()]}) as server:
        ...ask server.url("/late")...
        assert server.targets == ["/late"]

A script is a step or a list of steps, and bytes are the step that sends them; when it is through, the next request
of the connection is read.  A route leads to a script, or to a function from the Request to a script, so that an answer
may depend on request.number (on its connection), request.overall, request.method or any header.

Misbehaviour before the first request is scripted by *on_connect*: ``[close()]``, ``[reset()]``, ``[hang()]``,
``[b"SSH-2.0-OpenSSH_9.6\\r\\n", hang()]``, ``[drip_handshake(context, 0.1)]``.  Plain HTTP on a TLS port is
``server.url("/", scheme="https")`` of a server without *tls*.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tests.certificates import CERTIFICATES, ca_file, client_certificate_files, server_context
from tests.connection import Connection, Gone, Request, most_at_once
from tests.listener import Listener
from tests.proxies import Proxy, SocksProxy

__all__ = [
    "CERTIFICATES",
    "Connection",
    "Gone",
    "Handler",
    "Listener",
    "Proxy",
    "Request",
    "Script",
    "Server",
    "SocksProxy",
    "Step",
    "answer",
    "ca_file",
    "client_certificate_files",
    "close",
    "closed_port",
    "cut",
    "deaf_address",
    "drip",
    "drip_handshake",
    "hang",
    "most_at_once",
    "pause",
    "read_more",
    "redirect",
    "repeat",
    "reset",
    "send",
    "server_context",
]


@dataclass(frozen=True)
class Step:
    """One thing a server does to a connection: what the functions below return; a test may make its own."""

    run: Callable[[Connection], object]


Script = Step | bytes | Sequence[Step | bytes]
Handler = Callable[[Request], Script]
Headers = Sequence[tuple[str, str | bytes]]


def send(payload: bytes) -> Step:
    """Send *payload* in one piece."""
    return Step(lambda connection: connection.send(payload))


def pause(seconds: float) -> Step:
    """Wait, without reading."""
    return Step(lambda connection: connection.pause(seconds))


def drip(payload: bytes, every: float, size: int = 1) -> Step:
    """Send *payload* in pieces of *size* bytes, *every* seconds."""

    def run(connection: Connection) -> None:
        for start in range(0, len(payload), size):
            connection.send(payload[start : start + size])
            connection.pause(every)

    return Step(run)


def repeat(payload: bytes, every: float = 0.0, times: int | None = None) -> Step:
    """Send *payload* again and again, *every* seconds; None is for ever."""

    def run(connection: Connection) -> None:
        for _ in itertools.count() if times is None else range(times):
            connection.send(payload)
            connection.pause(every)

    return Step(run)


def read_more() -> Step:
    """Wait for further bytes of the client, and drop them: the next request is taken and never answered."""
    return Step(lambda connection: connection.receive())


def hang() -> Step:
    """Say nothing until the client leaves."""
    return Step(lambda connection: connection.hang())


def close() -> Step:
    """End the connection in order: over TLS with a close_notify, then a FIN."""
    return Step(lambda connection: connection.close())


def cut() -> Step:
    """Send a FIN, over TLS without a close_notify."""
    return Step(lambda connection: connection.cut())


def reset() -> Step:
    """Send a RST."""
    return Step(lambda connection: connection.reset())


def drip_handshake(context: ssl.SSLContext, every: float, size: int = 1) -> Step:
    """As *on_connect*: shake hands in TLS, but send *size* bytes *every* seconds; then say nothing."""

    def run(connection: Connection) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            drip(outgoing.read(), every, size).run(connection)
            incoming.write(connection.receive())

    return Step(run)


def answer(
    status: int, reason: str | None = None, headers: Headers = (), body: bytes = b"", *, keep: bool = True
) -> Step:
    """Send a proper answer; to HEAD without its body.

    *reason* None is the status's usual phrase.  Text is sent as UTF-8.  Content-Length is added unless it is given, or
    the status has no body.  Without *keep* the answer says Connection: close, and the connection is closed.
    """
    head = _head(status, reason, _with_framing(status, headers, len(body), keep))

    def run(connection: Connection) -> None:
        asked_by_head = connection.request is not None and connection.request.method == "HEAD"
        connection.send(head if asked_by_head else head + body)
        if not keep:
            connection.close()

    return Step(run)


def redirect(location: str | bytes, status: int = 302, headers: Headers = ()) -> Step:
    """Send a proper redirect to *location*."""
    return answer(status, headers=[("Location", location), *headers])


def _with_framing(status: int, headers: Headers, size: int, keep: bool) -> Headers:
    given = {name.lower() for name, _ in headers}
    framing: list[tuple[str, str | bytes]] = []
    if "content-length" not in given and status >= 200 and status not in (204, 304):
        framing.append(("Content-Length", str(size)))
    if not keep:
        framing.append(("Connection", "close"))
    return [*headers, *framing]


def _head(status: int, reason: str | None, headers: Headers) -> bytes:
    if reason is None:
        reason = HTTPStatus(status).phrase if status in _KNOWN else ""
    lines = [f"HTTP/1.1 {status} {reason}".encode()]
    lines += [name.encode() + b": " + (value.encode() if isinstance(value, str) else value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


_KNOWN = frozenset(HTTPStatus)


class Server(Listener):
    """A server of *routes*: one script or function for every path, or one for each.

    A key of the mapping is a target with its query, or a path, or "/status/*", where the longest such key wins; what
    no key fits is answered 404.  *tls* is a context of server_context(), *on_connect* a script that runs before TLS
    and before anything is read, or a function from the connection's number to one.
    """

    def __init__(
        self,
        routes: Script | Handler | Mapping[str, Script | Handler] = b"",
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        on_connect: Script | Callable[[int], Script] = (),
    ) -> None:
        super().__init__(address=address, port=port)
        self.routes = routes if isinstance(routes, Mapping) else {"*": routes}
        self.tls = tls
        self.on_connect = on_connect

    def url(self, path: str = "/", *, host: str = "", scheme: str = "") -> str:
        """Return the URL of *path*; *host* may be a name of a hosts file, or another address of 127.0.0.0/8."""
        host = host or {"0.0.0.0": "127.0.0.1"}.get(self.address, self.address)
        scheme = scheme or ("https" if self.tls else "http")
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{path}"

    def serve(self, connection: Connection) -> None:
        _run(self.on_connect(connection.number) if callable(self.on_connect) else self.on_connect, connection)
        if self.tls is not None:
            connection.start_tls(self.tls)
        while True:
            request = connection.read_request()
            self.record(request)
            _run(self._script(request), connection)

    def _script(self, request: Request) -> Script:
        route = self.routes.get(request.target) or self.routes.get(request.path)
        if route is None:
            fitting = [key for key in self.routes if key.endswith("*") and request.target.startswith(key[:-1])]
            route = self.routes[max(fitting, key=len)] if fitting else answer(404)
        return route(request) if callable(route) else route


def _run(script: Script, connection: Connection) -> None:
    for step in [script] if isinstance(script, Step | bytes) else script:
        (send(step) if isinstance(step, bytes) else step).run(connection)


@contextlib.contextmanager
def closed_port(address: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """Yield an address and a port that refuse connections, and that nobody else can take meanwhile."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as bound:
        bound.bind((address, 0))  # bound, but not listening
        yield address, bound.getsockname()[1]


@contextlib.contextmanager
def deaf_address(address: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[str, int]]:
    """Yield an address and a port to which connecting neither succeeds nor fails; on Linux only.

    The backlog is filled, and the kernel then drops what asks to connect.  "0.0.0.0" makes the port deaf on all
    addresses of 127.0.0.0/8 at once.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family))
        if os.name != "nt":  # a server may have had the port before
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(0)
        port = listening.getsockname()[1]
        for _ in range(8):  # one is enough, on the kernels seen
            client = stack.enter_context(socket.socket(family))
            client.settimeout(0.15)
            try:
                client.connect((address, port))
            except TimeoutError:
                break
        else:
            raise AssertionError("the backlog does not fill")
        yield address, port
