"""A host as it is written, to the host that is looked up: IDNA, escapes, the short forms of addresses.

Pure, no I/O.  The URL Standard, section 3.5, is followed, with what it leaves to the name server refused here too: an
empty label, a label above 63 and a name above 253 characters.
"""

from __future__ import annotations

import re

__all__ = ["InvalidURL", "parse_host", "to_bytes", "unescape"]

MOST_CHARACTERS = 1_000  # before they are mapped, which takes some away
_NOT_IN_HOST = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+").fullmatch
_NUMBER = re.compile(r"0x([0-9a-f]*)|0([0-7]+)|(0|[1-9][0-9]*)").fullmatch
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_STRAY_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class InvalidURL(ValueError):  # noqa: N818
    """The text cannot be asked; the message is a piece of a sentence for the owner of the list."""


def parse_host(text: str) -> str:
    """Return a host as it is looked up (URL Standard, section 3.5)."""
    if text.startswith("["):
        return _parse_ipv6(text)
    if "%" in text:
        text = unescape(text)
    host = text.lower() if text.isascii() else _to_ascii(text)
    if not host:
        raise InvalidURL("there is no host name")
    found = _NOT_IN_HOST.search(host)
    if found:
        raise InvalidURL("the host name holds a blank" if found[0] == " " else f"the host name holds {found[0]!a}")
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        raise InvalidURL("the host name has an empty label")
    if max(map(len, labels)) > 63:
        raise InvalidURL("the host name has a label of more than 63 characters")
    if len(host.removesuffix(".")) > 253:
        raise InvalidURL("the host name is longer than 253 characters")
    return _parse_ipv4(labels) if labels[-1].isdigit() or _NUMBER(labels[-1]) else host


def _to_ascii(host: str) -> str:
    """Map to the name that is looked up (UTS #46, not transitional); what IDNA 2008 forbids, emoji say, is kept."""
    from idna import IDNAError, uts46_remap  # 15 ms, for few lists

    if len(host) > MOST_CHARACTERS:  # to encode 8,000 took 17 s
        raise InvalidURL("the host name is longer than 253 characters")
    try:
        labels = uts46_remap(host, std3_rules=False).split(".")
    except IDNAError as error:
        raise InvalidURL("the host name holds a character that no name can have") from error
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}" for label in labels)


def _parse_ipv4(labels: list[str]) -> str:
    """Return the dotted form of one to four numbers, each decimal, octal (``017``) or hexadecimal (``0x7f``)."""
    numbers = []
    for label in labels:
        match = _NUMBER(label)
        if not match:
            break
        hexadecimal, octal, decimal = match.groups()
        numbers.append(int(decimal) if decimal else int(octal, 8) if octal else int(hexadecimal or "0", 16))
    too_big = not numbers or max(numbers[:-1], default=0) > 255 or numbers[-1] >= 256 ** (5 - min(len(numbers), 4))
    if len(numbers) != len(labels) or len(labels) > 4 or too_big:
        raise InvalidURL(f"'{'.'.join(labels)}' is no IPv4 address")
    value = sum(number << 8 * (3 - place) for place, number in enumerate(numbers[:-1])) + numbers[-1]
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def _parse_ipv6(text: str) -> str:
    from ipaddress import IPv6Address

    address, mark, zone = text[1:-1].partition("%")
    zone = zone.removeprefix("25") or zone
    try:
        if not text.endswith("]") or (mark and not _ZONE(zone)):
            raise ValueError(text)
        parsed = IPv6Address(address)
    except ValueError as error:
        raise InvalidURL("the IPv6 address in brackets is not valid") from error
    if parsed.ipv4_mapped:  # 3.13 writes these dotted; as browsers do, and equal on all versions
        return f"::ffff:{int(parsed) >> 16 & 0xFFFF:x}:{int(parsed) & 0xFFFF:x}{mark}{zone}"
    return f"{parsed.compressed}{mark}{zone}"


def unescape(text: str) -> str:
    """Decode the escapes; bytes that are no UTF-8 become lone surrogates."""
    raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), to_bytes(text))
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Encode as UTF-8; an undecodable byte of the list is that byte again, any other lone surrogate is U+FFFD."""
    return _STRAY_SURROGATE.sub("\ufffd", text).encode("utf-8", "surrogateescape")
