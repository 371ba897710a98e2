"""The shared session: requests' own, with an adapter below it that keeps the laws.

``session.get(url)`` and ``session.send(prepared)`` work and return a requests.Response, of one answer: redirects are
followed by the probe.  What differs from requests: every interim answer is passed over, a valid status is never lost
to what follows it, a deadline holds, the environment is not asked, no cookie is kept, nothing is decompressed, and no
more than 64 KiB of a body are read.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from .answer import Answer
from .fields import HeaderLines
from .limits import Limits
from .records import Phase
from .transport import StaleConnection, Transport
from .urls import InvalidURL, Url, parse_url

__all__ = ["Request", "RunResponse", "Session"]

DEFAULT_SECONDS = 30.0  # for session.get() without a timeout


class Request(requests.PreparedRequest):
    """A prepared request that carries its parsed URL, so that nothing is parsed or escaped a second time."""

    parsed: Url
    headers: HeaderLines  # type: ignore[assignment]
    anew = False  # on a new connection

    def __init__(self) -> None:
        """Assign nothing that `of` assigns: requests makes hooks, and a jar, for each request."""

    body = None
    hooks: Any = None  # never called: Session.send
    _cookies = None
    _body_position = None

    @classmethod
    def of(cls, method: str, url: Url, fields: HeaderLines) -> Request:
        """Return a request for *url* as it stands."""
        request = cls()
        request.method, request.parsed, request.headers = method, url, fields
        return request

    @cached_property
    def url(self) -> str:  # type: ignore[override]
        """The URL without credentials."""
        return self.parsed.text


class RunResponse(requests.Response):
    """A Response that knows the Answer it was made of; the rest of what requests promises is made when asked for."""

    _content: Any = False  # requests' word for: not read yet
    _content_consumed = False
    _next = None
    _encoding: str | None = None
    elapsed = datetime.timedelta(0)
    connection: Any = None

    def __init__(self, request: requests.PreparedRequest, answer: Answer, transport: Transport, limits: Limits) -> None:
        """Assign little: what requests makes for each response, a cookie jar with its lock above all, is not used."""
        self.request = request
        self.answer = answer
        self._transport = transport
        self._limits = limits
        self._is_open = True

    def close(self) -> None:
        """Be done with the answer; its connection is kept where that is safe."""
        if self._is_open:
            self._is_open = False
            self._transport.finish(self.answer, self._limits)

    def stream(self, amount: int = 0, decode_content: bool = False) -> Iterator[bytes]:  # noqa: ARG002
        """Yield what is read of the body, in one piece; requests asks ``raw`` for it."""
        if self._is_open:
            self._is_open = False
            yield self._transport.read_body(self.answer, self._limits)

    @property
    def raw(self) -> RunResponse:  # type: ignore[override]
        """What requests reads the body from."""
        return self

    @cached_property
    def status_code(self) -> int:  # type: ignore[override]
        """The status."""
        return self.answer.head.status

    @cached_property
    def reason(self) -> str:  # type: ignore[override]
        """The reason phrase."""
        return self.answer.head.reason

    @cached_property
    def url(self) -> str:  # type: ignore[override]
        """The URL that was asked."""
        return self.request.url or ""

    @cached_property
    def headers(self) -> CaseInsensitiveDict[str]:  # type: ignore[override]
        """The header fields; of a repeated one all values, parted by commas."""
        fields = self.answer.head.fields
        return CaseInsensitiveDict({name: value.replace("\n", ", ") for name, value in fields.items()})

    @cached_property
    def history(self) -> list[requests.Response]:  # type: ignore[override]
        """No redirect was followed."""
        return []

    @property
    def cookies(self) -> requests.cookies.RequestsCookieJar:  # type: ignore[override]
        """An empty jar: cookies live for one redirect chain, and the probe keeps them."""
        return requests.cookies.RequestsCookieJar()

    @property
    def encoding(self) -> str | None:
        """What the header Content-Type says of ``text``; looked up when somebody asks."""
        return self._encoding or get_encoding_from_headers(self.headers)

    @encoding.setter
    def encoding(self, name: str | None) -> None:
        self._encoding = name


class Session(requests.Session):
    """A requests.Session over one Transport, shared by all threads of a run."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # cookies live for one redirect chain only
        self.headers["Accept-Encoding"] = "identity"  # nothing is decompressed
        self.adapters.clear()
        self.transport = transport
        adapter = Adapter(transport)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a prepared request; one of a run, whose *timeout* is a Limits, past adapters, hooks and redirects.

        Raises what ``failures`` classifies; and StaleConnection for a Request of a run: that is to be asked anew.
        """
        if not isinstance(request, Request):
            return super().send(request, **options)
        transport, limits = self.transport, options["timeout"]
        method, lines = request.method or "GET", request.headers.lines
        answer = transport.ask(method, request.parsed, lines, limits, anew=request.anew)
        return RunResponse(request, answer, transport, limits)

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        """Follow nothing: requests would read and unpack the whole body of a redirect, whatever its size."""
        return iter(())


class Adapter(BaseAdapter):
    """What requests calls to send a request."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002
        timeout: Limits | float | tuple[float | None, float | None] | None = None,
        verify: object = True,  # noqa: ARG002
        cert: object = None,  # noqa: ARG002
        proxies: object = None,  # noqa: ARG002
    ) -> RunResponse:
        """Return the answer; *verify*, *cert* and *proxies* are the transport's, for all requests alike.

        Raises what ``failures`` classifies.
        """
        limits = timeout if isinstance(timeout, Limits) else _limits(timeout)
        url = _parse(request.url or "")
        lines = HeaderLines({str(name): _text(value) for name, value in request.headers.items()}).lines
        if request.body is not None:
            raise ValueError("a status check sends no body")
        method = request.method or "GET"
        try:
            answer = self._transport.ask(method, url, lines, limits)
        except StaleConnection:
            answer = self._transport.ask(method, url, lines, limits, anew=True)
        return RunResponse(request, answer, self._transport, limits)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()


def _limits(timeout: float | tuple[float | None, float | None] | None) -> Limits:
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    total = DEFAULT_SECONDS if timeout is None else max(connect or 0.0, read or 0.0) or DEFAULT_SECONDS
    return Limits(connect or total, read or total, total, time.monotonic() + total, Phase())


def _parse(text: str) -> Url:
    try:
        return parse_url(text)
    except InvalidURL as error:
        raise requests.exceptions.InvalidURL(str(error)) from error


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
