"""Text on terminals of every encoding and width."""

from __future__ import annotations

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from status_probe import console

ENCODINGS = ("utf-8", "utf-16", "gbk", "cp1252", "ascii")
ANY_TEXT = st.text(st.characters())  # lone surrogates included


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


def stream_of(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")


def written(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


@given(ANY_TEXT)
def test_plain_text_is_printable(text: str) -> None:
    """Nothing that moves the cursor, ends a line or turns the direction of writing gets through."""
    assert console.plain(text).isprintable()


@pytest.mark.parametrize("text", ["https://例子.测试/路径?q=é", "a b", ""])
def test_plain_leaves_printable_text_alone(text: str) -> None:
    """What can be read is not escaped."""
    assert console.plain(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("\x1b[2J", r"\x1b[2J"), ("a\r\nb", r"a\r\nb"), ("\x9b31m", r"\x9b31m"), ("\u202e", r"\u202e")],
)
def test_plain_shows_control_characters_as_escapes(text: str, escaped: str) -> None:
    """A reader sees that there was something, and what."""
    assert console.plain(text) == escaped


@given(st.sampled_from(ENCODINGS), ANY_TEXT)
def test_every_text_can_be_said_in_every_encoding(encoding: str, text: str) -> None:
    """What an encoding lacks becomes an escape; the rest arrives as it is, flushed."""
    stream = stream_of(encoding)

    console.say(stream, text)

    assert written(stream) == console.encodable(text, stream) + "\n"


def test_what_the_encoding_has_is_not_escaped() -> None:
    """Chinese is written as Chinese where the code page has it, and as escapes where not."""
    assert console.encodable("é中", stream_of("gbk")) == "é中"
    assert console.encodable("é中", stream_of("cp1252")) == "é\\u4e2d"
    assert console.encodable("é中", io.StringIO()) == "é中"


def test_a_stream_that_is_gone_is_passed_over() -> None:
    """No message is worth the run: neither a missing, nor a closed, nor a broken stream raises."""
    closed = stream_of("utf-8")
    closed.close()

    for stream in (None, closed, Broken()):
        console.say(stream, "text")
        assert not console.is_terminal(stream)
        assert console.terminal_width(stream) == 79


@given(ANY_TEXT, st.integers(1, 40))
def test_cut_text_fits(text: str, width: int) -> None:
    """Cut text takes no more than its width, and is left alone where it fits."""
    cut = console.cut(text, width)

    assert console.columns(cut) <= width
    assert cut == text or (console.columns(text) > width and cut.endswith("..."[:width]))


@given(ANY_TEXT, st.integers(2, 40))
def test_folded_text_fits_and_is_whole(text: str, width: int) -> None:
    """Folding loses nothing and exceeds no width."""
    pieces = list(console.fold(text, width))

    assert "".join(pieces) == text
    assert max(map(console.columns, pieces)) <= width


def test_chinese_counts_two_columns() -> None:
    """Widths are the terminal's, not the number of characters."""
    assert console.columns("正常 ok") == 7
    assert console.columns("ＯＫ") == 4
    assert console.pad("正常", 6) == "正常  "
    assert console.cut("正常正常", 6) == "正..."


def test_blocks_are_for_unicode_only() -> None:
    """GBK has block characters, but its terminals draw them two columns wide."""
    assert [console.has_blocks(stream_of(encoding)) for encoding in ENCODINGS] == [True, True, False, False, False]


def test_the_language_is_one_the_stream_can_write() -> None:
    """Chinese is kept for a stream that can write it; on any other the reader gets English instead of escapes."""
    assert [console.language_for(stream_of(encoding), "zh") for encoding in ENCODINGS] == ["zh", "zh", "zh", "en", "en"]
    assert console.language_for(stream_of("gbk"), "en") == "en"


def test_a_width_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal to ask, COLUMNS tells; the last column stays free."""
    monkeypatch.setenv("COLUMNS", "40")

    assert console.terminal_width(stream_of("utf-8")) == 39


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_width_is_that_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream's own terminal decides, also where COLUMNS or another stream's terminal says otherwise."""
    import pty

    monkeypatch.setenv("COLUMNS", "200")
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as stream:
        set_window_size(follower, 33)

        assert console.terminal_width(stream) == 32
        assert console.is_terminal(stream)


def set_window_size(descriptor: int, columns: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
