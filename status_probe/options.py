"""What a run may be told, with what is taken where it is not: the same for the command and the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType

from . import __version__
from .addresses import parse_hosts, parse_hosts_mapping
from .fields import header_line
from .proxies import ProxyRules, parse_proxy
from .tls import bundle_from_environment
from .tunnels import has_socks

__all__ = ["USER_AGENT", "Options"]

USER_AGENT = f"Mozilla/5.0 (compatible; status-probe/{__version__}; +https://pypi.org/project/status-probe/)"

_CHOICES = {
    "method": ("get", "head", "auto"),
    "default_scheme": ("auto", "https", "http"),
    "lang": ("en", "zh"),
}
_FILE = (str, os.PathLike, NoneType)
_TYPES: dict[str, tuple[type, ...]] = {
    "user_agent": (str,), "proxy": (str, NoneType), "hosts": (*_FILE, Mapping), "ca_bundle": _FILE,
    "client_cert": _FILE, "client_key": _FILE, "dedupe": (bool,), "public_only": (bool,), "insecure": (bool,),
}  # fmt: skip
_SINGLE = frozenset({"authorization", "content-type", "host", "proxy-authorization", "referer"})  # fields of one value
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_MOST = 10_000_000  # seconds, for one: above it no lock can wait
_WHOLE = {"workers": (1, 1000), "per_host": (1, _MOST), "max_redirects": (0, _MOST), "retries": (0, _MOST)}
_FROM_ZERO = ("delay", "retry_wait", "max_retry_wait")
_ABOVE_ZERO = ("connect_timeout", "read_timeout", "max_time", "rate")


@dataclass(frozen=True)
class Options:
    """All that decides how URLs are asked; durations are in seconds.

    The names and defaults are the command's.  *headers* are pairs of name and value.
    """

    default_scheme: str = "auto"
    dedupe: bool = True
    method: str = "get"
    headers: Sequence[tuple[str, str]] = ()
    user_agent: str = USER_AGENT
    max_redirects: int = 10
    proxy: str | None = None
    hosts: str | os.PathLike[str] | Mapping[str, str | Iterable[str]] | None = None
    public_only: bool = False
    ca_bundle: str | os.PathLike[str] | None = None
    client_cert: str | os.PathLike[str] | None = None
    client_key: str | os.PathLike[str] | None = None
    insecure: bool = False
    workers: int = 32
    per_host: int = 4
    delay: float = 0.0
    rate: float | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    max_time: float = 30.0
    retries: int = 1
    retry_wait: float = 1.0
    max_retry_wait: float = 60.0
    lang: str = "en"

    def __post_init__(self) -> None:
        """Raise ValueError, naming the option, for a value that it cannot have."""
        for name, types in _TYPES.items():
            if not isinstance(value := getattr(self, name), types):
                names = " or ".join(known.__name__ for known in types)  # not the value, which may be secret
                raise ValueError(f"{name}: a {type(value).__name__}, expected {names}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise self._refused(name, f"one of {', '.join(choices)}")
        for name, (least, most) in _WHOLE.items():
            value = getattr(self, name)
            if not (isinstance(value, int) and least <= value <= most):
                raise self._refused(name, f"a whole number from {least:,} to {most:,}")
        for name in _FROM_ZERO:
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= _MOST):
                raise self._refused(name, f"0 to {_MOST:,}")
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 < value <= _MOST) and (name, value) != ("rate", None):
                raise self._refused(name, f"more than 0, at most {_MOST:,}")
        if self.client_key and not self.client_cert:
            raise ValueError("--client-key: there is no --client-cert that it belongs to")
        self.own_fields()
        self.fields()

    def _refused(self, name: str, expected: str) -> ValueError:
        return ValueError(f"--{name.replace('_', '-')}: '{getattr(self, name)}', expected {expected}")

    @property
    def first_scheme(self) -> str:
        """The scheme that is tried first for a URL without one."""
        return "https" if self.default_scheme == "auto" else self.default_scheme

    def fields(self) -> dict[str, str]:
        """Return the header fields that every host is sent."""
        agent = [self.user_agent, *(value for name, value in self.headers if name.lower() == "user-agent")][-1]
        fields = {
            "User-Agent": agent,
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Language": "en,zh;q=0.9,*;q=0.5",  # some filters refuse requests without it
            "Accept-Encoding": "identity",  # Content-Length is then that of the page
            "Connection": "keep-alive",
        }
        header_line("User-Agent", agent)
        own = {name.lower() for name, _ in self.headers}
        return {name: value for name, value in fields.items() if name.lower() not in own or name == "User-Agent"}

    def own_fields(self) -> dict[str, str]:
        """Return the user's own header fields, for the origin of the listed URL only.

        Values of one name are joined, where it may have several; else the last counts.

        Source: RFC 9110, section 5.3, and RFC 6265, section 4.2.1, for Cookie.
        """
        fields: dict[str, str] = {}
        for name, value in self.headers:
            if not (isinstance(name, str) and isinstance(value, str)):
                raise ValueError(f"--header: {name!r} has a {type(value).__name__}, expected text")
            header_line(name, value)
            if name.lower() in _FRAMING:  # a server would take the next request for it
                raise ValueError(f"--header: '{name}' tells of a body, and none is sent")
            same = next((known for known in fields if known.lower() == name.lower()), None)
            if name.lower() == "user-agent":
                continue
            if same is None or same.lower() in _SINGLE:
                fields[same or name] = value
            else:
                fields[same] += ("; " if same.lower() == "cookie" else ", ") + value
        return fields

    def proxy_rules(self) -> ProxyRules:
        """Return which proxy each URL is asked through.

        Raises ValueError if a proxy is not valid, or cannot be used.
        """
        if self.proxy is None:
            rules = ProxyRules.from_environment()
        else:
            bypass = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
            rules = ProxyRules({"all": parse_proxy(self.proxy)} if self.proxy else {}, bypass)
        if any(proxy.is_socks for proxy in rules) and not has_socks():
            raise ValueError('a SOCKS proxy needs PySocks: pip install "requests[socks]"')
        if rules and self.public_only:
            raise ValueError("--public-only cannot be kept through a proxy, which connects in our place")
        return rules

    def ca_bundle_file(self) -> str | os.PathLike[str] | None:
        """Return the CA bundle, of the option or of the environment, or None for the usual stores.

        Raises ValueError if the environment names one that does not exist.
        """
        if self.ca_bundle or self.insecure:
            return self.ca_bundle
        return bundle_from_environment()

    def hosts_table(self) -> Mapping[str, Sequence[str]]:
        """Return addresses by name.

        Raises ValueError if the file cannot be read, or a line or an item of it is not valid.
        """
        if self.hosts is None:
            return {}
        if isinstance(self.hosts, Mapping):
            return parse_hosts_mapping(self.hosts)
        path = Path(self.hosts)
        try:
            return parse_hosts(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))
        except OSError as error:
            raise ValueError(f"cannot read '{path}': {(error.strerror or 'no such file').lower()}") from error
