"""Connections by way of a proxy: HTTP, HTTPS and SOCKS."""

from __future__ import annotations

import importlib.util
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import requests

from .addresses import Address
from .connection import Connection, read_head
from .dial import connect
from .limits import (
    CONNECTING,
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    Limits,
    ProxyFailed,
    TLSFailed,
    is_exhaustion,
)
from .names import NameFailure
from .proxies import LONGEST_IN_SOCKS, Proxy
from .tls import explain_tls, start_tls
from .urls import Url, show_host
from .watchdog import Watchdog
from .wire import ProtocolError

__all__ = ["connect_through", "has_socks"]

Resolve = Callable[[str, int, Limits, float], Sequence[Address]]


def has_socks() -> bool:
    """Whether requests' optional extra for SOCKS is installed."""
    return importlib.util.find_spec("socks") is not None


def connect_through(
    proxy: Proxy, url: Url, resolve: Resolve, context: Callable[[], ssl.SSLContext], limits: Limits, until: float,
    watchdog: Watchdog | None,
) -> tuple[Any, str]:  # fmt: skip
    """Return a socket that leads to *url*'s host, for http to an HTTP proxy itself, and the proxy's IP.

    Raises ProxyFailed where the proxy cannot be reached or will not serve, else as ``dial.connect``.
    """
    host = _host_for(proxy, url, resolve, limits, until) if proxy.is_socks else ""
    try:
        sock, ip = connect(resolve(proxy.host, proxy.port, limits, until), limits, until)
        if proxy.scheme == "https":
            sock = start_tls(sock, proxy.host, context(), limits, until, watchdog)
    except (NameFailure, ConnectFailed, TLSFailed, ConnectionLost) as error:
        if is_exhaustion(error):
            raise
        raise _unreached(proxy, error) from error
    except ConnectTimedOut as error:
        raise _silent(proxy, limits) from error
    if proxy.is_socks:
        return _through_socks(sock, proxy, host, url.port, limits, until), ip
    if url.scheme == "https":
        _ask_for_tunnel(Connection(sock, ip, watchdog), proxy, url, limits, until)
    return sock, ip


def _ask_for_tunnel(connection: Connection, proxy: Proxy, url: Url, limits: Limits, until: float) -> None:
    """Have an HTTP proxy connect to *url*'s host before *until* (RFC 9110, section 9.3.6)."""
    soon = limits._replace(deadline=until)
    place = show_host(f"{url.host}:{url.port}")
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        connection.send("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"), soon)
        reader, head = read_head(connection, soon)
        if head.status == 407:
            raise ProxyFailed("the proxy wants a user name and a password (407)")
        if not 200 <= head.status < 300:
            cause = "refused" if head.status >= 500 else ""  # of 403 and the like the proxy would tell http too
            raise ProxyFailed(f"the proxy refused to connect: {head.status} {head.reason}".rstrip(), cause)
        if not head.whole:
            raise ProxyFailed("the proxy sent no valid answer to CONNECT")
        if reader.rest:
            raise ProxyFailed("the proxy sent something of its own into the tunnel")
    except BaseException as error:
        connection.close()
        _raise_if_exceeded(limits)
        if isinstance(error, ProtocolError):
            raise ProxyFailed("the proxy sent no valid answer to CONNECT") from error
        if isinstance(error, ConnectionLost | requests.Timeout):
            raise ProxyFailed("the proxy gave no answer to CONNECT", "unanswered") from error
        raise


def _host_for(proxy: Proxy, url: Url, resolve: Resolve, limits: Limits, until: float) -> str:
    """Return what a SOCKS proxy is to connect to: a name where it looks it up itself, else an address.

    Raises ProxyFailed for what it cannot be told; socks4 carries IPv4 only.
    """
    if proxy.resolves_names:
        if len(url.host) > LONGEST_IN_SOCKS:
            raise ProxyFailed(f"no SOCKS proxy is told a name of more than {LONGEST_IN_SOCKS} characters")
        return url.host
    addresses = [address.ip for address in resolve(url.host, url.port, limits, until)]
    usable = [ip for ip in addresses if proxy.scheme != "socks4" or ":" not in ip]
    if not usable:
        raise ProxyFailed("the host has IPv6 addresses only, which socks4 does not carry")
    return usable[0]


def _through_socks(sock: Any, proxy: Proxy, host: str, port: int, limits: Limits, until: float) -> Any:
    """Have the SOCKS proxy that *sock* is connected to lead to *host*."""
    import socks

    limits.phase.name = CONNECTING
    tunnel = _open_socks(sock, proxy, until)
    try:
        tunnel.connect((host, port))
        return tunnel
    except OSError as error:  # socks.ProxyError is one
        tunnel.close()
        failure = error
    _raise_if_exceeded(limits)
    if time.monotonic() >= until:
        raise _silent(proxy, limits) from failure
    said = getattr(failure, "socket_err", None)  # PySocks catches its own errors, and wraps them
    kind = type(said if isinstance(said, socks.ProxyError) else failure)
    sentence, cause = {
        socks.GeneralProxyError: ("the SOCKS proxy gave no answer", "unanswered"),
        socks.SOCKS5AuthError: ("the SOCKS proxy wants a user name and a password, or others", ""),
    }.get(kind, ("the SOCKS proxy could not connect, or would not", "refused"))
    raise ProxyFailed(sentence, cause) from failure


def _unreached(proxy: Proxy, error: OSError) -> ProxyFailed:
    if isinstance(error, TLSFailed):
        cause, sentence = explain_tls(error)
        if cause != "handshake_ended":  # it is there
            return ProxyFailed(f"the proxy {proxy.host}:{proxy.port}: {sentence}")
    return ProxyFailed(f"the proxy {proxy.host}:{proxy.port} cannot be reached", "unreachable")


def _silent(proxy: Proxy, limits: Limits) -> ProxyFailed:
    return ProxyFailed(f"the proxy {proxy.host}:{proxy.port} did not answer within {limits.connect:g} s", "unreachable")


def _raise_if_exceeded(limits: Limits) -> None:
    if limits.are_over:
        raise limits.exceeded(CONNECTING)


def _open_socks(sock: Any, proxy: Proxy, until: float) -> Any:
    """Return a socket of PySocks, which speaks the protocol, for what is to end before *until*."""
    import socks

    tunnel = _bounded_socks()(sock.family, fileno=sock.detach())
    kind = socks.SOCKS4 if proxy.scheme.startswith("socks4") else socks.SOCKS5
    names, user, password = proxy.resolves_names, proxy.username or None, proxy.password or None
    tunnel.set_proxy(kind, proxy.host, proxy.port, names, user, password)
    tunnel.settimeout(max(0.001, until - time.monotonic()))
    tunnel.until = until
    return tunnel


@cache
def _bounded_socks() -> Any:
    """Return PySocks' class of sockets, but what one reads is bounded as a whole, not byte by byte."""
    import socks

    class Connected(socket.socket):
        def connect(self, address: Any) -> None:
            pass  # it is

    class Tunnel(socks.socksocket, Connected):  # type: ignore[misc]
        until = 0.0

        def recv_into(self, *arguments: Any) -> int:
            left = self.until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.settimeout(left)
            return super().recv_into(*arguments)

    return Tunnel
