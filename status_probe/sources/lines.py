r"""The bytes of one list to its lines: opened, ungzipped, decoded and split, lazily and within bounds.

Where no encoding is named it is the byte order mark's; UTF-16 without a mark is known by its NULs.  Else all is ASCII
until a chunk holds more, and that chunk decides: UTF-8 where more of it is valid than not, else the system's encoding,
or where that is UTF-8 itself, GB18030 for what looks like Chinese and Windows-1252 for the rest.  What an encoding
cannot decode becomes an escape (``%FF``), and so does a NUL: a line is neither lost nor quietly another one.

Lines end in LF, CRLF or CR and nowhere else: VT, FF, U+0085 and U+2028, at which str.splitlines splits too, are part of
them.
"""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import locale
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["Content", "SourceError", "check_encoding", "quoted", "read_lines"]

CHUNK_BYTES = 65_536
TELLING_BYTES = 16  # of these the encoding is not guessed: one letter of them may be cut in two

_MARKS = (  # UTF-32's little-endian one begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_GZIP = b"\x1f\x8b"
_SHEET = re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0")  # xlsx, ods and any other zip; xls
_BINARY = re.compile(  # what is in letters only is no binary file without a byte that is none
    rb"%PDF-\d|BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|\x89PNG|\xff\xd8\xff"
    rb"|PAR1[\0-\x08\x0e-\x1f]|SQLite format 3\0"
)
# What may be a URL without its scheme, and no list: www.example.com/page, 192.0.2.1:8080
_BARE_URL = re.compile(r"(?!.*\.(txt|csv|tsv|gz|xlsx?|ods)$)[\w-]+(\.[\w-]+)+(:\d+)?(/.*)?", re.IGNORECASE)


class SourceError(ValueError):
    """A list cannot be used, or not read on; the message is one line for the user."""


class Content:
    """The bytes of one source: a file, which each pass opens anew, or a stream, which can be read once.

    *name* is what the user called it.  *stream* is read in its place where given, and never closed.
    """

    def __init__(self, name: str, stream: BinaryIO | None = None) -> None:
        self.name = name
        self._path = Path(name)
        self._given = stream
        self._stream: io.BufferedReader | None = _buffered(stream) if stream else None
        self._spent = False

    @property
    def rereadable(self) -> bool:
        """Whether it is a file, or was spooled to one."""
        return self._stream is None

    def check(self) -> None:
        """Look at the beginning; raise SourceError where it cannot be read or is no text.

        Of a stream only what has come is looked at, or, where nothing has, what comes first.
        """
        with _told_plainly(self.name):
            if self._path.is_dir() and not self._stream:
                raise SourceError(f"cannot read {quoted(self.name)}: it is a directory")
            if self._stream is None and self._path.exists() and not self._path.is_file():
                self._stream = self._path.open("rb")  # a pipe, as in bash's <(command): not to be opened twice
            beginning = self._stream.peek() if self._stream else next(self.chunks(), b"")
        if _SHEET.match(beginning):
            raise SourceError(f"{quoted(self.name)} is a workbook or an archive, not text: export it as CSV")
        if _BINARY.match(beginning):
            raise SourceError(f"{quoted(self.name)} is a binary file, not text: export it as CSV or text")

    def chunks(self) -> Iterator[bytes]:
        """Yield what it holds, ungzipped, as it comes; raise SourceError where it can be read no further."""
        with _told_plainly(self.name), ExitStack() as stack:
            raw = self._once() or stack.enter_context(self._path.open("rb"))
            reader: io.BufferedReader | gzip.GzipFile = raw
            if raw.peek(2).startswith(_GZIP):
                reader = stack.enter_context(gzip.GzipFile(fileobj=raw))
            elif self.name.lower().endswith(".gz"):
                raise SourceError(f"{quoted(self.name)} is not gzip data, though its name ends in .gz")
            while chunk := reader.read1(CHUNK_BYTES):
                yield chunk

    def spool(self, path: Path) -> None:
        """Copy the stream to a new file, *path*, and read that from now on."""
        with _told_plainly(self.name):
            stream = self._once()
            if stream:
                with path.open("xb") as copy:
                    shutil.copyfileobj(stream, copy)
                self.close()
                self._path = path

    def close(self) -> None:
        """Let go of the stream; one that was given stays open."""
        if self._stream and self._stream is not self._given:
            if self._given:
                self._stream.detach()
            else:
                self._stream.close()
        self._stream = None

    def _once(self) -> io.BufferedReader | None:
        if self._stream and self._spent:
            raise SourceError(f"{quoted(self.name)} can be read only once")
        self._spent = True
        return self._stream


def read_lines(content: Content, encoding: str | None, limit: int) -> Iterator[str]:
    """Yield the lines of *content* without their ends, each as soon as it is there.

    Of a line of more than *limit* characters only the beginning is held and yielded, which then is longer than *limit*
    too.  Where SourceError cuts the last line short it is dropped: half a URL is another URL.
    """
    pending = ""
    for text in _texts(content.chunks(), encoding):
        lines = text.split("\n")
        lines[0] = pending + lines[0]
        pending = lines.pop()[: limit + 1]
        yield from lines
    if pending:
        yield pending


ESCAPED = "status_probe.percent"  # the name of the next, for the codecs


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write undecodable bytes as a URL has them: ``%E9``.  With a backslash browsers, and we, would ask ``/xe9``."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(ESCAPED, _escape)


def check_encoding(name: str) -> None:
    """Raise SourceError unless *name* is an encoding of text that can be read bit by bit."""
    try:
        example = "http://a/".encode(name)  # refuses codecs that are none of text, such as hex
        codecs.getincrementaldecoder(name)(ESCAPED).decode(example, True)
    except (LookupError, ValueError):
        raise SourceError(f"unknown encoding {quoted(name)}; known are utf-8, utf-16, gb18030, cp1252, ...") from None


def quoted(text: str) -> str:
    """Return *text* in quotation marks, with escapes only where it would break a message's line."""
    return f"'{text}'" if text.isprintable() else repr(text)


@contextmanager
def _told_plainly(name: str) -> Iterator[None]:
    """Turn what goes wrong in reading *name* into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise SourceError(f"cannot read {quoted(name)} to its end: its gzip data is cut short or damaged") from None
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name, a stream that was closed
        is_url = _BARE_URL.fullmatch(name)
        is_no_name = is_url and isinstance(exc, OSError) and exc.errno == errno.EINVAL  # to Windows, with a "?"
        if isinstance(exc, FileNotFoundError) or is_no_name:
            hint = f"; if it is a URL, write {quoted('https://' + name)}" if is_url else ""
            raise SourceError(f"cannot read {quoted(name)}: no such file{hint}") from None
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise SourceError(f"cannot read {quoted(name)}: {reason.lower()}") from exc


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))


def _texts(chunks: Iterator[bytes], encoding: str | None) -> Iterator[str]:
    """Decode chunk by chunk, every line end made a line feed, NULs escaped and a byte order mark dropped."""
    head = _head(chunks)
    known = _marked_encoding(head) if encoding is None else _named_encoding(encoding, head)
    decoder = codecs.getincrementaldecoder(known)(ESCAPED) if known else _GuessingDecoder()
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    yield newlines.decode(head).removeprefix("\ufeff").replace("\0", "%00")
    for chunk in chunks:
        yield newlines.decode(chunk).replace("\0", "%00")
    yield newlines.decode(b"", final=True).replace("\0", "%00")  # what it has held back


def _head(chunks: Iterable[bytes]) -> bytes:
    """Return the first chunks, up to the four bytes that a mark may have, or up to a line that is shorter."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4 or b"\n" in head:
            break
    return head


def _marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark or NULs at every other place tell, or None."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[:1024:2].count(0), head[1:1024:2].count(0)
    if max(even, odd) * 4 > len(head[:1024]) and min(even, odd) * 8 < max(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def _named_encoding(name: str, head: bytes) -> str:
    """Return *name* with the order of bytes, for which Python's own decoders would insist on a mark."""
    encoding = codecs.lookup(name).name
    if encoding not in ("utf-16", "utf-32"):
        return encoding
    marked = _marked_encoding(head) or ""
    return marked if marked.startswith(encoding) else f"{encoding}-le"


class _GuessingDecoder(codecs.IncrementalDecoder):
    """ASCII until a chunk holds more; that chunk decides, from some bytes of it on that tell enough."""

    def __init__(self) -> None:
        super().__init__(ESCAPED)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held = b""  # the end of a chunk, where what is more than ASCII has just begun

    def decode(self, chunk: bytes, final: bool = False) -> str:  # type: ignore[override]
        if self._decoder is None:
            chunk, self._held = self._held + chunk, b""
            if chunk.isascii():
                return chunk.decode("ascii")
            if not final and chunk[:-TELLING_BYTES].isascii() and not chunk.endswith(b"\n"):
                chunk, self._held = chunk[:-TELLING_BYTES], chunk[-TELLING_BYTES:]
                return chunk.decode("ascii")
            self._decoder = codecs.getincrementaldecoder(_guess(chunk))(ESCAPED)
        return self._decoder.decode(chunk, final)


def _guess(chunk: bytes) -> str:
    """Return the encoding of a chunk that is more than ASCII and may end within a character."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(chunk)
    invalid = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) >= 2 * invalid:
        return "utf-8"
    system = codecs.lookup(locale.getpreferredencoding(False)).name
    if system in ("gb2312", "gbk"):  # of which it is a superset
        return "gb18030"
    if system not in ("utf-8", "ascii"):
        return system
    return "gb18030" if _looks_chinese(chunk) else "cp1252"


def _looks_chinese(chunk: bytes) -> bool:
    """Tell whether *chunk* is valid in GB18030 and has its bytes above ASCII in runs, as European text has not."""
    runs = re.findall(rb"[\x80-\xff]+", chunk)
    alone = sum(len(run) == 1 for run in runs)
    try:
        codecs.getincrementaldecoder("gb18030")().decode(chunk)
    except UnicodeDecodeError:
        return False
    return alone * 2 < sum(map(len, runs))
