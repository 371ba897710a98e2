"""What each path of the demo does, as data.

A page is a tuple of steps: bytes to send, seconds to wait, or an End; or a function from a Request to such a tuple.
To HEAD each piece is sent up to the end of its head, so a page needs to know nothing of methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["PAGES", "End", "Request", "find_page"]

MAX_BYTES = 10_000_000  # of /bytes/N
_PHRASES = {int(status): status.phrase for status in HTTPStatus}


class End(Enum):
    """How a page ends the connection."""

    CLOSE = "FIN"
    RESET = "RST"
    SILENCE = "nothing until the client leaves"


class Request(NamedTuple):
    """What a page may look at."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case

    @property
    def path(self) -> str:
        """The target without its query, its escapes resolved."""
        return unquote(self.target.partition("?")[0])

    @property
    def number(self) -> int:
        """The number that ends the path.  Raises ValueError where there is none."""
        return int(self.path.rpartition("/")[2])


Steps = tuple["bytes | float | End", ...]
Page = Callable[[Request], Steps]


def _answer(status: int, *headers: str, reason: str = "", body: bytes = b"A page of the demo.\n") -> bytes:
    """Return an answer with its length, *headers* being whole lines."""
    reason = reason or _PHRASES.get(status, "Nonstandard")
    if status in (204, 304):
        body = b""
    else:
        headers = (*headers, "Content-Type: text/plain", f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *headers, "", ""]).encode() + body


def _redirect(status: int, location: str) -> bytes:
    return _answer(status, f"Location: {location}")


_STATUS_HEADERS = {
    401: ('WWW-Authenticate: Basic realm="demo"',),
    405: ("Allow: POST",),
    429: ("Retry-After: 1",),
    451: ('Link: <https://www.rfc-editor.org/rfc/rfc7725>; rel="blocked-by"',),
    503: ("Retry-After: 1",),
}


def _status(request: Request) -> Steps:
    status = request.number
    return (_answer(status, *_STATUS_HEADERS.get(status, ())),)


def _chain(request: Request) -> Steps:
    """/chain/3 leads to /chain/2, and so on down to an answer, by each kind of redirect in turn."""
    left = request.number
    if left == 0:
        return (_answer(200),)
    return (_redirect((301, 302, 303, 307, 308)[left % 5], f"/chain/{left - 1}"),)


def _bytes(request: Request) -> Steps:
    return (_answer(200, body=b"x" * min(request.number, MAX_BYTES)),)


def _cookie_wall(request: Request) -> Steps:
    if "seen=1" in request.headers.get("cookie", ""):
        return (_answer(200),)
    return (_answer(302, "Location: /cookie-wall", "Set-Cookie: seen=1; Path=/"),)


def _other_host(request: Request) -> Steps:
    port = request.headers.get("host", "").rpartition(":")[2]
    return (_redirect(302, f"//localhost:{port}/status/200"),)


def _private(request: Request) -> Steps:
    known = request.headers.get("authorization") == "Basic ZGVtbzpzZWNyZXQ="  # demo:secret
    return (_answer(200) if known else _answer(401, *_STATUS_HEADERS[401]),)


def _no_head(request: Request) -> Steps:
    return (_answer(405, "Allow: GET") if request.method == "HEAD" else _answer(200),)


PAGES: dict[str, Steps | Page] = {
    "/status/*": _status,
    "/chain/*": _chain,
    "/bytes/*": _bytes,
    "/cookie-wall": _cookie_wall,
    "/private": _private,
    "/no-head": _no_head,
    "/moved/permanently": (_redirect(301, "/status/200"),),
    "/moved/relative": (_redirect(302, "../status/200?from=here#there"),),
    "/moved/see-other": (_redirect(303, "/status/200"),),
    "/moved/temporarily": (_redirect(307, "/status/200"),),
    "/moved/for-good": (_redirect(308, "/status/200"),),
    "/moved/to-another-host": _other_host,
    "/moved/to-nothing": (_redirect(301, "/status/404"),),
    "/moved/to-utf-8": (_redirect(302, "/页面"),),
    "/moved/to-mail": (_redirect(302, "mailto:webmaster@example.com"),),
    "/moved/nowhere": (_answer(302),),
    "/页面": (_answer(200),),
    "/loop/a": (_redirect(302, "/loop/b"),),
    "/loop/b": (_redirect(302, "/loop/a"),),
    "/bot-filter": (_answer(403, "Server: cloudflare", "CF-Mitigated: challenge"),),
    "/early-hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n", 0.05, _answer(200)),
    "/reason/formula": (_answer(200, reason='=HYPERLINK("http://example.com","click")'),),
    "/reason/chinese": (_answer(404, reason="找不到网页"),),
    "/two-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\nfives", End.CLOSE),
    "/body/cut-short": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot a thousand", End.CLOSE),
    "/body/endless": (b"HTTP/1.1 200 OK\r\n\r\n", *(b"and so on\n", 0.05) * 200, End.CLOSE),
    "/slow": (0.5, _answer(200)),
    "/silent": (End.SILENCE,),
    "/drip": (b"HTTP/1.1 200 OK\r\n", *(b"X-Drip: .\r\n", 0.3) * 200, End.CLOSE),
    "/reset": (End.RESET,),
    "/hung-up": (End.CLOSE,),
    "/garbage": (b"220 mail.example.com ESMTP ready\r\n", End.CLOSE),
}


def find_page(request: Request) -> Steps:
    """Return the steps of the page asked for, a 404 where there is none."""
    family = request.path.rpartition("/")[0] + "/*"
    page = PAGES.get(request.path) or PAGES.get(family) or (_answer(404),)
    try:
        return page(request) if callable(page) else page
    except ValueError:  # no number where one belongs
        return (_answer(400),)
