"""One connection: opened within a deadline, to the first of a host's addresses that answers, with TLS and proxies.

Every wait is for at most what is left of its limit: a socket's own timeout begins anew with each byte, so a server
that drips bytes holds a plain client for as long as it likes.
"""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from .wire import Head, HeadReader

if TYPE_CHECKING:
    from .names import Address

__all__ = [
    "ConnectFailed", "ConnectTimedOut", "Connection", "ConnectionLost", "DeadlineExceeded", "Limits", "ProxyFailed",
    "ReadTimedOut", "TLSFailed", "connect", "is_exhaustion", "read_head",
    "start_tls",
]  # fmt: skip

RECEIVE_BYTES = 16 * 1024  # a TLS record
RACE_SECONDS = 0.25  # the next address is tried beside one that is silent for so long: RFC 8305, section 5

CONNECTING = "connecting"
HANDSHAKE = "in the TLS handshake"
SENDING = "sending the request"
WAITING = "waiting for the answer"
HEADERS = "reading the headers of the answer"


# This machine's own limits: out of files, of ports, of buffers, of memory; the last three are Windows' names for them.
_EXHAUSTION = frozenset({
    errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, 10024, 10048, 10055,
})  # fmt: skip


class ConnectFailed(requests.ConnectionError):
    """No address of the host could be connected to; the cause is the OSError of the last one."""


class ConnectTimedOut(requests.ConnectTimeout):
    """The connect timeout ran out; the message says in which phase."""


class TLSFailed(requests.exceptions.SSLError):
    """The TLS handshake failed; the cause is the ssl.SSLError."""


class ProxyFailed(requests.exceptions.ProxyError):
    """The proxy could not be reached, or would not serve."""


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

    def exceeded(self, phase: str) -> DeadlineExceeded:
        """Return the exception for a deadline that passed in *phase*."""
        return DeadlineExceeded(f"the time of {self.total:g} s ran out while {phase}")

    def connect_timed_out(self, phase: str) -> requests.Timeout:
        """Return the exception for a connect budget that ran out in *phase*: the deadline's, if that came first."""
        if time.monotonic() >= self.deadline - 0.001:
            return self.exceeded(phase)
        return ConnectTimedOut(f"no connection within {self.connect:g} s: time ran out while {phase}")


class Connection:
    """A socket that is connected, and what its next use needs to know."""

    __slots__ = ("_timeout", "answer_kind", "idle_since", "ip", "is_tls", "sock", "uses", "waited")

    def __init__(self, sock: Any, ip: str) -> None:
        self.sock = sock
        self.ip = ip
        self.is_tls = isinstance(sock, ssl.SSLSocket)
        self.uses = 0  # answers it has given
        self.waited = 0.0  # seconds it was watched before this use
        self.idle_since = 0.0
        self.answer_kind = ""  # of the last: 'head', 'empty' or 'body'
        self._timeout = -1.0  # as set on the socket

    def send(self, request: bytes, limits: Limits) -> None:
        """Write the whole request.

        Raises ConnectionLost or DeadlineExceeded.
        """
        self._set_timeout(limits, SENDING)
        try:
            self.sock.sendall(request)
        except TimeoutError:
            raise self._timed_out(limits, SENDING) from None
        except OSError as error:
            raise ConnectionLost("the server closed the connection before an answer") from error

    def receive(self, limits: Limits, phase: str = WAITING) -> bytes:
        """Return some bytes, none where the server ended its side.

        Raises ConnectionLost, ReadTimedOut or DeadlineExceeded.
        """
        self._set_timeout(limits, phase)
        try:
            received: bytes = self.sock.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise self._timed_out(limits, phase) from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""  # an end without a TLS goodbye, which many servers leave out
        except OSError as error:
            raise ConnectionLost("the server reset the connection before an answer") from error
        return received

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing, not even its end, comes from the server within *seconds*: only then it may be reused.

        It reads rather than polls: bytes may lie decrypted inside OpenSSL where no poll sees them, and under TLS 1.3
        a readable socket may hold a session ticket only.
        """
        self._timeout = -1.0
        try:
            self.sock.settimeout(seconds)
            self.sock.recv(1)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close at once, without a TLS goodbye."""
        with suppress(OSError):  # it is as closed as it will be
            self.sock.close()

    def _set_timeout(self, limits: Limits, phase: str) -> None:
        left = limits.deadline - time.monotonic()
        if left <= 0:
            raise limits.exceeded(phase)
        timeout = min(limits.read, left)
        if timeout != self._timeout:  # a system call
            self.sock.settimeout(timeout)
            self._timeout = timeout

    def _timed_out(self, limits: Limits, phase: str) -> requests.Timeout:
        if time.monotonic() >= limits.deadline - 0.001:
            return limits.exceeded(phase)
        return ReadTimedOut(f"the server was silent for {limits.read:g} s while {phase}")


def connect(addresses: Sequence[Address], limits: Limits, until: float) -> tuple[socket.socket, str]:
    """Return a socket connected to one of *addresses* before *until* (monotonic), and the IP.

    Raises ConnectFailed, ConnectTimedOut or DeadlineExceeded, and OSError where this machine has no socket to give.
    """
    sock, ip = _connect_one(addresses[0], limits, until) if len(addresses) == 1 else _race(addresses, limits, until)
    with suppress(OSError):  # macOS says so of a connection that is gone already; the next use tells
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, ip


def _connect_one(address: Address, limits: Limits, until: float) -> tuple[socket.socket, str]:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(max(0.001, until - time.monotonic()))
        sock.connect(address.sockaddr)
    except TimeoutError as error:
        sock.close()
        if error.errno:  # the system gave up before we did: ETIMEDOUT
            raise ConnectTimedOut("the connection attempt got no answer") from error
        raise limits.connect_timed_out(CONNECTING) from None
    except OSError as error:
        sock.close()
        raise ConnectFailed("the connection failed") from error
    return sock, address.ip


def _race(addresses: Sequence[Address], limits: Limits, until: float) -> tuple[socket.socket, str]:
    """Begin with one address, and with the next when it failed or stays silent: the first connected one wins.

    Source: RFC 8305 ("happy eyeballs"), section 5.
    """
    waiting = list(reversed(addresses))
    failure: OSError | None = None
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                if waiting:
                    failure = _begin(selector, waiting.pop()) or failure
                left = until - time.monotonic()
                if left <= 0:
                    raise limits.connect_timed_out(CONNECTING)
                if not selector.get_map():
                    continue
                for key, _ in selector.select(min(left, RACE_SECONDS) if waiting else left):
                    code = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # type: ignore[union-attr]
                    selector.unregister(key.fileobj)
                    if code == 0:
                        return key.fileobj, key.data  # type: ignore[return-value]
                    key.fileobj.close()  # type: ignore[union-attr]
                    failure = OSError(code, "connect")
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise ConnectFailed("no address of the host could be connected to") from failure


def _begin(selector: selectors.BaseSelector, address: Address) -> OSError | None:
    """Start to connect; return what failed at once (no route, say)."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(address.sockaddr)
    except BlockingIOError:
        pass  # under way
    except OSError as error:
        sock.close()
        return error
    # Windows tells a failed attempt by an exceptional condition, which its selector reports as writable.
    selector.register(sock, selectors.EVENT_WRITE, address.ip)
    return None


def start_tls(sock: Any, host: str, context: ssl.SSLContext, limits: Limits, until: float) -> Any:
    """Return *sock* after a TLS handshake for *host* that ended before *until*; it is closed where that failed.

    Raises TLSFailed, ConnectionLost, ConnectTimedOut or DeadlineExceeded.
    """
    name = host.partition("%")[0].removesuffix(".")
    try:
        sock.settimeout(max(0.001, until - time.monotonic()))
        if isinstance(sock, ssl.SSLSocket):
            return _tls_in_tls(sock, name, context)
        wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        sock = wrapped  # it owns the file descriptor now
        wrapped.do_handshake()  # bounded as a whole, inside the ssl module
    except TimeoutError:
        sock.close()
        raise limits.connect_timed_out(HANDSHAKE) from None
    except ssl.SSLError as error:
        sock.close()
        raise TLSFailed("the TLS handshake failed") from error
    except (OSError, ValueError) as error:
        sock.close()
        if isinstance(error, ValueError):
            raise TLSFailed("the TLS handshake failed") from error
        raise ConnectionLost("the server reset the connection during the TLS handshake") from error
    return wrapped


def _tls_in_tls(sock: ssl.SSLSocket, name: str, context: ssl.SSLContext) -> Any:
    """For https through an https proxy, which the ssl module cannot do on a socket."""
    from urllib3.util.ssltransport import SSLTransport

    return SSLTransport(sock, context, server_hostname=name)


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
            raise fault or ConnectionLost(f"the server closed the connection {where}")
        if reader.began:
            seen = reader.status_seen
            phase = f"{HEADERS}, which began with status {seen}" if seen else HEADERS


def is_exhaustion(error: BaseException) -> bool:
    """Whether an error comes from this machine's own limits, wherever in its chain that is said.

    Out of files was seen as a failed look-up and inside an ssl.SSLError.
    """
    part: BaseException | None = error
    while part is not None:
        if isinstance(part, OSError) and part.errno in _EXHAUSTION and not isinstance(part, requests.RequestException):
            return True
        part = part.__cause__ or part.__context__
    return False
