"""Addresses: what one is, which are public, in what order they are tried, and the lines of a hosts file."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from .hostnames import parse_host

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

__all__ = [
    "Address", "BlockedAddress", "in_turn", "is_literal", "is_public", "parse_hosts", "parse_hosts_mapping",
]  # fmt: skip


class Address(NamedTuple):
    """Where to connect to: what ``socket.socket(family).connect(sockaddr)`` wants."""

    family: int
    ip: str
    sockaddr: tuple[Any, ...]  # (ip, port), for IPv6 (ip, port, flow, zone)


class BlockedAddress(OSError):  # noqa: N818
    """No address of *host* is public; *address* is the first of them."""

    def __init__(self, host: str, address: str) -> None:
        of_host = "" if host == address else f" of '{host}'"
        super().__init__(f"the address {address}{of_host} is not public")


def parse_hosts(lines: str | Iterable[str], name: str) -> dict[str, tuple[str, ...]]:
    """Return the IPs of each name in the lines of a hosts file, in their order.

    Names are in lower case, in their ASCII form and without a trailing dot.  *name* is the file's, for messages.

    Raises ValueError with ``FILE:LINE: `` for a line that is not ``IP NAME [NAME ...]``.
    """
    found: dict[str, dict[str, None]] = {}
    for number, line in enumerate(lines.split("\n") if isinstance(lines, str) else lines, 1):
        words = line.lstrip("\ufeff").partition("#")[0].split()
        if words and (len(words) == 1 or not is_literal(words[0])):
            raise ValueError(f"{name}:{number}: '{' '.join(words)}', expected 'IP NAME [NAME ...]'")
        try:
            for host in map(_plain_name, words[1:]):
                found.setdefault(host, {})[words[0]] = None
        except ValueError as error:
            raise ValueError(f"{name}:{number}: '{' '.join(words[1:])}', expected host names") from error
    return {host: tuple(ips) for host, ips in found.items()}


def parse_hosts_mapping(hosts: Mapping[str, str | Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the IPs of each name as `parse_hosts` does, of a mapping of names to one address or several.

    Raises ValueError for a name or an address that is none.
    """
    found = {}
    for host, given in hosts.items():
        ips = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
        if not ips or not all(isinstance(ip, str) and is_literal(ip) for ip in ips):
            raise ValueError(f"hosts: '{host}' has {given!r}, expected IP addresses")
        try:
            found[_plain_name(host)] = ips
        except (ValueError, AttributeError) as error:
            raise ValueError(f"hosts: '{host}', expected a host name") from error
    return found


def _plain_name(host: str) -> str:
    return parse_host(host).removesuffix(".")


# What the IANA registries of special-purpose addresses list as not globally reachable, and multicast.  The ipaddress
# module has them too, but its is_global changed within 3.10 to 3.13.  For IPv6 all but 2000::/3 is out, and so are the
# tunnels Teredo and 6to4, whose real end is an IPv4 address; nobody serves pages there.
_NOT_PUBLIC_IPV4 = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
)
_NOT_PUBLIC_IPV6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
_HOLDS_IPV4 = "::ffff:0:0/96 64:ff9b::/96"  # IPv4-mapped, and NAT64, which an IPv6-only network needs


def is_public(ip: str) -> bool:
    """Say whether an address is globally reachable; False for what is no address.

    An IPv6 address that stands for an IPv4 address is as public as that one.
    """
    from ipaddress import IPv4Address, IPv6Address, ip_address

    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and any(address in network for network in _networks(_HOLDS_IPV4)):
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _networks(_NOT_PUBLIC_IPV4))
    return int(address) >> 125 == 1 and not any(address in network for network in _networks(_NOT_PUBLIC_IPV6))


@lru_cache
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    from ipaddress import ip_network

    return tuple(map(ip_network, text.split()))


def is_literal(host: str) -> bool:
    """Say whether *host* is an address: IPv4 in four decimal numbers, or IPv6, maybe with a zone."""
    if ":" not in host and not host[-1:].isdecimal():
        return False
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def in_turn(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Put the families in turn, without repeats; the system's first comes first."""
    unique = list(dict.fromkeys(addresses))
    first = [address for address in unique if address.family == unique[0].family]
    other = [address for address in unique if address.family != unique[0].family]
    return tuple(address for address in chain.from_iterable(zip_longest(first, other)) if address)
