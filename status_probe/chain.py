"""What is known of an attempt on its way: the answers so far, and the time they took."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .addresses import is_literal
from .failures import Failure
from .limits import Limits
from .records import Hop, Outcome, Phase, outcome_of
from .urls import Url
from .wire import Head

if TYPE_CHECKING:
    from .cookies import ChainCookies

__all__ = ["Chain", "Stopwatch"]

Place = tuple[str, str | None, str]  # what is asked: address, credentials, cookies

_MAX_AGE = re.compile(r'max-age\s*=\s*"?([0-9]+)', re.IGNORECASE).search


class Stopwatch:
    """The time of an attempt, which does not run while its next host may not be asked yet."""

    __slots__ = ("began", "limits")

    def __init__(self, connect: float, read: float, total: float, phase: Phase) -> None:
        self.began = time.perf_counter()  # Windows' monotonic clock ticks every 16 ms, before Python 3.13
        self.limits = Limits(connect, read, total, time.monotonic() + total, phase)

    @property
    def spent(self) -> float:
        """Seconds of the attempt so far."""
        return time.perf_counter() - self.began

    def turn(self, url: Url) -> Iterator[str]:
        """Yield the host of *url*, and leave out the time until it may be asked."""
        left = time.perf_counter()
        yield url.host_key
        away = time.perf_counter() - left
        self.began += away
        self.limits = self.limits._replace(deadline=self.limits.deadline + away)


class Chain:
    """The way of one request and the redirects that follow it."""

    __slots__ = (
        "anew", "asked", "cookie", "cookies", "elapsed", "failure", "head", "hops", "ip", "led", "method", "start",
        "strict", "url", "waited",
    )  # fmt: skip

    def __init__(self, method: str, url: Url) -> None:
        self.method = method
        self.url = url  # asked now, or next
        self.cookie = ""  # to be sent there
        self.anew = False  # on a new connection
        self.start = url
        self.hops: list[Hop] = []  # answered, oldest first
        self.head: Head | None = None  # of the last answer
        self.ip = ""
        self.failure: Failure | None = None
        self.asked = 0
        self.elapsed = 0.0  # seconds until the last answer's head, or the failure
        self.waited = 0.0  # of these, on our own account
        self.cookies: ChainCookies | None = None
        self.strict: dict[str, bool] = {}  # hosts that want https only, and whether for all below them
        self.led: dict[Place, Place] = {}  # from where to where, as it was last

    def keep(self, set_cookie: str) -> None:
        """Take the cookies that the last answer sets, one a line."""
        if self.cookies is None:
            from .cookies import ChainCookies  # few chains have any

            self.cookies = ChainCookies()
        self.cookies.add(self.url, set_cookie)

    def heed(self, strict_transport_security: str) -> None:
        """Take what the last answer, which came over https, says of its host (RFC 6797, section 8.1)."""
        max_age = _MAX_AGE(strict_transport_security)
        if not max_age or is_literal(self.url.host):
            return
        self.strict.pop(self.url.host, None)
        if int(max_age[1][:12]):
            self.strict[self.url.host] = "includesubdomains" in strict_transport_security.lower()

    def secured(self, url: Url) -> Url:
        """Return *url*, over https where an answer of this chain wants that (RFC 6797, section 8.3).

        Behind a gateway that ends TLS many an application leads to http, and nothing listens there: no visitor sees it.
        """
        if url.scheme == "https" or not any(
            url.host == host or (and_below and url.host.endswith("." + host)) for host, and_below in self.strict.items()
        ):
            return url
        return url._replace(scheme="https", port=443 if url.port == 80 else url.port)

    @property
    def status(self) -> int | None:
        """The last code received."""
        return self.hops[-1].status if self.hops else None

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.failure.outcome if self.failure else outcome_of(self.status or 0)

    @property
    def text(self) -> str:
        """The redirect_chain column; a hop that was asked and gave no answer is named last, without a code."""
        if self.asked < 2:
            return ""
        shown = [f"{hop.status} {hop.url}" for hop in self.hops]
        if self.asked > len(self.hops):
            shown.append(self.url.shown)
        return " -> ".join(shown)
