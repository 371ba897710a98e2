"""From a host's addresses to a socket: connected to the first of them that answers, within one time for all."""

from __future__ import annotations

import errno
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from .addresses import Address
from .limits import (
    CONNECTING,
    LONGEST_SYSTEM_WAIT,
    SYSTEM_WAITS,
    ConnectFailed,
    ConnectTimedOut,
    Limits,
    timeval,
)

__all__ = ["connect"]

RACE_SECONDS = 0.25  # the next address is tried beside one that is silent for so long: RFC 8305, section 5

# Where the system's own time limit holds for connecting, that is two system calls, not five: socket(7), SO_SNDTIMEO.
# A limit that is over shows as EINPROGRESS.
SYSTEM_CONNECTS = SYSTEM_WAITS and sys.platform == "linux"

# What says of an address that there is no way to it from here.
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def connect(addresses: Sequence[Address], limits: Limits, until: float) -> tuple[socket.socket, str]:
    """Return a socket connected to one of *addresses* before *until* (monotonic), and the IP.

    Raises ConnectFailed, ConnectTimedOut or DeadlineExceeded, and OSError where this machine has no socket to give.
    """
    limits.phase.name = CONNECTING
    sock, ip = _connect_one(addresses[0], limits, until) if len(addresses) == 1 else _race(addresses, limits, until)
    with suppress(OSError):  # macOS says so of a connection that is gone already; the next use tells
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, ip


def _connect_one(address: Address, limits: Limits, until: float) -> tuple[socket.socket, str]:
    sock = _open_socket(address)
    if isinstance(sock, OSError):
        raise ConnectFailed("the connection failed") from sock
    try:
        seconds = max(0.001, until - time.monotonic())
        if SYSTEM_CONNECTS and seconds <= LONGEST_SYSTEM_WAIT:
            if sock.gettimeout() is not None:  # of socket.setdefaulttimeout()
                sock.settimeout(None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(seconds))
        else:
            sock.settimeout(seconds)
        sock.connect(address.sockaddr)
    except (TimeoutError, BlockingIOError) as error:
        sock.close()
        if error.errno == errno.ETIMEDOUT:  # the system gave up before we did
            raise ConnectTimedOut("the connection attempt got no answer") from error
        raise limits.connect_timed_out(CONNECTING) from None
    except OSError as error:
        sock.close()
        raise ConnectFailed("the connection failed") from _no_address_of_ours(error, address)
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
                    failure = _more_telling(failure, _begin(selector, waiting.pop()))
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
                    failure = _more_telling(failure, OSError(code, "connect"))
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise ConnectFailed("no address of the host could be connected to") from failure


def _open_socket(address: Address) -> socket.socket | OSError:
    """Return a socket for *address*, or the error of a machine that has no such family: no IPv6, say."""
    try:
        return socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in _NO_WAY:
            return error
        raise


def _more_telling(failure: OSError | None, other: OSError | None) -> OSError | None:
    """Return the one to tell of: that IPv6 leads nowhere from here says less than what IPv4 met."""
    if failure is None or other is None:
        return failure or other
    return failure if other.errno in _NO_WAY else other


def _no_address_of_ours(error: OSError, address: Address) -> OSError:
    """Without IPv6 some systems have no address to connect from: that is no want of ports, as it is for IPv4."""
    if error.errno == errno.EADDRNOTAVAIL and address.family == socket.AF_INET6:
        return OSError(errno.ENETUNREACH, "no IPv6")
    return error


def _begin(selector: selectors.BaseSelector, address: Address) -> OSError | None:
    """Start to connect; return what failed at once (no route, say)."""
    sock = _open_socket(address)
    if isinstance(sock, OSError):
        return sock
    sock.setblocking(False)
    try:
        sock.connect(address.sockaddr)
    except BlockingIOError:
        pass  # under way
    except OSError as error:
        sock.close()
        return _no_address_of_ours(error, address)
    # Windows tells a failed attempt by an exceptional condition, which its selector reports as writable.
    selector.register(sock, selectors.EVENT_WRITE, address.ip)
    return None
