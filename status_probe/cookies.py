"""Cookies of one redirect chain: some sites lead to themselves until a cookie comes back.

They live for one chain.  A jar for the whole run would make an answer depend on the URLs before it, and is walked
through for each request: 2,000 URLs with 3 cookies each took 45 s instead of 1.2 s.

Hosts, domains and paths are as in RFC 6265.  Ports are not: by its section 8.5 a cookie goes to every port of its
host, which may be somebody else's server, so here it stays with its port.  Only the usual ports share theirs, since
sites set a cookie over http and want it back over https.
"""

from __future__ import annotations

import re
import urllib.request
from email.message import Message
from http.client import HTTPResponse
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast

from .urls import DEFAULT_PORTS, Url

__all__ = ["ChainCookies"]

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # no cookie has any: RFC 6265bis, section 5.7


class ChainCookies:
    """What the answers of a chain have set so far."""

    def __init__(self) -> None:
        self._jars: dict[int, CookieJar] = {}  # by port, 0 for the usual ones

    def add(self, url: Url, set_cookie: str) -> None:
        """Take the Set-Cookie values, one a line, of *url*'s answer; what no cookie can be is left out."""
        answer = _Answer()
        for value in set_cookie.split("\n"):
            if not _CONTROLS.search(value):
                answer.headers["Set-Cookie"] = value
        jar = self._jars.get(_port(url))
        if jar is None:
            # Python's own policy sends what was set for a host alone to all hosts below it.
            alone = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)
            jar = self._jars[_port(url)] = CookieJar(alone)
        jar.extract_cookies(cast("HTTPResponse", answer), urllib.request.Request(url.text))  # noqa: S310

    def header(self, url: Url) -> str:
        """Return the Cookie header for *url*, empty where none fits; in UTF-8 it is the bytes that came."""
        jar = self._jars.get(_port(url))
        if jar is None:
            return ""
        request = urllib.request.Request(url.text)  # noqa: S310
        jar.add_cookie_header(request)
        return (request.get_header("Cookie") or "").encode("latin-1").decode("utf-8", "surrogateescape")


class _Answer:
    """What the jar wants of a response."""

    def __init__(self) -> None:
        self.headers = Message()

    def info(self) -> Message:
        return self.headers


def _port(url: Url) -> int:
    return 0 if url.port == DEFAULT_PORTS[url.scheme] else url.port
