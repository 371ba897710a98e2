"""From a URL to a connection: its name looked up, connected to or tunnelled, under TLS where that is wanted."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from .addresses import Address
from .connection import Connection
from .dial import connect
from .limits import (
    LOOK_UP,
    SYSTEM_WAITS,
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    DeadlineExceeded,
    Limits,
    NotTried,
    TLSFailed,
    is_exhaustion,
)
from .names import NameFailure, Resolver
from .proxies import Proxy
from .records import Phase
from .tls import is_matched_by_us, start_tls
from .tunnels import connect_through
from .unreachable import ATTEMPTS, Unreachable
from .urls import Url
from .watchdog import Watchdog

__all__ = ["Opener"]


class Opener:
    """Opens connections, for all threads of a run; *context* makes the one TLS context when it is first needed."""

    def __init__(self, resolver: Resolver, context: Callable[[], ssl.SSLContext]) -> None:
        self._resolver = resolver
        self._unreachable = Unreachable()
        self._make_context = context
        self._contexts: dict[bool, ssl.SSLContext] = {}  # by whether we match the host's name, not OpenSSL
        self._context_lock = threading.Lock()  # so that one context is loaded, not one by each thread
        self._watchdog = Watchdog() if SYSTEM_WAITS else None
        self._count_lock = threading.Lock()
        self.handshakes = 0  # of TLS, begun

    def open(
        self, url: Url, proxy: Proxy | None, limits: Limits, until: float, context: ssl.SSLContext | None = None
    ) -> Connection:
        """Return a connection for *url* that is ready before *until* (monotonic), under TLS by *context* or the run's.

        Raises what ``failures`` classifies.
        """
        if proxy is None:
            return self._open_direct(url, limits, until, context)
        sock, ip = connect_through(proxy, url, self._resolve, self.load_context, limits, until, self._watchdog)
        return self._connection(sock, ip, url, limits, until, context)

    def can_reach(self, host: str, port: int, proxy: Proxy | None, seconds: float) -> bool:
        """Whether *proxy*, or without one the host, can be connected to within *seconds*; nothing is asked.

        A host that refuses was reached, a proxy that does is down.
        """
        place = (proxy.host, proxy.port) if proxy else (host, port)
        until = time.monotonic() + seconds
        limits = Limits(seconds, seconds, seconds, until, Phase())
        try:
            self._resolver.forget(place[0])
            sock, _ = connect(self._resolver.resolve(*place, seconds), limits, until)
        except requests.ConnectionError as error:
            return proxy is None and isinstance(error.__cause__, ConnectionRefusedError)
        except OSError:
            return False
        sock.close()
        return True

    def close(self) -> None:
        """Let the look-up threads end."""
        self._resolver.close()

    def load_context(self, host: str = "") -> ssl.SSLContext:
        """Return the TLS context for *host*: the same for all, but for names that OpenSSL does not match.

        Raises ValueError if its files cannot be used.
        """
        is_ours = is_matched_by_us(host)
        context = self._contexts.get(is_ours)
        if context:
            return context  # mostly
        with self._context_lock:
            if is_ours not in self._contexts:
                self._contexts[is_ours] = self._new_context(is_ours)
            return self._contexts[is_ours]

    def _new_context(self, is_ours: bool) -> ssl.SSLContext:
        try:
            context = self._make_context()
        except ValueError:
            if False not in self._contexts:
                raise
            return self._contexts[False]  # a file that could be read once only: the stricter one, then
        context.check_hostname = context.check_hostname and not is_ours
        return context

    def _open_direct(self, url: Url, limits: Limits, until: float, context: ssl.SSLContext | None) -> Connection:
        """Open a connection to the host itself, unless it is known to answer no attempt at that."""
        place = (url.host, url.port)
        alone = self._unreachable.left_alone(place, limits.connect)
        if alone:
            said = f"not tried: the host did not answer {ATTEMPTS} attempts in a row, the last {alone.age:.0f} s ago"
            raise NotTried(said, alone.again_in)
        addresses, began = self._resolve(*place, limits, until), time.monotonic()
        try:
            sock, ip = connect(addresses, limits, until)
            connection = self._connection(sock, ip, url, limits, until, context)
        except (ConnectTimedOut, DeadlineExceeded):
            if time.monotonic() - began > 0.5 * min(limits.connect, limits.total):  # it had its time
                self._unreachable.timed_out(place, began)
            raise
        except (ConnectFailed, TLSFailed, ConnectionLost) as error:
            if not is_exhaustion(error):
                self._unreachable.answered(place)
            if isinstance(error, ConnectFailed):
                error.host_lived = self._unreachable.has_lived(place)
            raise
        self._unreachable.connected(place)
        return connection

    def _connection(
        self, sock: Any, ip: str, url: Url, limits: Limits, until: float, context: ssl.SSLContext | None
    ) -> Connection:
        """Return a connection over *sock*, under TLS where that is wanted."""
        limits.phase.ip = ip
        if url.scheme == "https":
            with self._count_lock:
                self.handshakes += 1
            context = context or self.load_context(url.host)
            sock = start_tls(sock, url.host, context, limits, until, self._watchdog)
        return Connection(sock, ip, self._watchdog)

    def _resolve(self, host: str, port: int, limits: Limits, until: float) -> tuple[Address, ...]:
        limits.phase.name = LOOK_UP
        left = until - time.monotonic()
        if left <= 0:
            raise limits.connect_timed_out(LOOK_UP)
        try:
            return self._resolver.resolve(host, port, left)
        except NameFailure as failure:
            if failure.cause == "timeout" and limits.are_over:
                raise limits.exceeded(LOOK_UP) from failure
            raise
