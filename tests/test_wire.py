"""Laws of wire: bytes in any pieces to a head, or to the one error it has, within bounds."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from status_probe import wire
from status_probe.wire import MAX_HEAD_BYTES, Head, HeadReader, ProtocolError, chunked_end, dechunk

TOO_MUCH = MAX_HEAD_BYTES + 1000

# Bytes of which some are near to an answer, so that a generator gets behind the first check.
fragments = st.sampled_from([
    b"HTTP/1.1 ", b"HTTP/1.0 ", b"http/1.1\t", b"HTTP/2 ", b"200", b"404 Not Found", b"103", b"101", b"099", b" ",
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"Location: /a", b"Content-Length: 5", b":",
    b"Connection: close", b"Transfer-Encoding: chunked", b" folded", b"\xc3\xa0", b"\0", b"0\r\n\r\n",
    b"5\r\nhello\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 404\r\n\r\n",
])  # fmt: skip
streams = st.lists(fragments | st.binary(max_size=8), max_size=12).map(b"".join)


def read(data: bytes) -> Head:
    """Return the head that *data* holds, which must be complete."""
    head = HeadReader().feed(data)
    assert head is not None
    return head


def read_to_end(*pieces: bytes) -> tuple[Head | None, bytes]:
    """Return the head of *pieces* and of the end of the connection after them, and what is left of them."""
    reader = HeadReader()
    for place, piece in enumerate(pieces):
        head = reader.feed(piece)
        if head is not None:
            return head, reader.rest + b"".join(pieces[place + 1 :])
    return reader.end(), b""


def outcome(*pieces: bytes) -> tuple[Head | None, bytes] | str:
    """Return what read_to_end() does, or that it is refused."""
    try:
        return read_to_end(*pieces)
    except ProtocolError:
        return "refused"


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_many_small_pieces_cost_no_more_than_their_bytes() -> None:
    """A line that comes byte by byte is not matched from its beginning each time: it would take a minute."""
    for began in (b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nA: "):
        reader = HeadReader()
        reader.feed(began + b"x" * 200_000)
        took = time.thread_time()
        for _ in range(10_000):
            reader.feed(b"x")
            assert reader.status_seen == (200 if b"\n" in began else None)
        assert time.thread_time() - took < 5.0


@pytest.mark.parametrize("lines", [b"a: b\r\n" * 30_000, b"a: b\r\n" + b" b\r\n" * 40_000])
def test_many_parts_of_one_field_are_joined_once(lines: bytes) -> None:
    """Fields that come again, and folded lines, are all there."""
    value = read(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n").fields["a"]
    assert value.count("b") == lines.count(b"b")
    assert set(value) == ({"b", "\n"} if b"\n " not in lines else {"b", " "})


def test_a_line_that_is_folded_onto_nothing_is_no_field() -> None:
    """What begins with a blank right behind the status line is passed over: RFC 9112, section 2.2."""
    assert read(b"HTTP/1.1 200 OK\r\n Location: /x\r\nA: b\r\n\r\n").fields == {"a": "b"}


# The status line


@pytest.mark.parametrize("line", [
    b"HTTP/1.1 %d OK", b"HTTP/1.0 %d OK", b"HTTP/1.1 %d", b"HTTP/1.1 %d ", b"HTTP/1.7 %d \xd5\xd2\xb2\xbb\xb5\xbd",
    b"http/1.1 %d ok", b"HTTP/2 %d", b"HTTP/2.0 %d OK", b"HTTP/3 %d", b"HTTP/1.1  %d   OK", b"HTTP/1.1\t%d\tOK",
    b"HTTP/1.1 %dOK", b"HTTP/1.1 %d: Not Found", b"HTTP/1.1 %d.0 Not Found", b"HTTP/1.0 %d(Forbidden)", b"HTTP/2 %d;",
    b"HTTP/1.1 %d\xe6\x9c\xaa 1", b"HTTP/1.1 %d_0", b"HTTP/1.1 %d\0",
    b"HTTP/1.1 %d a\rb", b"HTTP/1.1 %d a\0b", b"HTTP/1.1 %d 500 200", b"HTTP/1.1 %d " + b"long" * 5000,
])  # fmt: skip
@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\r\r\n"])
def test_a_valid_status_line_gives_its_status(line: bytes, ending: bytes) -> None:
    """The status is read whatever the reason, the minor version and the line's end, and in the forms curl takes too."""
    for status in (101, 200, 204, 299, 304, 404, 599, 600, 999):
        assert read(line % status + ending + ending).status == status


@pytest.mark.parametrize("line", [
    b"HTTP/1.1 000 A", b"HTTP/1.1 099 A", b"HTTP/1.1 2000 A", b"HTTP/1.1 20 A", b"HTTP/1.1 2", b"HTTP/1.1 ",
    b"HTTP/1.1", b"HTTP/1.1 2_00 A", b"HTTP/1.1 +200 A", b"HTTP/1.1 -200 A", b"HTTP/1.1 20OK", b"HTTP/1.1 2000OK",
    b"HTTP/1.1 0x99", b"HTTP/1.1 \xef\xbc\x92\xef\xbc\x90\xef\xbc\x90 A", b"HTTP/1.1200 A", b"HTTP/1.10 200 A",
    b"HTTP/11 200 A", b"HTTP/1. 200 A", b"HTTP/ 200 A", b"HTTP/0.9 200 A", b"HTTP/4 200 A", b"HTTP 200 A",
    b"HTTPS/1.1 200 A", b"200 A", b"ICY 200 A", b"RTSP/1.0 200 A", b" HTTP/1.1 200 A", b"\r\nHTTP/1.1 200 A",
    b"\xef\xbb\xbfHTTP/1.1 200 A", b"<html>", b"SSH-2.0-OpenSSH_9.6", b"\x15\x03\x01\x00\x02\x02\x46", b"\0",
    b"GET / HTTP/1.1", b"HTTP/1.1 OK 200",
])  # fmt: skip
def test_any_other_line_is_no_answer(line: bytes) -> None:
    """What is no status line is refused, with a sentence in plain words, and never taken for a number near to it."""
    with pytest.raises(ProtocolError) as caught:
        read(line + b"\r\nContent-Length: 0\r\n\r\n")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120


def test_garbage_is_refused_at_its_first_byte() -> None:
    """What cannot become a status line is refused at once, not when a read times out."""
    for garbage in (b"<", b"S", b"HTTQ", b"\x15", b"\n"):
        with pytest.raises(ProtocolError):
            HeadReader().feed(garbage)
    assert HeadReader().feed(b"hTTp") is None


@pytest.mark.parametrize(("sent", "text"), [
    (b"Not Found", "Not Found"), (b"", ""), (b"   ", ""), ("未找到".encode(), "未找到"),
    ("未找到".encode("gbk"), "未找到"),
    (b"caf\xe9!", "café!"), (b"\xff\xff", "ÿÿ"), (b" OK \r", "OK"), ("页".encode() * 2000, "页" * 1000),
])  # fmt: skip
def test_the_reason_is_text(sent: bytes, text: str) -> None:
    """A reason in UTF-8, GBK or latin-1 is read as such, without the blanks around it, and cut to 1,000 characters."""
    assert read(b"HTTP/1.1 404 " + sent + b"\r\n\r\n").reason == text


# Header lines


def test_header_lines_are_read_leniently() -> None:
    """Lines that are none are skipped, and those behind them are read; blanks, NUL, LF, folds, repetitions too."""
    head = read(
        b"HTTP/1.1 200 OK\r\nno colon here\r\n: no name\r\nA : 1\nb:\t2\t\r\n\x00\xff\r\nB:3\r\n  folded\r\n"
        b"E:\r\n=?:?\r\nLOCATION: /x:y\r\r\n\r\n"
    )
    assert head.whole
    fields = head.fields
    assert (fields["a"], fields["b"], fields["e"], fields["location"]) == ("1", "2\n3 folded", "", "/x:y")
    assert head.first("b") == "2"
    assert head.first("none") == ""


@pytest.mark.parametrize("text", ["/à", "/Å", "/caf\u00e9", "/页", "/\u3000", "/\x1c", "/\u00a0"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_value_keeps_its_bytes(text: str, encoding: str) -> None:
    """Only blanks of ASCII around a value go: 0x85 and 0xA0 are the ends of letters in UTF-8."""
    sent = text.encode(encoding, "replace")
    assert read(b"HTTP/1.1 302 F\r\nLocation:  " + sent + b" \t\r\n\r\n").first("location").encode("latin-1") == sent


@given(st.binary(max_size=40).filter(lambda value: b"\n" not in value))
def test_every_value_can_be_had_as_it_was_sent(value: bytes) -> None:
    """A value in latin-1 is the bytes sent, but for the blanks around it."""
    head = read(b"HTTP/1.1 200 OK\r\nX: " + value + b"\r\nY: 1\r\n\r\n") if value.strip(b" \t\r") else None
    if head is not None:
        assert head.fields == {"x": value.strip(b" \t\r").decode("latin-1"), "y": "1"}


def test_many_and_long_header_lines_are_read() -> None:
    """Five thousand header lines, and one of 200,000 bytes, hide no line that follows."""
    for block in (b"Set-Cookie: a=b\r\n" * 5000, b"X: " + b"x" * 200_000 + b"\r\n"):
        head = read(b"HTTP/1.1 302 F\r\n" + block + b"Location: /a\r\n\r\n")
        assert (head.status, head.first("location"), head.whole) == (302, "/a", True)


# Interim answers


@pytest.mark.parametrize("status", [100, 102, 103, 110, 199])
@pytest.mark.parametrize("count", [1, 2, 99, 3000])
def test_interim_answers_are_passed_over(status: int, count: int) -> None:
    """Any number of 1xx answers, with header lines or without, is followed by the one that counts."""
    interim = b"HTTP/1.1 %d I\r\nLink: </a>\r\n\r\n" % status + b"HTTP/1.1 %d\r\n\r\n" % status
    head, rest = read_to_end(*pieces_of(interim * count + b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nbody", 4096))
    assert head is not None
    assert (head.status, head.fields, rest) == (404, {"a": "b"}, b"body")


def test_101_is_final() -> None:
    """101 is an answer, without a body, and ends the use of its connection."""
    head = read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n")
    assert head.status == 101
    assert not head.has_body("GET")
    assert not head.reusable("GET")


def test_an_interim_answer_never_becomes_the_final_one() -> None:
    """An interim answer is no answer where the connection ends, where it is without bounds, nor where they are many."""
    assert read_to_end(b"HTTP/1.1 103 Early Hints\r\n\r\n") == (None, b"")
    assert read_to_end(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n") == (None, b"")
    for flood in (b"HTTP/1.1 103 I\r\n\r\n" * 20_000, b"HTTP/1.1 103 I\r\n" + b"a: b\r\n" * 60_000):
        with pytest.raises(ProtocolError, match="interim"):
            read_to_end(*pieces_of(flood, 16384))


# Cut, in pieces, at random


WHOLE = b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 302 Found\r\nA: 1\r\nLocation: /target\r\nB: 2\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_cut_anywhere_the_status_stays_once_its_line_is_whole(cut: int) -> None:
    """An end anywhere behind the status line keeps the status and the whole header lines; half a line is none."""
    head, rest = read_to_end(WHOLE[:cut])
    line_end = WHOLE.index(b"Found\r\n") + 7
    assert rest == b""
    if cut < line_end:
        assert head is None
        return
    assert head is not None
    assert head.status == 302
    assert not head.whole
    assert not head.reusable("HEAD")
    assert head.first("location") == ("/target" if cut >= WHOLE.index(b"B: 2") else "")


def test_what_has_come_can_be_asked() -> None:
    """While an answer comes, the reader tells whether it began, and its status: for the sentence of a time-out."""
    reader = HeadReader()
    assert not reader.began
    reader.feed(b"HTTP/1.1 103 I\r\n\r\n")
    assert not reader.began
    reader.feed(b"HTTP/1.1 40")
    assert reader.began
    assert reader.status_seen is None
    reader.feed(b"4 Not Found\r\nA")
    assert reader.status_seen == 404


@given(streams, st.integers(1, 9))
@example(b"HTTP/1.1 200 OK\r\r\n\r\r\n", 1)
@example(b"HTTP/1.1 103 I\n\r\n\nHTTP/1.1 200\n\n", 3)
@settings(max_examples=500, deadline=None)
def test_pieces_make_no_difference(data: bytes, size: int) -> None:
    """Byte by byte, in pieces or at once: the same head and the same rest, or refused alike."""
    at_once = outcome(data)
    assert outcome(*pieces_of(data, size)) == at_once
    assert outcome(*pieces_of(data, 1)) == at_once


@pytest.mark.parametrize("length", [MAX_HEAD_BYTES - 40, MAX_HEAD_BYTES - 25, MAX_HEAD_BYTES, TOO_MUCH])
def test_pieces_make_no_difference_at_the_bound(length: int) -> None:
    """Where the bound falls does not depend on how much is received at a time."""
    for data in (
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * length + b"\r\nY: 1\r\n\r\nrest",
        b"HTTP/1.1 200 " + b"x" * length + b"\r\nY: 1\r\n\r\nrest",
    ):
        heads = {repr(read_to_end(*pieces_of(data, size))[0]) for size in (1000, 16384, 1 << 20)}
        assert len(heads) == 1
        assert "status=200" in heads.pop()


@given(streams | st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever comes ends in a head, in nothing, or in ProtocolError, also in what a head can be asked."""
    for text in (data, b"HTTP/1.1 200 OK\r\n" + data):
        got = outcome(text)
        if not isinstance(got, str) and got[0] is not None:
            head = got[0]
            assert 100 <= head.status <= 999
            assert head.whole or not (head.reusable("GET") or head.reusable("HEAD"))
            assert head.content_length is None or head.content_length >= 0
            assert all(name == name.lower() for name in head.fields)


# Bounds


@pytest.mark.parametrize("endless", [
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000, b"HTTP/1.1 200 OK\r\nA: " + b"x" * 500_000,
    b"HTTP/1.1 200 " + b" " * 500_000, b"HTTP/1.1 200 " + b"\r" * 500_000,
    b"HTTP/1.1 200 OK\r\n" + b" a\r\n" * 100_000, b"HTTP/1.1 200 OK\r\n" + b"a:\n" * 100_000,
])  # fmt: skip
def test_an_endless_head_keeps_its_status(endless: bytes) -> None:
    """A head without end is given up at the bound, its status is not, and its connection is not used again."""
    reader = HeadReader()
    taken = 0
    for piece in pieces_of(endless, 16384):
        taken += len(piece)
        head = reader.feed(piece)
        if head is not None:
            break
    else:
        pytest.fail("it never ends")
    assert (head.status, head.whole, head.reusable("HEAD")) == (200, False, False)
    assert taken <= MAX_HEAD_BYTES + 16384


@pytest.mark.parametrize("endless", [
    b"HTTP/1.1 " + b" \t" * 250_000, b"HTTP/1.1 200" + b"\r" * 500_000, b"HTTP/1.1 200 OK\r\n" + b"\r" * 500_000,
    b"HTTP/1.1 200 " + b" \r" * 250_000, b"HTTP/1.1 200 OK\r\n" + b"x\n \r" * 130_000,
    b"HTTP/1.1 200 OK\r\nA:b\n" + b" c\n" * 170_000, b"HTTP/1.1 103 I\r\n\r\n" * 30_000,
    b"HTTP/1.1 200 OK\r\n" + b"a:b\n" * 130_000,
])  # fmt: skip
def test_no_head_costs_more_than_a_moment(endless: bytes) -> None:
    """No head is searched in the square of its length: its worker, and all others, would stand still meanwhile."""
    began = time.process_time()
    outcome(*pieces_of(endless, 4096))
    assert time.process_time() - began < 2.0


def test_memory_is_bounded() -> None:
    """Ten megabytes of header lines, of interim answers or of one line hold a few MiB."""
    floods = [b"A: b\r\n" * 1000, b"HTTP/1.1 103 I\r\n\r\n" * 300, b"x" * 6000]
    for flood in floods:
        reader = HeadReader()
        reader.feed(b"HTTP/1.1 200 OK\r\n" if flood is not floods[1] else b"")
        tracemalloc.start()
        try:
            for _ in range(1700):
                if reader.feed(flood) is not None:
                    break
        except ProtocolError:
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20 * MAX_HEAD_BYTES


# Where the body ends, and whether the connection may be used again


def head_of(status: int, *lines: bytes, version: bytes = b"1.1") -> Head:
    block = b"".join(line + b"\r\n" for line in lines)
    return read(b"HTTP/%s %d X\r\n" % (version, status) + block + b"\r\n")


@pytest.mark.parametrize(("value", "length"), [
    (b"5", 5), (b"0", 0), (b" 5 ", 5), (b"005", 5), (b"5, 5", 5), (b"5\r\nContent-Length: 5", 5), (b"5, 7", None),
    (b"5\r\nContent-Length: 7", None), (b"-5", None), (b"+5", None), (b"5.0", None), (b"1e3", None), (b"", None),
    (b"0x5", None), (b"\xb2", None), (b"5_0", None), (b"9" * 5000, None), (b"five", None), (b"5 5", None),
])  # fmt: skip
def test_content_length_is_one_number_or_none(value: bytes, length: int | None) -> None:
    """Equal repetitions are one length, all else but digits is none; then nobody knows where the body ends."""
    head = head_of(200, b"Content-Length: " + value)
    assert head.content_length == length
    assert head.reusable("GET") is (length is not None)


def test_these_answers_have_no_body() -> None:
    """Answers to HEAD, and 101, 204 and 304, end with their head whatever their header lines say."""
    for status in (101, 204, 304):
        assert not head_of(status, b"Content-Length: 5").has_body("GET")
    assert not head_of(200, b"Transfer-Encoding: chunked").has_body("HEAD")
    assert head_of(200).has_body("GET")
    assert head_of(205).has_body("GET")
    assert head_of(404, b"Content-Length: 0").has_body("GET")


@pytest.mark.parametrize(("method", "lines"), [
    ("GET", [b"Content-Length: 5"]), ("GET", [b"Transfer-Encoding: chunked"]),
    ("GET", [b"transfer-encoding:\tCHUNKED"]),
    ("HEAD", []), ("HEAD", [b"Content-Length: 5"]), ("GET", [b"Content-Length: 5", b"Connection: keep-alive"]),
])  # fmt: skip
def test_a_plain_answer_leaves_its_connection_usable(method: str, lines: list[bytes]) -> None:
    """Where the end is beyond doubt the connection is used again."""
    assert head_of(200, *lines).reusable(method)


@pytest.mark.parametrize(("method", "lines"), [
    ("GET", []), ("GET", [b"Connection: close", b"Content-Length: 5"]), ("HEAD", [b"Connection: Keep-Alive, CLOSE"]),
    ("GET", [b"Content-Length: 5", b"Transfer-Encoding: chunked"]), ("GET", [b"Transfer-Encoding: gzip, chunked"]),
    ("GET", [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"]), ("GET", [b"Transfer-Encoding: identity"]),
    ("GET", [b"Transfer-Encoding:"]), ("HEAD", [b"Content-Length: x"]), ("HEAD", [b"Content-Length: 1, 2"]),
    ("HEAD", [b"Connection: a", b"Connection: close"]), ("GET", [b"Transfer-Encoding: xchunked"]),
])  # fmt: skip
def test_any_doubt_ends_the_use_of_a_connection(method: str, lines: list[bytes]) -> None:
    """Both ways of framing, neither, a length that is none, another coding, or a close: no further use."""
    assert not head_of(200, *lines).reusable(method)


def test_http_1_0_closes_unless_it_says_otherwise() -> None:
    """HTTP/1.0 keeps a connection only where it says so, and knows no chunks."""
    assert not head_of(200, b"Content-Length: 5", version=b"1.0").reusable("GET")
    assert head_of(200, b"Content-Length: 5", b"Connection: Keep-Alive", version=b"1.0").reusable("GET")
    assert not head_of(200, b"Transfer-Encoding: chunked", b"Connection: keep-alive", version=b"1.0").reusable("GET")
    assert head_of(200, version=b"1.1").minor_version == 1
    assert read(b"HTTP/1.0 200\r\n\r\n").minor_version == 0
    assert read(b"HTTP/2 200\r\n\r\n").minor_version == 1


def test_an_odd_end_of_the_head_ends_the_use_of_a_connection() -> None:
    """A blank line of CRCRLF ends the head, but another reader would read on."""
    head = read(b"HTTP/1.1 200 OK\r\r\nContent-Length: 0\r\r\n\r\r\n")
    assert (head.status, head.content_length, head.reusable("GET")) == (200, 0, False)


# Chunks


chunk_lists = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
extensions = st.sampled_from([b"", b";name=value", b" "])
trailers = st.sampled_from([b"", b"A: b\r\n"])
near_chunks = st.lists(st.sampled_from([b"0", b"5", b"\r\n", b"\n", b"a", b";", b"ffffffff", b"hello"])).map(b"".join)


@given(chunk_lists, extensions, trailers, st.binary(max_size=9))
@settings(deadline=None)
def test_chunks_end_where_they_say(chunks: list[bytes], extension: bytes, trailer: bytes, behind: bytes) -> None:
    """The end is found, extensions, trailer and what follows notwithstanding, and never before it is there."""
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    body += b"0%s\r\n%s\r\n" % (extension, trailer)
    assert chunked_end(body + behind) == len(body)
    assert dechunk(body + behind) == b"".join(chunks)
    for cut in range(len(body)):
        assert chunked_end(body[:cut]) is None
        assert b"".join(chunks).startswith(dechunk(body[:cut]))


@pytest.mark.parametrize("body", [
    b"-5\r\nhello\r\n", b"zz\r\n", b"\r\n", b"0x5\r\nhello\r\n", b"5\r\nhello!\r\n0\r\n\r\n", b"5 5\r\nhello\r\n",
    b"<html>\n", b"123456789\r\n", b"+5\r\nhello\r\n", b"5_0\r\n", b"5" + b" " * 5000, b";\r\n",
])  # fmt: skip
def test_what_are_no_chunks_is_refused(body: bytes) -> None:
    """A size that is none, or a chunk that does not end where it says, is refused rather than guessed at."""
    with pytest.raises(ProtocolError):
        chunked_end(body)


@given(st.binary(max_size=60) | near_chunks)
@settings(max_examples=500, deadline=None)
def test_no_body_raises_anything_else(body: bytes) -> None:
    """Whatever comes for chunks ends within it, nowhere, or in ProtocolError, and gives at most its own size."""
    try:
        end = chunked_end(body)
    except ProtocolError:
        end = None
    assert end is None or 0 < end <= len(body)
    assert len(dechunk(body)) <= len(body)


# What is remembered


def test_a_head_that_came_before_is_the_same_again() -> None:
    """The second time nothing is read anew, and what follows the head is the second answer's own."""
    first, second = HeadReader(), HeadReader()
    head = b"HTTP/1.1 404 Gone away\r\nContent-Length: 3\r\nX-Test: remembered\r\n\r\n"
    assert first.feed(head + b"abc") is second.feed(head + b"xyz")
    assert (first.rest, second.rest) == (b"abc", b"xyz")
    assert HeadReader().feed(head.replace(b"404", b"200")) != first.feed(head)


def test_heads_are_remembered_in_bounded_memory() -> None:
    """Few of them, and none that is long."""
    wire._whole_head.cache_clear()
    for number in range(2000):
        read(b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n\r\n" % number)
    assert wire._whole_head.cache_info().currsize <= 256
    wire._whole_head.cache_clear()
    read(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2048 + b"\r\n\r\n")
    assert wire._whole_head.cache_info().currsize == 0
