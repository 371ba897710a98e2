"""Bytes to the head of an HTTP/1 answer, and where its body ends: no socket, no clock.

The rules, and why each is as it is:

* The status line is judged strictly.  ``HTTP/1.1 2_00``, ``+200``, ``099``, ``2000``, ``ICY 200`` and a bare body
  (HTTP/0.9) are no answer; http.client takes the first two for 200.  Only the case of ``HTTP``, the number of blanks,
  what follows the three digits (``200OK``, ``404: Not Found``) and a bare ``HTTP/2`` are let pass, since curl and
  browsers let them pass.  Source: RFC 9112, section 4.
* Once it is valid it is never lost.  Header lines are read leniently: no limit on their number, one without a colon
  is skipped (http.client ends the block there, and loses a Location that follows), line ends may be bare LF or CRCRLF,
  an end of the connection ends them, but half a line is none: half a Location leads elsewhere.  All together are
  read up to MAX_HEAD_BYTES; what is beyond is given up, not the status.
* Interim answers (1xx but 101) are passed over, in any number up to MAX_HEAD_BYTES of them.  http.client skips 100
  only, so that each later answer on the connection goes to the wrong URL.  Source: RFC 9110, section 15.2.
* Whatever leaves a doubt about where the answer ends makes ``reusable`` false: the connection is not used again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

__all__ = ["MAX_BODY_BYTES", "MAX_HEAD_BYTES", "Head", "HeadReader", "ProtocolError", "chunked_end", "dechunk"]

MAX_HEAD_BYTES = 256 * 1024  # as Chrome; requests' 100 lines of 64 KiB lose answers that browsers show
MAX_REASON = 1000  # characters
KNOWN_HEADS, KNOWN_HEAD_BYTES = 256, 2048  # that are remembered, and how long one is at most: mostly 0.5 MB, never 11
MAX_CHUNK_LINE_BYTES = 4096
MAX_BODY_BYTES = 64 * 1024  # above it a new connection is cheaper than the rest of the body

# No two neighbours of a pattern match the same bytes, or a line of 256 KiB of them would cost their square.
_STATUS_LINE = re.compile(rb"HTTP/(?:1\.(\d)|[23](?:\.0)?)[ \t]+([1-9]\d\d)([^\d\n][^\n]*)?\n", re.IGNORECASE)
_CUT_STATUS_LINE = re.compile(rb"HTTP/(?:1\.(\d)|[23](?:\.0)?)[ \t]+([1-9]\d\d)([^\d\n][^\n]*)", re.IGNORECASE)
_HEAD_END = re.compile(rb"\n\r{0,2}\n")
_BLANKS = " \t\r"  # strip() alone takes 0x85 and 0xA0 too, which end many a letter in UTF-8
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHUNK_END = re.compile(rb"\r?\n|\r?\Z")
_TRAILER_END = re.compile(rb"(?:[^\r\n]+\r?\n)*\r?\n")
_NO_FINAL = "the server sends interim answers (1xx) and no final one"


class ProtocolError(ValueError):
    """What came is no HTTP answer; the message is a sentence for the owner of the site."""


class Head(NamedTuple):
    """The head of a final answer.

    *fields* maps lower-case names to values, those of a repeated name joined by a line feed.  Values are text in
    latin-1, so ``value.encode("latin-1")`` gives back the bytes.
    """

    status: int
    reason: str
    minor_version: int  # of HTTP/1; 0 closes where nothing else is said
    fields: Mapping[str, str]
    whole: bool  # it ended with its blank line, within bounds
    content_length: int | None  # None where there is none or it is no single number
    keeps: bool  # nothing in it speaks against using the connection again: see reusable()

    def first(self, name: str) -> str:
        """Return the first value of the field *name* (lower case), or empty text."""
        value = self.fields.get(name, "")
        return value.partition("\n")[0] if "\n" in value else value

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "transfer-encoding" in self.fields

    def has_body(self, method: str) -> bool:
        """Whether a body follows, by RFC 9112, section 6.3."""
        return method != "HEAD" and self.status not in (101, 204, 304)

    def body_length(self, method: str) -> int | None:
        """Return how many bytes of body follow, None where only reading tells."""
        if not self.has_body(method):
            return 0
        return None if self.chunked else self.content_length

    def reusable(self, method: str) -> bool:
        """Whether the connection may be used again once the body has been read as far as it goes.

        Anything that two readers could take differently means no: a length that is none, both ways of framing at
        once, a coding other than chunked, chunks in HTTP/1.0.  Source: RFC 9112, sections 6.1, 6.3, 9.3.
        """
        return self.keeps and (self.content_length is not None or self.chunked or not self.has_body(method))


class HeadReader:
    """Collect received bytes until they hold the head of a final answer.

    One reader serves one answer: feed() it until it returns a Head, or end() it where the connection ended.
    ``rest`` then holds what came after the head.
    """

    __slots__ = ("_buffer", "_has_line", "_interim_bytes", "_scanned", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._scanned = 0  # where the search for a line's end, then for the blank line, goes on
        self._has_line = False
        self._interim_bytes = 0
        self.rest = b""

    def feed(self, data: bytes) -> Head | None:
        """Take *data* and return the final answer's Head, or None while it is not complete.

        Raises ProtocolError as soon as it is plain that no answer comes.
        """
        if not self._buffer:
            size = data.find(b"\r\n\r\n", 0, KNOWN_HEAD_BYTES) + 4
            head = _whole_head(data[:size]) if size > 4 else None
            if head is not None:
                self.rest = data[size:]
                return head
        self._buffer = self._buffer + data if self._buffer else data
        if not self._has_line and not self._has_come_to_a_line():
            return None
        while self._buffer:
            line = self._status_line()
            if line is None:
                return None
            end = _HEAD_END.search(self._buffer, max(line.end() - 1, self._scanned - 3), MAX_HEAD_BYTES)
            if end is None:
                self._scanned = len(self._buffer)
                return self._given_up_head(line) if self._scanned > MAX_HEAD_BYTES else None
            if not _is_interim(line):
                self.rest = self._buffer[end.end() :]
                return _head(line, self._buffer[line.end() : end.end()], whole=b"\r\r" not in end[0])
            self._pass_over(end.end())
        return None

    def end(self) -> Head | None:
        """Return what is left of a Head whose connection ended too early, or None where nothing came.

        Raises ProtocolError where something came that is no answer.
        """
        line = self._status_line() if self._buffer else None
        return self._cut_head(line) if line is not None and not _is_interim(line) else None

    @property
    def began(self) -> bool:
        """Whether any byte of a final answer has come."""
        return bool(self._buffer)

    @property
    def status_seen(self) -> int | None:
        """The code of a status line whose header lines are still on their way."""
        line = _STATUS_LINE.match(self._buffer) if self._has_line else None
        return int(line[2]) if line and not _is_interim(line) else None

    def _has_come_to_a_line(self) -> bool:
        """Whether there is something to judge; each byte is looked at once, however few come at a time."""
        began, self._scanned = self._scanned, len(self._buffer)
        self._has_line = b"\n" in self._buffer[began:]
        if self._has_line:
            self._scanned = 0
        return self._has_line or self._scanned > MAX_HEAD_BYTES or began < len(b"HTTP/")

    def _status_line(self) -> re.Match[bytes] | None:
        line = _STATUS_LINE.match(self._buffer)
        if line is None:
            if not b"HTTP/".startswith(self._buffer[:5].upper()):
                raise ProtocolError(_describe_garbage(self._buffer))
            if b"\n" in self._buffer:
                first_line = self._buffer.partition(b"\n")[0]
                raise ProtocolError(f"the status line is not valid: {_quote(first_line)}")
            if len(self._buffer) > MAX_HEAD_BYTES:
                line = _CUT_STATUS_LINE.match(self._buffer)
                if line is None:
                    raise ProtocolError("the status line does not end")
        return line

    def _pass_over(self, end: int) -> None:
        self._buffer = self._buffer[end:]
        self._scanned = 0
        self._has_line = b"\n" in self._buffer
        self._interim_bytes += end
        if self._interim_bytes > MAX_HEAD_BYTES:
            raise ProtocolError(_NO_FINAL)

    def _given_up_head(self, line: re.Match[bytes]) -> Head:
        if _is_interim(line):
            raise ProtocolError(_NO_FINAL)
        return self._cut_head(line)

    def _cut_head(self, line: re.Match[bytes]) -> Head:
        block, _, _ = self._buffer[line.end() : MAX_HEAD_BYTES].rpartition(b"\n")
        return _head(line, block, whole=False)


def _is_interim(line: re.Match[bytes]) -> bool:
    return line[2][:1] == b"1" and line[2] != b"101"


@lru_cache(maxsize=KNOWN_HEADS)
def _whole_head(data: bytes) -> Head | None:
    """Return the Head that *data* is, no more and no less; None leaves it to the general way.

    Within a second a server sends the same head many times, to redirects and missing pages above all: it is read once.
    """
    line = _STATUS_LINE.match(data)
    if line is None or _is_interim(line):
        return None
    end = _HEAD_END.search(data, line.end() - 1)
    if end is None or end.end() < len(data):
        return None
    return _head(line, data[line.end() :], whole=True)


def _head(line: re.Match[bytes], block: bytes, *, whole: bool) -> Head:
    status, reason = int(line[2]), line[3]
    minor_version = 1 if line[1] is None else int(line[1])
    text = _decode_reason(reason.strip())[:MAX_REASON] if reason else ""
    fields = _fields(block)
    length = _content_length(fields.get("content-length"))
    keeps = whole and status != 101 and _stays_open(fields, minor_version) and _is_framed(fields, length, minor_version)
    return Head(status, text, minor_version, fields, whole, length, keeps)


def _content_length(text: str | None) -> int | None:
    """Return the number, None where there is none or no single one.

    Source: RFC 9110, section 8.6: equal repetitions may be taken as one.
    """
    if text is None:
        return None
    if text.isdigit() and text.isascii() and len(text) < 19:  # a tenth of the time of what follows
        return int(text)
    values = {value.strip() for value in text.replace("\n", ",").split(",")}
    value = values.pop()
    return int(value) if not values and value.isascii() and value.isdigit() and len(value) < 19 else None


def _stays_open(fields: Mapping[str, str], minor_version: int) -> bool:
    """Whether the server says that it keeps the connection, which only HTTP/1.0 must say at length."""
    connection = fields.get("connection", "").lower()
    return "close" not in connection and (minor_version > 0 or "keep-alive" in connection)


def _is_framed(fields: Mapping[str, str], length: int | None, minor_version: int) -> bool:
    """Whether what is said of the body's end, if anything, can be taken in one way only."""
    coding = fields.get("transfer-encoding")
    if coding is not None:
        return "content-length" not in fields and coding.lower() == "chunked" and minor_version > 0
    return length is not None or "content-length" not in fields


def _fields(block: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    more: dict[str, list[str]] = {}  # of names that come again, and of folded lines: joined once, not at each
    name = ""
    for line in block.decode("latin-1").split("\n"):
        if line.startswith((" ", "\t")):  # obsolete line folding: RFC 9112, section 5.2; of nothing, it is none: 2.2
            if name and line.strip(_BLANKS):
                more.setdefault(name, [fields[name]]).extend((" ", line.strip(_BLANKS)))
            continue
        before, colon, value = line.partition(":")
        if colon:
            name = before.strip(_BLANKS).lower()
            value = value.strip(_BLANKS)
            if name in fields:
                more.setdefault(name, [fields[name]]).extend(("\n", value))
            else:
                fields[name] = value
    for name, parts in more.items():
        fields[name] = "".join(parts)
    return fields


def _decode_reason(reason: bytes) -> str:
    """Return the reason phrase as text: ASCII and UTF-8, else GBK (seen on IIS in China), else latin-1."""
    if reason.isascii():
        return reason.decode("ascii")
    for encoding in ("utf-8", "gbk"):
        with suppress(UnicodeDecodeError):
            return reason.decode(encoding)
    return reason.decode("latin-1")


def _describe_garbage(data: bytes) -> str:
    if data.startswith((b"\x16\x03", b"\x15\x03")):
        return "the server speaks TLS on this port, not plain HTTP"
    if data.startswith(b"SSH-"):
        return "the server on this port speaks SSH, not HTTP"
    if data.lstrip()[:1] == b"<":
        return "the server sent a page without a status line (HTTP/0.9)"
    return f"the server sent no HTTP answer but {_quote(data)}"


def _quote(data: bytes) -> str:
    text = data[:40].decode("latin-1")
    return "'" + "".join(c if c.isprintable() and c.isascii() else "." for c in text).strip() + "'"


def chunked_end(data: bytes) -> int | None:
    """Return where the chunked body at the start of *data* ends, or None while it is not complete.

    Raises ProtocolError where it is no chunked body.  Source: RFC 9112, section 7.1.
    """
    position = 0
    while True:
        size = _CHUNK_SIZE.match(data, position)
        if size is None:
            if data.find(b"\n", position) >= 0 or len(data) - position > MAX_CHUNK_LINE_BYTES:
                raise ProtocolError("the size of a chunk is not valid")
            return None
        if int(size[1], 16) == 0:
            trailer = _TRAILER_END.match(data, size.end())
            return trailer.end() if trailer else None
        end = _CHUNK_END.match(data, size.end() + int(size[1], 16))
        if end is None:
            raise ProtocolError("a chunk of the body does not end where it says")
        if not end[0].endswith(b"\n"):
            return None
        position = end.end()


def dechunk(data: bytes) -> bytes:
    """Return the content of a chunked body, as far as *data* holds it."""
    content: list[bytes] = []
    position = 0
    while (size := _CHUNK_SIZE.match(data, position)) and (length := int(size[1], 16)):
        content.append(data[size.end() : size.end() + length])
        position = size.end() + length
        position += len(ending[0]) if (ending := _CHUNK_END.match(data, position)) else 0
    return b"".join(content)
