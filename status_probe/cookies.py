"""Cookies of one redirect chain: some sites lead to themselves until a cookie comes back.

They live for one chain.  A jar for the whole run would make an answer depend on the URLs before it, and is walked
through for each request: 2,000 URLs with 3 cookies each took 45 s instead of 1.2 s.

Hosts, domains and paths are as in RFC 6265.  Ports are not: by its section 8.5 a cookie goes to every port of its
host, which may be somebody else's server, so here it stays with its port.  Only the usual ports share theirs, since
sites set a cookie over http and want it back over https.
"""

from __future__ import annotations

import re
import time
import urllib.request
from calendar import timegm
from collections.abc import Callable, Mapping
from email.message import Message
from email.utils import parsedate_tz
from http.client import HTTPResponse
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast

from .urls import DEFAULT_PORTS, Url

__all__ = ["ChainCookies"]

MOST_COOKIES = 180  # of one answer, the last ones; and characters of one: as Chromium has it
MOST_CHARACTERS = 4096
MOST_PATH = 1024  # characters of a path that decide, as many as a cookie's Path may have: RFC 6265bis, section 5.7

_IS_DOMAIN = re.compile(r"\.?[^.]").match
_IS_WHOLE = re.compile(r"-?[0-9]+\Z").match

# What is kept of the attributes that count, None where the value of one does not.
_READERS: dict[str, Callable[[str], str | None]] = {
    "secure": lambda _: "",
    "path": lambda value: value if value.startswith("/") and len(value) <= MOST_PATH else None,
    "domain": lambda value: value if _IS_DOMAIN(value) else None,
    "max-age": lambda value: value[:12] if _IS_WHOLE(value) else None,  # the jar computes with floats
    "expires": lambda value: _age_at(value),
}
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # no cookie has any: RFC 6265bis, section 5.7


class ChainCookies:
    """What the answers of a chain have set so far."""

    def __init__(self) -> None:
        self._jars: dict[int, CookieJar] = {}  # by port, 0 for the usual ones

    def add(self, url: Url, set_cookie: str) -> None:
        """Take the Set-Cookie values, one a line, of *url*'s answer; what no cookie can be is left out."""
        jar = self._jars.get(_port(url))
        if jar is None:
            # Python's own policy sends what was set for a host alone to all hosts below it.
            alone = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)
            jar = self._jars[_port(url)] = CookieJar(alone)
        request = _request(url)
        for value in set_cookie.split("\n")[-MOST_COOKIES:]:
            cookie = _as_browsers_read(value, url)
            if cookie:  # one by one: of several the jar takes back first what is to be taken back
                jar.extract_cookies(cast("HTTPResponse", _Answer(cookie)), request)

    def header(self, url: Url) -> str:
        """Return the Cookie header for *url*, empty where none fits; in UTF-8 it is the bytes that came."""
        jar = self._jars.get(_port(url))
        if jar is None:
            return ""
        request = _request(url)
        jar.add_cookie_header(request)
        return (request.get_header("Cookie") or "").encode("latin-1").decode("utf-8", "surrogateescape")


def _as_browsers_read(set_cookie: str, url: Url) -> str:
    """Return a Set-Cookie value with those attributes only that count, since the jar drops the cookie for a bad one.

    Nothing is left of one that browsers do not take: too long, with controls, to be Secure and not sent so, or not
    what its name's prefix promises.

    Source: RFC 6265, section 5.2, and 5.3, step 5, for a host that is its own domain; RFC 6265bis, section 5.7.
    """
    if len(set_cookie) > MOST_CHARACTERS or _CONTROLS.search(set_cookie):
        return ""
    pair, *attributes = set_cookie.split(";")
    pair = pair.strip().removeprefix("=")  # without a name, which the jar writes like this
    kept: dict[str, str] = {}  # the last of a name counts
    for attribute in attributes:
        name, _, value = (part.strip() for part in attribute.partition("="))
        name = name.lower()
        read = _READERS.get(name)
        read_value = read(value) if read else None
        if read_value is not None:
            kept[name] = read_value
        elif name == "path":
            kept.pop(name, None)  # the default one, then
    age = kept.pop("expires", "")
    if age:
        kept.setdefault("max-age", age)
    if ("secure" in kept and url.scheme == "http") or not _keeps_promise(pair, kept):
        return ""
    if kept.get("domain", "").strip(".").lower() == url.host and "." not in url.host:
        del kept["domain"]
    return "; ".join([pair, *(f"{name}={value}" if value else name for name, value in kept.items())])


def _keeps_promise(pair: str, attributes: Mapping[str, str]) -> bool:
    """Whether a cookie is what the prefix of its name says (RFC 6265bis, section 4.1.3)."""
    name = pair.strip().lower()
    if name.startswith("__host-"):
        return "secure" in attributes and attributes.get("path") == "/" and "domain" not in attributes
    return "secure" in attributes or not name.startswith("__secure-")


def _age_at(date: str) -> str | None:
    """Return the Max-Age that Expires stands for: "0" for the past, "" for later, None for what is no date.

    A cookie lives for a chain, so it is past or not.  The jar reads a year "70" as 2070, and other forms than this (RFC
    6265, section 5.1.1).
    """
    date = date.replace("/", "-")
    try:
        moment = parsedate_tz(date) or parsedate_tz(f"{date} GMT")
        if moment is None:
            return None
        return "0" if timegm(moment[:6]) <= time.time() else ""
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class _Answer:
    """What the jar wants of a response."""

    def __init__(self, set_cookie: str) -> None:
        self.headers = Message()
        self.headers["Set-Cookie"] = set_cookie

    def info(self) -> Message:
        return self.headers


def _request(url: Url) -> urllib.request.Request:
    """Return what tells the jar of *url*: it looks through the path for each cookie, and the query is none of it."""
    path = url.target.partition("?")[0]
    if len(path) > MOST_PATH:
        path = path[:MOST_PATH] + "/"  # so that no cookie set there goes elsewhere
    return urllib.request.Request(url._replace(target=path).text)  # noqa: S310


def _port(url: Url) -> int:
    return 0 if url.port == DEFAULT_PORTS[url.scheme] else url.port
