"""Header fields as text: read from a user's ``NAME: VALUE``, written as lines of a request."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HeaderLines", "header_line", "parse_field"]

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # RFC 9110, section 5.6.2
_LINE_BREAKS = frozenset("\r\n\0")


class HeaderLines(dict[str, str]):
    """Header fields by name, and the same as they are written, for a run writes them for each URL."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(fields)
        ordered = sorted(fields.items(), key=lambda field: field[0].lower() != "host")  # first: RFC 9110, section 7.2
        self.lines = "".join(header_line(name, value) for name, value in ordered)


def header_line(name: str, value: str) -> str:
    """Return one line with its CRLF.

    Raises ValueError for what would end the line or the name early.
    """
    if not name or not set(name.lower()) <= _TOKEN or not _LINE_BREAKS.isdisjoint(value):
        raise ValueError(f"the header '{name}' is not valid")
    return f"{'Host' if name.lower() == 'host' else name}: {value.strip()}\r\n"


def parse_field(text: str) -> tuple[str, str]:
    """Return the name and the value of ``NAME: VALUE``.

    Raises ValueError, whose message does without the text: it may be a secret.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError("expected 'NAME: VALUE'")
    return name.strip(), value.strip()
