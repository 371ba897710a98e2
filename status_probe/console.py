"""Text on a terminal: whatever the stream's encoding, however narrow it is, and whoever wrote the text.

Three rules that the bar, the summary and messages share: what the encoding lacks is written as an escape, and nothing
raises, not even where the terminal is gone; the control characters of a URL never reach the terminal; a width is
counted in columns, of which East Asian wide characters take two.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import unicodedata
from collections.abc import Iterator
from typing import TextIO

__all__ = [
    "columns",
    "cut",
    "encodable",
    "fold",
    "has_blocks",
    "is_terminal",
    "language_for",
    "pad",
    "plain",
    "reason",
    "say",
    "terminal_width",
]


def plain(text: str) -> str:
    r"""Return *text* with each character that is not printable as an escape, such as ``\x1b``.

    That covers control characters, line ends and the marks that turn the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def say(stream: TextIO | None, text: str, end: str = "\n") -> None:
    """Write *text* and *end* to *stream*, whatever its encoding, and flush it; a stream that is gone is passed over."""
    if stream is None:  # what sys.stderr is under pythonw
        return
    with contextlib.suppress(OSError, ValueError):  # a closed terminal ends no run: the rows are worth more
        stream.write(encodable(text, stream) + end)
        stream.flush()


def reason(error: OSError) -> str:
    """Return why *error* came, as a part of a message."""
    return (error.strerror or str(error)).lower()


def terminal_width(stream: TextIO | None) -> int:
    """Return how many columns a line on *stream* may take.

    That is one less than there are, since some terminals wrap at the last.  A stream that is no terminal has the
    width that the environment variable COLUMNS gives, or 80.
    """
    found = 0
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found = os.get_terminal_size(stream.fileno()).columns if stream else 0
    return max(1, (found or shutil.get_terminal_size().columns) - 1)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether somebody may be watching *stream*."""
    with contextlib.suppress(AttributeError, ValueError):  # no such method; closed
        return stream is not None and stream.isatty()
    return False


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"  # a StringIO has None, and takes everything


def encodable(text: str, stream: TextIO | None) -> str:
    """Return *text* with what the encoding of *stream* lacks as escapes, so that its width can be counted."""
    encoding = _encoding(stream)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def has_blocks(stream: TextIO | None) -> bool:
    """Tell whether block characters may be used: in the Chinese code pages they exist, but take two columns."""
    return _encoding(stream).lower().startswith("utf")


def language_for(stream: TextIO | None, lang: str) -> str:
    """Return *lang*, or "en" where *stream* cannot write it."""
    return "en" if lang == "zh" and encodable("中文", stream) != "中文" else lang


def columns(text: str) -> int:
    """Return the columns that *text* takes; for combining characters that is too many, which does no harm."""
    return len(text) if text.isascii() else len(text) + sum(unicodedata.east_asian_width(c) in "FW" for c in text)


def cut(text: str, width: int) -> str:
    """Return *text* in at most *width* columns, with dots where something was cut off."""
    if columns(text) <= width:
        return text
    dots = "..."[:width]
    text = text[: width - len(dots)]
    while columns(text) > width - len(dots):
        text = text[:-1]
    return text + dots


def pad(text: str, width: int) -> str:
    """Return *text* with blanks after it, *width* columns in all."""
    return text + " " * (width - columns(text))


def fold(text: str, width: int) -> Iterator[str]:
    """Yield *text* in pieces of at most *width* columns, two at least; nothing of it is lost."""
    piece = ""
    for character in text:
        if piece and columns(piece + character) > width:
            yield piece
            piece = ""
        piece += character
    yield piece
