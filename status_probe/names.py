"""Names to addresses: a hosts file, a deadline, a cache, and the guard of ``--public-only``.

``getaddrinfo`` can be neither interrupted nor given a time limit, so it runs on daemon threads of its own and whoever
wants the answer waits for as long as it may.  All who want the same name wait for one look-up, and what it found, or
that it found nothing, is kept for a minute: a list of a thousand URLs on a dead name costs one question.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .addresses import Address, BlockedAddress, in_turn, is_literal, is_public

__all__ = ["NameFailure", "Resolver"]

TEMPORARY_SECONDS = 5.0  # how long a passing failure is remembered: a later retry asks anew
IDLE_SECONDS = 3.0  # a helper thread without work ends after this
CACHED_HOSTS = 20_000  # some 600 bytes each; a queue of hosts in turn comes back to one long before that

# Windows calls EAI_NODATA the same as EAI_NONAME; some systems have no EAI_NODATA.
_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), getattr(socket, "EAI_ADDRFAMILY", 0)}
_IS_ODD = re.compile(r"(?:[^.]*\.)*-|.*[^a-z0-9._-]").match  # glibc asks no name server for such a name
_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE}

GetAddrInfo = Callable[..., Sequence[tuple[Any, ...]]]


class NameFailure(OSError):  # noqa: N818
    """A name has no address.

    *cause* says why: "unknown"; "failed", where nothing is known of it; "try_again", in a moment; or "timeout".
    """

    def __init__(self, message: str, cause: str = "unknown") -> None:
        super().__init__(message)
        self.cause = cause


class _Found(NamedTuple):
    """What a host led to; without addresses, *failure* makes the exception to raise, a new one for each who asks."""

    expires: float
    addresses: tuple[Address, ...]  # with the port 0
    failure: Callable[[], OSError] | None = None


class _LookUp:
    """One question under way, shared by all who wait for its answer."""

    __slots__ = ("begun", "done", "fault", "found", "host", "since")

    def __init__(self, host: str, since: float) -> None:
        self.host = host
        self.since = since  # when it was first wanted
        self.begun = False  # whether a helper has taken it
        self.done = threading.Event()
        self.found: _Found | None = None
        self.fault: Exception | None = None  # of this machine, so it is not kept


class Resolver:
    """Finds the addresses of hosts; one for a run, shared by its threads.

    *hosts* are IPs by name and win over any look-up.  With *public_only* an address that is not globally reachable is
    never handed out, wherever it came from.  *ttl* is how long, in seconds, an answer or a failure is kept; a passing
    failure is for TEMPORARY_SECONDS.  *max_lookups* should be several times the threads that call, which do not wait
    for a look-up to its end: further look-ups wait, and those whose time is up before they were begun are this
    machine's fault, no name's.
    """

    def __init__(
        self,
        hosts: Mapping[str, Sequence[str]] | None = None,
        *,
        public_only: bool = False,
        ttl: float = 60.0,
        max_lookups: int = 256,
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts or {}
        self._public_only = public_only
        self._ttl = ttl
        self._getaddrinfo = getaddrinfo
        self._clock = clock
        self._helpers = _Helpers(max_lookups)
        self._lock = threading.Lock()  # guards the changes of the next two
        self._under_way: dict[str, _LookUp] = {}
        self._cache: dict[str, _Found] = {}  # oldest first

    def resolve(self, host: str, port: int, timeout: float) -> tuple[Address, ...]:
        """Return the addresses of *host*, families in turn, after at most *timeout* seconds.

        *host* is as ``parse_url`` gives it.

        Raises NameFailure, BlockedAddress, or another OSError where this machine is at its limits.
        Source for the order: RFC 8305, section 4.
        """
        found = self._cache.get(host)
        if found is None or found.expires <= self._clock():
            found = self._find(host, timeout)
        if found.failure:
            raise found.failure()
        return tuple([
            Address(family, ip, (sockaddr[0], port, *sockaddr[2:])) for family, ip, sockaddr in found.addresses
        ])

    def forget(self, host: str) -> None:
        """Look *host* up anew when it is wanted next."""
        with self._lock:
            self._cache.pop(host, None)

    def close(self) -> None:
        """Let the helper threads end; those that wait for a name server end when it answers."""
        self._helpers.close()

    def _find(self, host: str, timeout: float) -> _Found:
        name = host.removesuffix(".")
        ips = (host,) if is_literal(host) else self._hosts.get(name)
        if not ips and (name.endswith(".localhost") or host == "localhost."):  # RFC 6761, section 6.3; not all know
            ips = ("127.0.0.1", "::1")
        if ips:
            return self._judge(host, [_literal_address(ip) for ip in ips])
        return self._wait(self._look_up(host), timeout)

    def _look_up(self, host: str) -> _LookUp:
        """Return the look-up under way for *host*, begun now if there is none."""
        with self._lock:
            look_up = self._under_way.get(host)
            if look_up is None:
                look_up = _LookUp(host, self._clock())
                found = self._cache.get(host)
                if found is not None and found.expires > look_up.since:  # found since the caller looked
                    look_up.found = found
                    look_up.done.set()
                else:
                    self._helpers.submit(lambda: self._run(look_up))
                    self._under_way[host] = look_up
        return look_up

    def _wait(self, look_up: _LookUp, timeout: float) -> _Found:
        """Wait for the answer, but nobody waits for what has been silent for twice its time.

        So a silent name server holds up the first URLs of its host and the retries of those, not all of them.
        """
        waited = self._clock() - look_up.since
        if not look_up.done.wait(max(0.0, min(timeout, 2 * timeout - waited))):
            if not look_up.begun and self._helpers.are_all_busy:
                raise OSError(errno.ENOBUFS, "too many name look-ups are under way")
            raise NameFailure(
                f"the name server did not answer within {max(0.01, round(max(timeout, waited), 2)):g} s", "timeout"
            )
        if look_up.fault:
            raise look_up.fault
        assert look_up.found
        return look_up.found

    def _run(self, look_up: _LookUp) -> None:
        """Ask the system, on a helper thread."""
        look_up.begun = True
        try:
            look_up.found = self._ask(look_up.host)
        except Exception as fault:
            look_up.fault = fault  # the thread that asked raises it
        with self._lock:
            del self._under_way[look_up.host]
            if look_up.found:
                self._keep(look_up.host, look_up.found)
        look_up.done.set()

    def _ask(self, host: str) -> _Found:
        try:
            rows = self._getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            _raise_if_out_of_files()
            return self._failed(host, error.errno)
        except UnicodeError:  # the codec of getaddrinfo is stricter about labels than we are
            return self._failed(host, socket.EAI_NONAME)
        wanted = (socket.AF_INET, socket.AF_INET6)
        addresses = [Address(int(row[0]), row[4][0], row[4]) for row in rows if row[0] in wanted]
        return self._judge(host, addresses) if addresses else self._failed(host, socket.EAI_NONAME)

    def _failed(self, host: str, code: int | None) -> _Found:
        cause, message = "failed", f"the name server failed for the name '{host}'"
        if code == socket.EAI_AGAIN:
            cause, message = "try_again", f"the name server said to try again for the name '{host}'"
        elif code in _UNKNOWN and not _IS_ODD(host):
            cause, message = "unknown", f"the name '{host}' is unknown"
        elif code in _UNKNOWN:
            message = f"the name '{host}' is unknown, or this system looks up none like it"
        expires = self._clock() + (min(TEMPORARY_SECONDS, self._ttl) if cause == "try_again" else self._ttl)
        return _Found(expires, (), lambda: NameFailure(message, cause))

    def _judge(self, host: str, addresses: list[Address]) -> _Found:
        """Return what may be connected to."""
        expires = self._clock() + self._ttl
        allowed = [address for address in addresses if not self._public_only or is_public(address.ip)]
        if not allowed:
            return _Found(expires, (), lambda: BlockedAddress(host, addresses[0].ip))
        return _Found(expires, in_turn(allowed))

    def _keep(self, host: str, found: _Found) -> None:
        self._cache.pop(host, None)  # so that it becomes the newest
        while len(self._cache) >= CACHED_HOSTS:
            del self._cache[next(iter(self._cache))]
        self._cache[host] = found


class _Helpers:
    """Daemon threads that call what is submitted: as many as are needed, up to a limit, ended when idle.

    No ThreadPoolExecutor: it waits for its threads when the interpreter exits, and these may hang.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()  # guards all; notified of a call, and of the end
        self._threads = 0  # alive
        self._waiting = 0  # of these, in wait(), also if notified already
        self._is_short = False  # whether one that was needed could not be started
        self._closed = False

    def submit(self, call: Callable[[], None]) -> None:
        """Have *call* called soon; it must not raise.

        Raises OSError if there is no thread and none can be started.
        """
        with self._changed:
            if len(self._calls) >= self._waiting and self._threads < self._limit:
                self._start_one()
            self._calls.append(call)
            self._changed.notify()

    @property
    def are_all_busy(self) -> bool:
        """Whether what is submitted now waits until a call has ended."""
        with self._changed:
            return (self._threads >= self._limit or self._is_short) and not self._waiting

    def close(self) -> None:
        """End the idle threads now, the others when they become idle."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start_one(self) -> None:
        try:
            threading.Thread(target=self._serve, name="name look-up", daemon=True).start()
        except RuntimeError as error:  # out of threads; those there are will come to it
            self._is_short = True
            if not self._threads:
                raise OSError(errno.EAGAIN, "no thread can be started for a name look-up") from error
        else:
            self._is_short = False
            self._threads += 1

    def _serve(self) -> None:
        while True:
            with self._changed:
                call = self._next_call()
                if call is None:
                    self._threads -= 1
                    return
            call()

    def _next_call(self) -> Callable[[], None] | None:
        """Return the oldest call, or None if none comes for a while."""
        if not self._calls and not self._closed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._calls or self._closed, IDLE_SECONDS)
            self._waiting -= 1
        return self._calls.popleft() if self._calls else None


def _literal_address(text: str) -> Address:
    if ":" not in text:
        return Address(int(socket.AF_INET), text, (text, 0))
    ip, _, zone = text.partition("%")
    try:
        scope = socket.if_nametoindex(zone) if zone and not zone.isdecimal() else int(zone or 0)
    except OSError as error:
        raise NameFailure(f"this machine has no network interface '{zone}'") from error
    return Address(int(socket.AF_INET6), ip, (ip, 0, 0, scope))


def _raise_if_out_of_files() -> None:
    """Raise the OSError of a machine out of files: glibc then calls each name unknown, or says to try again."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in _OUT_OF_FILES:
            raise
