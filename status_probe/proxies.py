"""Which proxy a URL is asked through: ``--proxy``, or the environment, read once.

requests asks the environment again for each request (99 microseconds, and the registry on Windows), matches a suffix
without regard to its dots, and knows ``NO_PROXY`` networks of IPv4 only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from .urls import DEFAULT_PORTS, Url, basic_credentials, redact

__all__ = ["DIRECT", "Proxy", "ProxyRules", "parse_proxy", "windows_exceptions"]

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
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"the proxy '{redact(text)}' is not valid, expected http://HOST:PORT") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError(f"the proxy '{redact(text)}' is of an unknown kind, expected http, https, socks4 or socks5")
    if not host or port == 0 or any(letter.isspace() for letter in host):
        raise ValueError(f"the proxy '{redact(text)}' is not valid, expected http://HOST:PORT")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(scheme, host, port or _DEFAULT_PORTS[scheme], username, password)


class ProxyRules:
    """The proxy for each URL: one by scheme, and the hosts that are asked without.

    *proxies* maps ``http``, ``https`` and ``all`` to a Proxy; *bypass* is in the manner of NO_PROXY: names (with all
    names below them), ``.suffix``, addresses, networks such as ``10.0.0.0/8``, each with ``:port`` where wanted, and
    ``*`` for all.
    """

    def __init__(self, proxies: Mapping[str, Proxy], bypass: str = "") -> None:
        self._proxies = dict(proxies)
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
        bypass = found.pop("no", "") if getproxies_environment() else windows_exceptions()
        proxies = {scheme: parse_proxy(found[scheme]) for scheme in ("http", "https", "all") if found.get(scheme)}
        return cls(proxies, bypass)

    def proxy_for(self, url: Url) -> Proxy | None:
        """Return the proxy to ask *url* through, None for none."""
        if not self._proxies:
            return None
        proxy = self._by_scheme(url.scheme)
        return None if proxy is None or self._bypassed(url.host, url.port) else proxy

    def ways_to(self, host: str, port: int) -> set[Proxy | None]:
        """Return the proxies that a host may be asked through, where only its port says by which scheme.

        None stands for none.
        """
        if self._bypassed(host, port):
            return {None}
        schemes = [scheme for scheme, usual in DEFAULT_PORTS.items() if port == usual] or DEFAULT_PORTS
        return {self._by_scheme(scheme) for scheme in schemes}

    def _by_scheme(self, scheme: str) -> Proxy | None:
        return self._proxies.get(scheme) or self._proxies.get("all")

    def _find_rule(self, host: str, port: int) -> bool:
        return any(_matches(rule, host.rstrip("."), port) for rule in self._rules)


DIRECT = ProxyRules({})


def windows_exceptions() -> str:
    """Return what Windows' own settings except from its proxy, which ``getproxies`` leaves out; "" elsewhere.

    Source: urllib.request.proxy_bypass_registry.
    """
    try:
        winreg: Any = import_module("winreg")
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _WINDOWS_SETTINGS) as key:
            return str(winreg.QueryValueEx(key, "ProxyOverride")[0]).replace(";", ",")
    except (ImportError, OSError):
        return ""


def _matches(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    if rule == "<local>":  # of Windows: a name of one label
        return "." not in host and ":" not in host
    rule_host, colon, rule_port = rule.rpartition(":")
    if colon and rule_port.isdigit() and (":" not in rule_host or rule_host.endswith("]")):
        if int(rule_port) != port:
            return False
        rule = rule_host
    rule = rule.strip("[]")
    address = _address(host)
    if address is not None:
        return _in_network(address, rule)
    name = rule.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, rule: str) -> bool:
    if rule.endswith(".*"):  # '127.*', as Windows writes it
        return str(address).startswith(rule[:-1])
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
