"""One request, one answer: which connection it goes over, and whether that may be used again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from . import wire
from .answer import Answer
from .connection import Connection, read_head
from .issuers import Issuers
from .limits import ConnectionLost, Limits, ProxyFailed, ReadTimedOut, TLSFailed, is_exhaustion
from .opener import Opener
from .pool import Pool
from .proxies import DIRECT, Proxy, ProxyRules
from .tls import lacks_issuer
from .urls import Url, host_key

__all__ = ["StaleConnection", "Transport"]

# A server that answered HEAD and then waits for a reader of the body it never sends hears no other request: until the
# origin took one on such a connection, this is how long its answer is awaited there, in seconds, before a new one.
DEAF_SECONDS = 0.25
DRAIN_SECONDS = 0.5  # for the rest of a small body; after it a new connection is the cheaper one
DOUBT_SECONDS = 0.03  # for the true answer to show behind a stray one: it is on its way already


class StaleConnection(requests.ConnectionError):
    """A connection used before gave no answer that can be trusted: ask once more, on a new one."""


class Transport:
    """Asks one URL for one answer, over connections that are kept while that is safe.

    *opener* makes new ones; *max_idle* are kept at most; *issuers* finds certificates that servers leave out.
    *own_lines* are the header lines of requests that no URL was listed for.
    """

    def __init__(
        self,
        opener: Opener,
        proxies: ProxyRules = DIRECT,
        max_idle: int = 256,
        issuers: Issuers | None = None,
        own_lines: str = "",
    ) -> None:
        self.opener = opener
        self._issuers = issuers
        self._own_lines = own_lines
        self._proxies = proxies
        self._pool = Pool(max_idle)
        self.is_wanted: Callable[[str], bool] = lambda _: True  # whether more URLs of a host, by its key, are listed

    def ask(self, method: str, url: Url, header_lines: str, limits: Limits, *, anew: bool = False) -> Answer:
        """Send a request and return its final answer.

        *header_lines* follow the Host line, each with its CRLF.  *anew* asks for a new connection.

        Raises what ``failures`` classifies; and StaleConnection where the answer on a connection used before is odd in
        any way, since the server may have closed it, or left something on it.  To ask anew is a second request: its
        time is for the caller to say.
        """
        proxy = self._proxies.proxy_for(url)
        origin = (*url.origin, proxy)
        request = _request_bytes(method, url, header_lines, proxy)
        kept = None if anew else self._pool.take(origin)
        if kept is not None:
            answer = self._ask_again(kept, request, method, origin, limits)
        else:
            answer = self._ask_on(self._open(url, proxy, limits), request, method, origin, limits)
            if not self._pool.knows(origin, answer.shape):
                self._pool.vouch(origin, answer.shape)
        if proxy is not None and not proxy.is_socks and answer.head.status == 407 and url.scheme == "http":
            answer.connection.close()
            raise ProxyFailed("the proxy wants a user name and a password (407)")
        return answer

    def finish(self, answer: Answer, limits: Limits) -> None:
        """Read the rest of a small body, so that the connection can be kept; close it where that is not safe or cheap.

        Call it once for each answer; it takes DRAIN_SECONDS at most.
        """
        if not answer.head.reusable(answer.method):
            answer.connection.close()
        elif answer.body_length == len(answer.rest):  # it came along with the head, and nothing else: mostly
            self._keep(answer)
        elif answer.has_surplus:
            answer.connection.close()
            self._pool.distrust(answer.origin)
        elif not answer.is_whole and not self._is_body_worth_it(answer, limits):
            answer.connection.close()
        elif self._read_to_end(answer, limits):
            self._keep(answer)

    def read_body(self, answer: Answer, limits: Limits) -> bytes:
        """Return the content, at most MAX_BODY_BYTES of it, and close the connection.

        Raises ReadTimedOut or DeadlineExceeded.
        """
        length = answer.body_length
        wanted = wire.MAX_BODY_BYTES if length is None else min(length, wire.MAX_BODY_BYTES)
        body = answer.rest
        try:
            while len(body) < wanted and not (answer.is_chunked and wire.chunked_end(body) is not None):
                received = answer.connection.receive(limits)
                if not received:
                    break
                body += received
        except (ConnectionLost, wire.ProtocolError):
            pass  # what came is what there is
        finally:
            answer.connection.close()
        return (wire.dechunk(body) if answer.is_chunked else body)[:wanted]

    def can_reach(self, host: str, port: int, seconds: float) -> bool:
        """Whether there is a way to *host*, direct or to its proxy, within *seconds*; nothing is asked."""
        return any(self.opener.can_reach(host, port, proxy, seconds) for proxy in self._proxies.ways_to(host, port))

    def close(self) -> None:
        """Close the idle connections and let the look-up threads end."""
        self._pool.close()
        self.opener.close()

    def _ask_again(
        self, kept: Connection, request: bytes, method: str, origin: tuple[Any, ...], limits: Limits
    ) -> Answer:
        """Ask on a connection used before."""
        before = kept.shape
        in_doubt = before is not None and before[0] == "HEAD" and not self._pool.has_listened(origin, before)
        patience = limits._replace(read=min(limits.read, DEAF_SECONDS)) if in_doubt else limits
        try:
            answer = self._ask_on(kept, request, method, origin, patience)
        except ConnectionLost as lost:
            raise StaleConnection("it was closed meanwhile, as any server may") from lost
        except wire.ProtocolError as error:
            self._pool.distrust(origin)
            raise StaleConnection("what came is no answer") from error
        except ReadTimedOut:  # not asked again at once, which would double the wait; but the next try is on a new one
            if in_doubt:
                self._pool.distrust(origin)
                raise StaleConnection("it is deaf") from None
            self._pool.drop(origin)
            raise
        if answer.head.status == 408 or not answer.head.whole or answer.has_surplus:
            kept.close()
            if answer.head.status != 408:
                self._pool.distrust(origin)
            raise StaleConnection(f"an odd answer came, with status {answer.head.status}")
        if in_doubt and before is not None:
            self._pool.listened(origin, before)
        if self._pool.knows(origin, answer.shape):
            return answer
        if not kept.is_rested:
            answer = self._look_twice(answer, limits)
        self._pool.vouch(origin, answer.shape)
        return answer

    def _look_twice(self, answer: Answer, limits: Limits) -> Answer:
        """Return an answer that may belong to the request before, unless another one follows it.

        Over TLS a stray answer and the true one come as two records, and are never received as one.
        """
        until = min(limits.deadline, time.monotonic() + DOUBT_SECONDS)
        connection, body, began = answer.connection, answer.rest, time.monotonic()
        while not _holds_answer(body) and len(body) <= wire.MAX_BODY_BYTES and (left := until - time.monotonic()) > 0:
            received = connection.listen(left)
            if not received:
                break
            body += received
        connection.waited += time.monotonic() - began
        answer = answer._replace(rest=body)
        if not answer.has_surplus and not _holds_answer(body):
            return answer
        connection.close()
        self._pool.distrust(answer.origin)
        raise StaleConnection("two answers came")

    def _ask_on(
        self, connection: Connection, request: bytes, method: str, origin: tuple[Any, ...], limits: Limits
    ) -> Answer:
        limits.phase.ip = connection.ip
        try:
            connection_fault = _send(connection, request, limits)
            reader, head = read_head(connection, limits, connection_fault)
        except BaseException:
            connection.close()
            raise
        return Answer(head, connection, reader.rest, origin, method, head.body_length(method))

    def _keep(self, answer: Answer) -> None:
        answer.connection.shape = answer.shape
        self._pool.put(answer.origin, answer.connection)

    def _is_body_worth_it(self, answer: Answer, limits: Limits) -> bool:
        """Whether to wait for the rest of a body: not for a redirect's, nor where nothing more will be asked.

        What is listed of the host that led here will mostly be led here, too.
        """
        _, host, port, _ = answer.origin
        places = {host_key(host, port), limits.phase.home} - {""}
        return answer.head.status // 100 != 3 and any(map(self.is_wanted, places))

    def _read_to_end(self, answer: Answer, limits: Limits) -> bool:
        """Read to the end of the body; False, and the connection closed, where that does not come soon."""
        body, end = answer.rest, answer.body_length
        soon = limits._replace(deadline=min(limits.deadline, time.monotonic() + DRAIN_SECONDS))
        try:
            while end is None or len(body) < end:
                if answer.is_chunked:
                    end = wire.chunked_end(body)
                if end is None or len(body) < end:
                    if (end or len(body)) > wire.MAX_BODY_BYTES:
                        break
                    received = answer.connection.receive(soon)
                    if not received:
                        break
                    body += received
        except (OSError, wire.ProtocolError):  # all of requests' are OSErrors
            end = None  # the answer is had; only the connection is not
        if end == len(body):
            return True
        answer.connection.close()
        if end is not None and len(body) > end:
            self._pool.distrust(answer.origin)
        return False

    def _open(self, url: Url, proxy: Proxy | None, limits: Limits) -> Connection:
        """Open a connection; where this machine is at its limits, once more without the idle ones.

        Where the server leaves out its issuer's certificate, with that.
        """
        if url.scheme == "https":
            self.opener.load_context(url.host)  # once a run, and its time is none of the host's
        until = limits.connect_until()
        try:
            return self.opener.open(url, proxy, limits, until)
        except OSError as error:
            if self._issuers and isinstance(error, TLSFailed) and lacks_issuer(error):
                connection = self._issuers.connect(url, proxy, limits, self._fetch)
                if connection:
                    return connection
            if not is_exhaustion(error) or not self._pool.clear():
                raise
        return self.opener.open(url, proxy, limits, until)

    def _fetch(self, url: Url, limits: Limits) -> bytes:
        """Return what is at *url*, nothing where that is no file."""
        answer = self.ask("GET", url, self._own_lines, limits, anew=True)
        body = self.read_body(answer, limits)
        return body if answer.head.status == 200 else b""


def _holds_answer(body: bytes) -> bool:
    return body.startswith(b"HTTP/1.")


def _request_bytes(method: str, url: Url, header_lines: str, proxy: Proxy | None) -> bytes:
    target = url.target
    if proxy is not None and not proxy.is_socks and url.scheme == "http":  # absolute-form: RFC 9112, section 3.2.2
        target = f"http://{url.authority}{target}"
        if proxy.authorization:
            header_lines += f"Proxy-Authorization: {proxy.authorization}\r\n"
    host_line = "" if header_lines.startswith("Host:") else f"Host: {url.authority}\r\n"
    return f"{method} {target} HTTP/1.1\r\n{host_line}{header_lines}\r\n".encode("utf-8", "surrogateescape")


def _send(connection: Connection, request: bytes, limits: Limits) -> ConnectionLost | None:
    """Send; a loss is returned, not raised: the server may have answered before it closed."""
    try:
        connection.send(request, limits)
    except ConnectionLost as lost:
        return lost
    return None
