"""Which proxy a URL is asked through: ``--proxy``, or the environment, read once.

requests asks the environment again for each request (99 microseconds, and the registry on Windows), matches a suffix
without regard to its dots, and knows ``NO_PROXY`` networks of IPv4 only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from .hostnames import to_bytes
from .urls import DEFAULT_PORTS, Url, basic_credentials, redact

__all__ = ["DIRECT", "LONGEST_IN_SOCKS", "Proxy", "ProxyRules", "parse_proxy", "windows_exceptions"]

LONGEST_IN_SOCKS = 127  # bytes of a name or a password; PySocks writes a length as text, and from 128 on in two bytes
_WINDOWS_SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}


class Proxy(NamedTuple):
    """Where a proxy is, and who we are to it."""

    scheme: str  # http, https, socks4, socks4a, socks5, socks5h
    host: str
    port: int
    username: str = ""
    password: str = ""

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS, not HTTP."""
        return self.scheme.startswith("socks")

    @property
    def resolves_names(self) -> bool:
        """Whether it speaks SOCKS with names in it, which it looks up itself."""
        return self.scheme in ("socks4a", "socks5h")

    @property
    def authorization(self) -> str:
        """The value of Proxy-Authorization, or empty text."""
        return basic_credentials(self.username, self.password) if self.username or self.password else ""


def parse_proxy(text: str) -> Proxy:
    """Return the proxy that *text* names, such as ``http://user:password@host:3128`` or ``socks5h://host``.

    Raises ValueError, its message fit for the user and free of the password, if it names none.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"the proxy '{redact(text)}' is not valid, expected http://HOST:PORT") from None
    scheme = "socks5" if parts.scheme == "socks" else parts.scheme  # as GNOME's settings have it, and Chromium
    if scheme not in _DEFAULT_PORTS:
        raise ValueError(f"the proxy '{redact(text)}' is of an unknown kind, expected http, https, socks4 or socks5")
    if "@" in parts.path + parts.query + parts.fragment:
        place = text.rpartition("@")[2]
        raise ValueError(f"the proxy '***@{place}' is not valid: a '/', '?' or '#' in a password is %2F, %3F or %23")
    if not host or port == 0 or any(letter.isspace() for letter in host):
        raise ValueError(f"the proxy '{redact(text)}' is not valid, expected http://HOST:PORT")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if scheme.startswith("socks") and max(map(len, map(to_bytes, (username, password)))) > LONGEST_IN_SOCKS:
        raise ValueError(f"the proxy '{redact(text)}' wants a name or a password that is too long for SOCKS")
    return Proxy(scheme, host, port or _DEFAULT_PORTS[scheme], username, password)


class ProxyRules:
    """The proxy for each URL: one by scheme, and the hosts that are asked without.

    *proxies* maps ``http``, ``https`` and ``all`` to a Proxy; *bypass* is in the manner of NO_PROXY: names (with all
    names below them), ``.suffix``, addresses, networks such as ``10.0.0.0/8``, each with ``:port`` where wanted, and
    ``*`` for all.  *excepted* is in the manner of Windows: see `_Exception`.
    """

    def __init__(self, proxies: Mapping[str, Proxy], bypass: str = "", excepted: str = "") -> None:
        self._proxies = dict(proxies)
        self._exceptions = [_parse_exception(item) for item in re.split(r"[\s,;]+", excepted.lower()) if item]
        self._rules = [rule.strip().lower() for rule in bypass.replace(" ", ",").split(",") if rule.strip()]
        self._bypassed = lru_cache(maxsize=10_000)(self._find_rule)

    def __bool__(self) -> bool:
        return bool(self._proxies)

    def __iter__(self) -> Iterator[Proxy]:
        return iter(self._proxies.values())

    @classmethod
    def from_environment(cls) -> ProxyRules:
        """Read the environment's proxies, on Windows and macOS also the system's.

        Raises ValueError if one of them is not valid.
        """
        from urllib.request import getproxies, getproxies_environment

        found = getproxies()
        bypass, excepted = found.pop("no", ""), ""
        if not getproxies_environment():
            excepted = windows_exceptions()
            found = {scheme: text for scheme, text in found.items() if not text.endswith("://")}  # on, but empty
        used = ("http", "https") if found.get("http") and found.get("https") else ("http", "https", "all")
        proxies = {scheme: parse_proxy(found[scheme]) for scheme in used if found.get(scheme)}
        return cls(proxies, bypass, excepted)

    def proxy_for(self, url: Url) -> Proxy | None:
        """Return the proxy to ask *url* through, None for none."""
        return self._way(url.scheme, url.host, url.port) if self._proxies else None

    def ways_to(self, host: str, port: int) -> set[Proxy | None]:
        """Return the proxies that a host may be asked through, where only its port says by which scheme.

        None stands for none.
        """
        schemes = [scheme for scheme, usual in DEFAULT_PORTS.items() if port == usual] or DEFAULT_PORTS
        return {self._way(scheme, host, port) for scheme in schemes}

    def _way(self, scheme: str, host: str, port: int) -> Proxy | None:
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        return None if proxy is None or self._bypassed(scheme, host, port) else proxy

    def _find_rule(self, scheme: str, host: str, port: int) -> bool:
        name = host.rstrip(".")
        return any(_matches(rule, name, port) for rule in self._rules) or any(
            exception.covers(scheme, name, port) for exception in self._exceptions
        )


DIRECT = ProxyRules({})


class _Exception(NamedTuple):
    """An item of Windows' list, such as ``10.*.*.*``, ``srv-?``, ``http://*.corp.com:8080`` or ``<local>``.

    It stands for whole names and addresses as they are written, of any case; only ``*`` and ``?`` are special.

    Source: urllib.request.proxy_bypass_registry, and Chromium's net/docs/proxy.md for schemes and ports.
    """

    scheme: str  # empty for any
    pattern: re.Pattern[str]
    port: int | None  # None for any

    def covers(self, scheme: str, host: str, port: int) -> bool:
        if (self.scheme and self.scheme != scheme) or self.port not in (None, port):
            return False
        return self.pattern.match(host) is not None


_LOCAL = re.compile(r"[^.:]+\Z")  # a name of one label


def _parse_exception(item: str) -> _Exception:
    scheme, _, rest = item.rpartition("://")
    name, port = _split_port(rest.rstrip("/"))
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    pattern = _LOCAL if name == "<local>" else re.compile(translate(name.replace("[", "[[]")))
    return _Exception(scheme, pattern, port)


def windows_exceptions() -> str:
    """Return what Windows' own settings except from its proxy, which ``getproxies`` leaves out; "" elsewhere.

    Source: urllib.request.proxy_bypass_registry.
    """
    try:
        winreg: Any = import_module("winreg")
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _WINDOWS_SETTINGS) as key:
            return str(winreg.QueryValueEx(key, "ProxyOverride")[0])
    except (ImportError, OSError):
        return ""


def _matches(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    rule, rule_port = _split_port(rule)
    if rule_port not in (None, port):
        return False
    rule = rule.strip("[]")
    address = _address(host)
    if address is not None:
        return _in_network(address, rule)
    name = rule.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _split_port(rule: str) -> tuple[str, int | None]:
    """Return a rule without its port, and that, or None where there is none."""
    host, colon, port = rule.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host, int(port)
    return rule, None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, rule: str) -> bool:
    if rule.endswith(".*"):  # '127.*', as some write it
        return str(address).startswith(rule[:-1])
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
