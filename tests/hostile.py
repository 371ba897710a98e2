"""Hostile replies by the thousand, and what a true row says of each.

    replies(seed, count)      the replies: what is sent, in which pieces, and how it ends
    expected_status(...)      the status of its row, judged from the bytes alone

The judge is written from RFC 9112 and shares nothing with the code it judges.  A status line is ``HTTP/1.x``, blanks,
three digits from 100 to 999, and anything but a fourth digit behind them, up to LF; in the name case does not matter,
and HTTP/2 and HTTP/3 without more are let pass as curl lets them.  1xx but 101 is passed over with its header lines.
Once a final status line is whole the status stands, wherever the reply is cut or whatever follows.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["TRUTHS", "Reply", "expected_status", "innocent", "replies"]

TRUTHS = (200, 203, 204, 226, 299, 304, 400, 401, 403, 404, 405, 410, 418, 451, 500, 501, 505, 599, 600, 999)


class Reply(NamedTuple):
    """What a hostile server sends to one request: *pieces* of bytes, and of seconds to wait between them."""

    pieces: tuple[bytes | float, ...]
    end: str  # 'go_on' waits for the next request; 'close', 'cut', 'reset'
    late: bytes = b""  # sent 30 ms after the rest

    @property
    def data(self) -> bytes:
        """All that is sent before the late bytes."""
        return b"".join(piece for piece in self.pieces if isinstance(piece, bytes))


def innocent(path: str, method: str) -> bytes:
    """Return the proper answer for a path such as ``/truth/404``, whatever follows the number."""
    status = int(path.partition("/truth/")[2][:3])
    body = b"" if status in (204, 304) else b"truth"
    return b"HTTP/1.1 %d Truth\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), b"" if method == "HEAD" else body)


# The judge

_VERSIONS = (b"2", b"2.0", b"3", b"3.0", *(b"1.%d" % minor for minor in range(10)))


def expected_status(reply: Reply, status_of: Callable[[int], int | None]) -> int | None:
    """Return the status of the row for *reply*, None where it must have none.

    *status_of* returns the same for the reply of another number, to which this one may redirect.
    """
    found = _final_answer(reply.data + reply.late)
    if found is None:
        return None
    status, lines, whole = found
    if not whole and reply.end == "go_on":
        return None  # a time-out: nobody ended the head
    target = _location(lines) if status in (301, 302, 303, 307, 308) else b""
    if b"/truth/" in target:
        return int(target.partition(b"/truth/")[2][:3])
    if b"/reply/" in target:
        return status_of(int(target.partition(b"/reply/")[2])) or status
    return status


def _final_answer(data: bytes) -> tuple[int, list[bytes], bool] | None:
    """Return status, whole header lines, and whether the blank line came; None where no final status line is whole."""
    lines = data.split(b"\n")
    lines.pop()  # what no LF ends
    place = 0
    while place < len(lines):
        status = _status(lines[place])
        if status is None:
            return None
        block: list[bytes] = []
        for line in lines[place + 1 :]:
            if not line.strip(b"\r"):
                break
            block.append(line)
        whole = place + 1 + len(block) < len(lines)
        if status == 101 or status >= 200:
            return status, block, whole
        place += len(block) + 2
    return None


def _status(line: bytes) -> int | None:
    words = line.rstrip(b"\r").replace(b"\t", b" ").split(b" ", 1)
    name, slash, version = words[0].partition(b"/")
    if name.upper() != b"HTTP" or not slash or len(words) < 2:
        return None
    if version not in _VERSIONS:
        return None
    behind = words[1].lstrip(b" ")
    code, digit = behind[:3], behind[3:4]
    return int(code) if len(code) == 3 and code.isdigit() and code[:1] != b"0" and not digit.isdigit() else None


def _location(lines: Sequence[bytes]) -> bytes:
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and name.strip().lower() == b"location":
            return value.strip()
    return b""


# The generator


def replies(seed: int, count: int) -> list[Reply]:
    """Return *count* hostile replies, the same for the same *seed*."""
    return [_reply(random.Random(f"{seed}/{number}"), number) for number in range(count)]


def _reply(rng: random.Random, number: int) -> Reply:
    head = _interim(rng) + _status_line(rng)
    status = _status(head.split(b"\n")[-2] if head.count(b"\n") else b"")
    redirects = status is not None and 300 <= status < 400
    lines = _header_lines(rng, [b"Location: " + _where(rng, number), b"Vary: *"] if redirects else [])
    ending = rng.choice([b"\r\n"] * 8 + [b"\n", b"\r\r\n"])
    data = head + b"".join(line + ending for line in lines) + ending + _body(rng)
    end = rng.choice(["go_on"] * 5 + ["close"] * 3 + ["cut", "reset"])
    if rng.random() < 0.3:
        data = data[: rng.randrange(min(len(data), rng.choice([20, 60, 400, 400, 4000])) + 1)]
        end = rng.choice(["close", "cut", "reset"])
    elif not redirects and rng.random() < 0.05:
        data = _damaged(rng, data)
        end = "close"
    found = _final_answer(data)
    if not (found and found[2]):
        end = "go_on" if rng.random() < 0.03 else "close" if end == "go_on" else end  # each silence costs a time-out
    late = _LATE[rng.randrange(len(_LATE))] if end == "go_on" and found and rng.random() < 0.3 else b""
    return Reply(_pieces(rng, data), end, late)


def _interim(rng: random.Random) -> bytes:
    if rng.random() < 0.8:
        return b""
    lines = [b"", b"Link: </a.css>; rel=preload\r\n", b"Location: /truth/299\r\n", b"no colon\r\nContent-Length: 5\r\n"]
    times = range(rng.choice([1, 1, 1, 2, 3, 30]))
    return b"".join(b"HTTP/1.1 %d I\r\n%s\r\n" % (rng.choice((100, 102, 103, 199)), rng.choice(lines)) for _ in times)


def _status_line(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.12:
        return rng.choice(_NO_STATUS_LINES) + rng.choice([b"\r\n", b"\n", b""])
    version = rng.choice([b"HTTP/1.1"] * 12 + [b"HTTP/1.0"] * 4 + _ODD_VERSIONS)
    status = rng.choice([*_STATUSES, rng.randrange(200, 1000), rng.choice((301, 302, 303, 307, 308))])
    gap = rng.choice([b" "] * 15 + [b"  ", b"\t"])
    line = version + gap + b"%d" % status + rng.choice(_REASONS) + rng.choice([b"\r\n"] * 8 + [b"\n", b"\r\r\n"])
    return _damaged(rng, line) if kind < 0.22 else line


def _header_lines(rng: random.Random, wanted: list[bytes]) -> list[bytes]:
    """Return odd lines with those *wanted* among them, the last of which keeps folded lines off the others."""
    lines = [rng.choice(_HEADER_LINES) for _ in range(rng.choice([0, 1, 2, 3, 5, 8]))]
    place = rng.randrange(len(lines) + 1)
    lines[place:place] = wanted
    kind = rng.random()
    if kind < 0.01:
        lines += [b"Set-Cookie: n%d=%s" % (number, b"v" * 20) for number in range(rng.choice([150, 5000]))]
    elif kind < 0.02:
        lines.append(b"X-Long: " + b"x" * rng.choice([9000, 70_000, 300_000, 2_000_000]))
    elif kind < 0.06:
        lines.insert(place, b"?" + rng.randbytes(rng.randrange(60)).replace(b"\n", b"?"))
    return lines


def _where(rng: random.Random, number: int) -> bytes:
    """Return a Location: to an innocent, to an earlier reply, to itself, or to nowhere."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(_WAYS) % rng.choice(TRUTHS)
    if kind < 0.6 and number:
        return b"/reply/%d" % rng.randrange(number)
    return rng.choice(_NOWHERE)


def _body(rng: random.Random) -> bytes:
    return rng.choice(_BODIES) if rng.random() < 0.9 else rng.randbytes(rng.choice([10, 1000, 20_000, 100_000]))


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """Return *data* with a few bytes of its beginning changed, left out or put in."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place = rng.randrange(min(len(changed), 80) + 1)
        byte = rng.choice(b"\r\n\t\0 /.:0123456789Hh\xff_+-") if rng.random() < 0.7 else rng.randrange(256)
        changed[place : place + rng.choice([0, 1, 1])] = bytes([byte] * rng.choice([0, 1, 1, 2]))
    return bytes(changed)


def _pieces(rng: random.Random, data: bytes) -> tuple[bytes | float, ...]:
    """Return *data* whole, or cut into pieces within its head: what is behind it stays in one."""
    if rng.random() < 0.8 or len(data) < 4:
        return (data,)
    head_bytes = next((place for place in (data.find(b"\r\n\r\n"), data.find(b"\n\n")) if place > 0), len(data))
    cuts = sorted({rng.randrange(1, min(head_bytes, 300) + 1) for _ in range(rng.choice([1, 2, 8]))})
    pieces: list[bytes | float] = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        pieces += [data[start:stop], rng.choice([0.0, 0.001, 0.01])]
    return tuple(pieces[:-1])


_ODD_VERSIONS = [b"HTTP/1.9", b"http/1.1", b"Http/1.0", b"HTTP/2", b"HTTP/2.0", b"HTTP/3"]
_STATUSES = (
    101, 200, 200, 200, 204, 206, 299, 300, 301, 302, 304, 305, 306, 307, 308, 400, 401, 403, 404, 407, 408, 410, 416,
    425, 426, 429, 451, 500, 502, 503, 504, 511, 520, 599, 600, 700, 999,
)  # fmt: skip
_REASONS = [b" OK"] * 8 + [
    b"", b" ", b" \t ", b" Not Found", " 未找到".encode(), " 未找到".encode("gbk"), b" caf\xe9", b" a\0b", b" a\rb",
    b" 200 OK", b" HTTP/1.1 500", b" =cmd|' /C calc'!A0", b" <b>", b"\tTab", b" " + b"long " * 500, b" \x1b[31m",
    b" \xff\xfe", b" \xe2\x80\xae", b"OK", b": Not Found", b".0", b"\xe6\x9c\xaa",
]  # fmt: skip
_NO_STATUS_LINES = (
    b"", b"\0", b"HTTP", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 OK", b"HTTP/1.1 000 Zero", b"HTTP/1.1 099 A",
    b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2_00 OK", b"HTTP/1.1 +200 OK", b"HTTP/1.1 -200 OK",
    b"HTTP/1.1 2e2 OK", b"HTTP/1.1 20", b"HTTP/1.1 2 00", b"HTTP/1.1 0x1F4 OK", b"HTTP/1.1200 OK",
    b"HTTP/1.10 200 OK", b"HTTP/11 200 OK", b"HTTP/0.9 200 OK", b"HTTP/4 200 OK", b"HTTPS/1.1 200 OK", b"HTTP 200 OK",
    b"ICY 200 OK", b"RTSP/1.0 200 OK", b"200 OK", b" HTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK",
    b"\xef\xbb\xbfHTTP/1.1 200 OK", b"<html><body>HTTP/1.1 200 OK", b"SSH-2.0-OpenSSH_9.6",
    b"\x15\x03\x01\x00\x02\x02\x46", b"GET / HTTP/1.1", b"220 mail.test ESMTP", b"\xff" * 50,
    b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
)  # fmt: skip
_HEADER_LINES = (
    b"Content-Length: 5", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 5, 7",
    b"Content-Length: 5\r\nContent-Length: 7", b"Content-Length: -5", b"Content-Length: 1e3",
    b"Content-Length: " + b"9" * 30, b"Content-Length:", b"Content-Length: five", b"Content-Length: 100000",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: \x0bchunked", b"transfer-encoding : chunked",
    b"Connection: close", b"Connection: keep-alive", b"Connection: \xff", b"Connection: upgrade",
    b"Content-Encoding: gzip", b"Content-Encoding: br, zstd", b"Content-Type: text/html; charset=\0",
    b"Content-Type: " + b";" * 3000, b"Set-Cookie: a=b; Domain=.; Path=\xff", b"Set-Cookie: =",
    b"Set-Cookie: a=b; expires=Thu, 99 Foo 99999 99:99:99 GMT; max-age=9e99", b"Retry-After: 0", b"Retry-After: soon",
    b"Retry-After: 86400", b"Retry-After: Mon, 99 Jan 99999 00:00:00 +9999", b"WWW-Authenticate: Basic realm=\"\xff",
    b"no colon in this line", b":", b": value", b"=", b" folded", b"\tfolded", b"X: a\rb", b"X\0: y",
    b"\xff\xfe: \xff", b"X: \xe9\x80", b"Trailer: X", b"Alt-Svc: h3=\":443\"", b"Upgrade: h2c",
    b"Refresh: 0; url=/truth/299", b"Server: cloudflare", b"X: " + b"y" * 3000, b"HTTP/1.1 299 Not a status line",
)  # fmt: skip
_WAYS = (
    b"/truth/%d", b"truth/../../truth/%d", b"  /truth/%d\t ", b"/truth/%d#fragment", b"/truth/%d?q=\xe9",
    b"/truth/%d?q=\xe9\xa1\xb5 x", b"./../truth/%d", b"/truth/%d/\xe9\xa1\xb5", b"/truth/%d/%%zz%%41",
    b"/truth/%d?http://[", b"/truth/%d/..;x=1",
)  # fmt: skip
_NOWHERE = (
    b"", b" ", b"mailto:a@b.test", b"javascript:alert(1)", b"file:///etc/passwd", b"ftp://a.test/", b"data:,x",
    b"http://", b"http://[", b"http://[::1", b"//", b"http://a.test:99999/", b"http://a.test:0/", b"http://a.test:x/",
    b"https:///", b"http://" + b"a" * 64 + b".test/", b"http://a\0b.test/", b"x:", b"//[v1.x]/", b"http://1.2.3.4.5/",
    b"urn:isbn:1", b"http://127.0.0.1:1/",
)  # fmt: skip
_BODIES = (
    b"", b"", b"hello", b"hello", b"hello!", b"hell", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n", b"zz\r\n", b"ffffffff\r\n", b"5\r\nhel", b"5\r\nhello\r\n0\r\nX: y\r\n", b"0\r\n\r\n",
    b"<html>" * 2000, gzip.compress(bytes(100_000), mtime=0),
    b"helloHTTP/1.1 299 Smuggled\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 299 Smuggled\r\nContent-Length: 0\r\n\r\n",
    b"\0" * 30_000, b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 299 Smuggled\r\nContent-Length: 0\r\n\r\n",
)  # fmt: skip
_LATE = (
    b"<html>", b"\r\n", b"hello", b"\0", b"HTTP/1.1 299 Late\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Late\r\nContent-Length: 5\r\n\r\ntruth", b"HTTP/1.1 404 Late\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
)  # fmt: skip
