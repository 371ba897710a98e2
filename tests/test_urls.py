"""What is listed is what is asked, and what browsers accept is accepted."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from status_probe.urls import (
    InvalidURL,
    Url,
    decode_location,
    has_scheme,
    join,
    parse_url,
    redact,
    redact_cut,
    redact_note,
)

# Texts near to URLs: single characters that matter to a parser, and pieces that belong together.
PIECES = """
    http https :// : / // \\ @ ? # % %2e %zz .. . [ ] ::1 a B 0x7f 017 256 8080 99999 é 。 ａ 😀 xn-- ß
"""
BLANKS = [" ", "\t", "\r\n", "\0", "\udc80", "\ud800"]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(PIECES.split() + BLANKS), max_size=14).map("".join),
    st.text(max_size=9).map("http://{}".format),
)


AS_LISTED = "/ /%7e/%zz/../a /a%20b% /%2e%2E/b /? /a? /a??b /?c=%41 /A/b //x// /ab[]'(),; /?'\\^`{}|"


@pytest.mark.parametrize("target", AS_LISTED.split())
def test_target_is_sent_as_listed(target: str) -> None:
    """Escapes good and bad, case, dot segments and an empty query stay."""
    assert parse_url(f"http://h.test{target}").target == target
    assert parse_url(f"HTTP://H.test{target}").target == target


@pytest.mark.parametrize(
    ("listed", "target"),
    [
        ("http://h.test", "/"),
        ("http://h.test?q", "/?q"),
        ("http://h.test#f", "/"),
        ("http://h.test/a#f?x", "/a"),
        ("http://h.test/a b", "/a%20b"),
        ("http://h.test/a\tb\r\nc", "/abc"),
        (" http://h.test/a \t", "/a"),
        ("\0http://h.test/a\x1f", "/a"),
        ("http://h.test/é?ü", "/%C3%A9?%C3%BC"),
        ('http://h.test/"<>^`{}|', "/%22%3C%3E%5E%60%7B%7D%7C"),
        ("http://h.test/a|b?c|d", "/a%7Cb?c|d"),
        ('http://h.test/?"<>', "/?%22%3C%3E"),
        ("http://h.test\\a\\b?c\\d", "/a/b?c\\d"),
        ("http://h.test/\x00\x1f\x7f", "/%00%1F%7F"),
        ("http://h.test/\udce9", "/%E9"),
        ("http://h.test/\ud800", "/%EF%BF%BD"),
        ("http://h.test/\udce9\ud800é", "/%E9%EF%BF%BD%C3%A9"),
    ],
)
def test_only_what_a_request_line_cannot_hold_is_escaped(listed: str, target: str) -> None:
    """Blanks, controls and non-ASCII are escaped, tabs and ends of line inside and the fragment go."""
    assert parse_url(listed).target == target


@pytest.mark.parametrize(
    ("listed", "host"),
    [
        ("EXAMPLE.com", "example.com"),
        ("a_b.test", "a_b.test"),
        ("-a.test", "-a.test"),
        ("h.test.", "h.test."),
        ("bücher.test", "xn--bcher-kva.test"),
        ("B\u00dcCHER.test", "xn--bcher-kva.test"),
        ("fa\u00df.test", "xn--fa-hia.test"),
        ("ａｂｃ.test", "abc.test"),
        ("x。test", "x.test"),
        ("x．test", "x.test"),
        ("x｡test", "x.test"),
        ("😀.test", "xn--e28h.test"),
        ("a\u00adb.test", "ab.test"),
        ("ex%61mple.test", "example.test"),
        ("%C3%BC.test", "xn--tda.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("1.2.3", "1.2.0.3"),
        ("017.0.0.1", "15.0.0.1"),
        ("0x.0x.0", "0.0.0.0"),
        ("１２７.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[0:0:0::1]", "::1"),
        ("[2001:DB8::A]", "2001:db8::a"),
        ("[::ffff:1.2.3.4]", "::ffff:102:304"),
        ("[fe80::1%25eth0]", "fe80::1%eth0"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("a=b", "a=b"),
    ],
)
def test_host_is_what_a_browser_would_look_up(listed: str, host: str) -> None:
    """Case, IDNA (UTS #46), escapes and the short forms of addresses are resolved."""
    assert parse_url(f"http://{listed}/").host == host


@pytest.mark.parametrize(
    ("listed", "piece"),
    [
        ("", "no host"),
        ("http://", "no host"),
        ("http://:80/", "no host"),
        ("http://u:p@/", "no host"),
        ("/path", "no host"),
        ("http://\u00ad/", "no host"),
        ("http://a..b/", "empty label"),
        ("http://.a/", "empty label"),
        ("http://a.test../", "empty label"),
        ("http://./", "empty label"),
        (f"http://{'a' * 64}.test/", "more than 63"),
        (f"http://{'a.' * 126}abc/", "longer than 253"),
        (f"http://{'A.' * 126}abc/", "longer than 253"),
        (f"http://{''.join(map(chr, range(0x4E00, 0x6E00)))}.test/", "longer than 253"),
        ("http://h.test:0/", "port 0 is out of range"),
        ("http://h.test:99999/", "port 99999 is out of range"),
        ("http://h.test:65536/", "port 65536 is out of range"),
        ("http://h.test:123456/", "out of range"),
        ("http://h.test:x/", "no number"),
        ("http://h.test:1:2/", "no number"),
        ("http://h.test:٣/", "no number"),
        ("http://a b/", "holds a blank"),
        ("http://a<b>/", "holds '<'"),
        ("http://a%00b/", r"holds '\\x00'"),
        ("http://a%2fb/", "holds '/'"),
        ("http://a／b/", "holds '/'"),
        ("http://\uffff/", "no name can have"),
        ("http://%ff/", "no name can have"),
        ("http://1.2.3.400/", "no IPv4"),
        ("http://1.2.3.4.5/", "no IPv4"),
        ("http://256.1.1.1/", "no IPv4"),
        ("http://09.1/", "no IPv4"),
        ("http://a.1/", "no IPv4"),
        ("http://a.0x1/", "no IPv4"),
        ("http://4294967296/", "no IPv4"),
        ("http://[::1/", "not valid"),
        ("http://[1.2.3.4]/", "not valid"),
        ("http://[::1%]/", "not valid"),
        ("http://[::1]x/", "not valid"),
        ("ftp://h.test/", "only http and https can be asked, not 'ftp'"),
        ("mailto:bob@h.test", "not 'mailto'"),
        ("javascript:alert(1)", "not 'javascript'"),
        ("tel:110", "not 'tel'"),
        ("=1+1", "no web address"),
        ("bob@h.test", "no web address"),
        ("hello world", "holds a blank"),
        ("http//h.test/x", "mistyped"),
        ("HTTPS\\\\h.test", "mistyped"),
        ("http.//h.test/x", "mistyped"),
        ("https", "mistyped"),
        ("“http://h.test/x”", "mistyped"),
        ("ｈｔｔｐ://h.test/x", "mistyped"),
        ("“h.test/x”", "no web address"),
        ("《h.test》", "no web address"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(listed: str, piece: str) -> None:
    """The message tells the owner of the list what to mend."""
    with pytest.raises(InvalidURL, match=piece.replace("(", "\\(")):
        parse_url(listed)


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ("HtTp://h.test", "http://h.test/"),
        ("http:h.test", "http://h.test/"),
        ("http:/h.test", "http://h.test/"),
        ("http:///h.test", "http://h.test/"),
        ("http:\\\\h.test", "http://h.test/"),
        ("ht\ntps://h.test", "https://h.test/"),
        ("h.test", "https://h.test/"),
        ("h.test:8080/x", "https://h.test:8080/x"),
        ("h.test:", "https://h.test/"),
        ("https.test/http//x", "https://https.test/http//x"),
        ("h.test/a://b", "https://h.test/a://b"),
        ("h.test?u=http://b", "https://h.test/?u=http://b"),
        ("h.test/“a”", "https://h.test/%E2%80%9Ca%E2%80%9D"),
        ("☃.test", "https://xn--n3h.test/"),
        ("localhost:80", "https://localhost:80/"),
        ("bücher.test/ä", "https://xn--bcher-kva.test/%C3%A4"),
        ("//h.test/x", "https://h.test/x"),
        ("[::1]:80/x", "https://[::1]:80/x"),
        ("https://h.test:443/", "https://h.test/"),
        ("http://h.test:0080/", "http://h.test/"),
        ("http://h.test:/", "http://h.test/"),
        ("https://[fe80::1%lo]:80/", "https://[fe80::1%25lo]:80/"),
    ],
)
def test_scheme_and_port_are_found_as_browsers_find_them(listed: str, text: str) -> None:
    """Any number of slashes either way; no scheme means the default one."""
    assert parse_url(listed).text == text
    assert parse_url(text) == parse_url(listed)


def test_has_scheme_tells_a_host_with_a_port_from_a_scheme() -> None:
    """``localhost:80`` has none, ``http:localhost`` has."""
    assert all(map(has_scheme, ["http://a", "HTTP:a", " https:/a", "mailto:a@b", "ftp://a"]))
    assert not any(map(has_scheme, ["a.test", "localhost:80", "//a", "a.test:8080/x", "", "bücher.test:1"]))


def test_default_scheme_decides_the_port() -> None:
    """Without a scheme the default one counts as if it were listed."""
    assert parse_url("h.test", "http") == Url("http", "h.test", 80, "/")


def test_host_header_has_no_zone_and_no_default_port() -> None:
    """An IPv6 address is in brackets, a port is named where it is not the scheme's."""
    assert parse_url("http://h.test:443/").authority == "h.test:443"
    assert parse_url("http://h.test.:80/").authority == "h.test."
    assert parse_url("http://[fe80::1%25lo]:8/").authority == "[fe80::1]:8"


def test_origin_and_host_key_use_the_effective_port() -> None:
    """A port that is named and one that is implied are the same."""
    assert parse_url("http://h.test").origin == ("http", "h.test", 80)
    assert parse_url("http://h.test").host_key == parse_url("http://h.test:80").host_key == "h.test:80"
    assert parse_url("http://H.test.").host_key == "h.test:80"


@pytest.mark.parametrize(
    ("userinfo", "username", "password", "shown"),
    [
        ("", None, None, ""),
        ("@", None, None, ""),
        (":@", None, None, ""),
        ("u@", "u", None, "u@"),
        ("u:@", "u", "", "u:***@"),
        (":p@", "", "p", ":***@"),
        ("u%40x:p%3A1:2@", "u@x", "p:1:2", "u%40x:***@"),
        ("u:p@ss@", "u", "p@ss", "u:***@"),
        ("ü:é@", "ü", "é", "%C3%BC:***@"),
    ],
)
def test_credentials_are_decoded_and_never_shown(userinfo: str, username: str, password: str, shown: str) -> None:
    """The userinfo ends at the last ``@``; a password is ``***`` in every output."""
    url = parse_url(f"http://{userinfo}h.test/x")
    assert (url.username, url.password) == (username, password)
    assert url.shown == f"http://{shown}h.test/x"
    assert str(url) == "http://h.test/x"
    within = parse_url(f"http://{userinfo}h.test/x?next=http://v:s3cret@i/")
    assert within.shown == f"http://{shown}h.test/x?next=http://v:***@i/"


def test_authorization_is_the_bytes_that_were_listed() -> None:
    """UTF-8, and escapes that are no UTF-8 as the bytes they name."""
    assert parse_url("http://h.test").authorization is None
    assert parse_url("http://Aladdin:open%20sesame@h.test").authorization == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert parse_url("http://%E9@h.test").authorization == "Basic 6To="


BASE = parse_url("http://u:p@h.test:8/a/b?c")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("", "/a/b?c"),
        ("#f", "/a/b?c"),
        ("?d", "/a/b?d"),
        ("?", "/a/b?"),
        ("x", "/a/x"),
        ("./x", "/a/x"),
        ("../x", "/x"),
        ("../../../x?", "/x?"),
        ("..", "/"),
        (".", "/a/"),
        ("%2E%2e/x", "/x"),
        ("/x/./y/..", "/x/"),
        ("/x//y", "/x//y"),
        (" /x \r\n", "/x"),
        ("\\x\\y", "/x/y"),
        ("http:x", "/a/x"),
        ("http:/x", "/x"),
        ("HTTP:?d", "/a/b?d"),
        ("/é", "/%C3%A9"),
        ("/a b", "/a%20b"),
        ("/%7e%zz", "/%7e%zz"),
        ("/?..", "/?.."),
        ("x#y/../z", "/a/x"),
    ],
)
def test_a_relative_location_stays_with_its_server(location: str, target: str) -> None:
    """RFC 3986, section 5.2: its credentials stay, its dots are resolved."""
    assert join(BASE, location) == BASE._replace(target=target)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("//x.test/y", "http://x.test/y"),
        ("\\\\x.test\\y", "http://x.test/y"),
        ("/\\x.test", "http://x.test/"),
        ("http://x.test?", "http://x.test/?"),
        ("http:///x.test", "http://x.test/"),
        ("https:x.test", "https://x.test/"),
        ("https:/x.test", "https://x.test/"),
        ("http://x.test/a/../b/%2e", "http://x.test/b/"),
        ("http://bücher.test/ü", "http://xn--bcher-kva.test/%C3%BC"),
        ("HTTP://H.test:8/", "http://h.test:8/"),
    ],
)
def test_a_location_that_names_a_host_carries_no_credentials_on(location: str, text: str) -> None:
    """Also where it is the same host."""
    url = join(BASE, location)
    assert (url.text, url.username, url.password) == (text, None, None)


def test_a_location_may_bring_credentials() -> None:
    """As a listed URL may."""
    assert join(BASE, "http://v:w@h.test/")[4:] == ("v", "w")


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "javascript:1", "mailto:a@b", "x.test:80/", "http://", "//", "//a..b"]
)
def test_a_location_to_nothing_that_can_be_asked_is_refused(location: str) -> None:
    """Only http and https, and only real hosts."""
    with pytest.raises(InvalidURL):
        join(BASE, location)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "gbk", "big5", "cp1251"])
def test_a_locations_bytes_are_asked_for_as_they_came(encoding: str) -> None:
    """Whatever a server's encoding is, the page is found under the same bytes; a host in it is none but in UTF-8."""
    path = {"big5": "/新聞", "cp1251": "/да", "gbk": "/新闻"}.get(encoding, "/é").encode(encoding)
    target = "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in path)
    location = decode_location(path + b"?" + path)
    assert join(BASE, location).target == f"{target}?{target}"
    if encoding != "utf-8":
        with pytest.raises(InvalidURL):
            join(BASE, decode_location(b"http://" + path[1:] + b".test/"))


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("http://u:pw@h/", "http://u:***@h/"),
        ("http://u%3Apw@h/", "http://u%3A***@h/"),
        ("u%3apw@h/x", "u%3a***@h/x"),
        ("http://u:p@ss@h/", "http://u:***@h/"),
        ("http://bob@x.y:pw@h/", "http://bob@x.y:***@h/"),
        ("http://:pw@h/", "http://:***@h/"),
        ("http://u:123@h/", "http://u:***@h/"),
        ("http:u:pw@h", "http:u:***@h"),
        ("http:\\\\u:pw@h", "http:\\\\u:***@h"),
        ("ftp://u:pw@h/", "ftp://u:***@h/"),
        ("//u:pw@h/", "//u:***@h/"),
        ("u:pw@h/x", "u:***@h/x"),
        ("http://u:p w@h/", "http://u:***@h/"),
        ("http://u:p/w@h/", "http://u:***@h/"),
        ("http://u:p?w#@h/", "http://u:***@h/"),
        ("http://h/?next=https://u:pw@i/", "http://h/?next=https://u:***@i/"),
        ("cannot reach http://a:b@c/ or 'd:e@f'", "cannot reach http://a:***@c/ or 'd:***@f'"),
        ("http://a:b@c and http://d:e@f", "http://a:***@c and http://d:***@f"),
        ("http://u: geheim@h/", "http://u:***@h/"),
        ("http://u:80 geheim@h/", "http://u:***@h/"),
        ("http://u(v:geheim@h/", "http://u(v:***@h/"),
        ("http://o'data:geheim@h/", "http://o'data:***@h/"),
    ],
)
def test_passwords_are_redacted_also_where_no_url_is_valid(text: str, redacted: str) -> None:
    """With any slashes, in a sentence, without a scheme."""
    assert redact(text) == redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "bob@h.test",
        "mailto:bob@h.test",
        "acct:bob@h.test",
        "http://h.test/@bob",
        "http://h.test:8080/@bob",
        "h.test:8080/@bob",
        "http://u@h.test:80/x@y",
        "http://[::1]:80/@bob",
        "http://[::1]/@bob",
        "http://h.test/a:b@c",
        "http://h.test/?resource=acct:bob@h.test",
        "https://h.test: see http://x/@bob",
        "=1+1",
    ],
)
def test_text_without_a_password_is_left_alone(text: str) -> None:
    """E-mail addresses, ports and paths with an ``@`` are no secrets."""
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("E-mail:joe@h.test", "E-mail:joe@h.test"),
        ("联系人:张三@h.test", "联系人:张三@h.test"),
        ("tel:+86 10; mail:me@h.test", "tel:+86 10; mail:me@h.test"),
        ("docker:tag@sha256:abc", "docker:tag@sha256:abc"),
        ("see https://u:p@h.test/", "see https://u:***@h.test/"),
        ("see //u:p@h.test", "see //u:***@h.test"),
        ("u:p@h.test/x", "u:***@h.test/x"),
        ("HTTP:u:p@h.test", "HTTP:u:***@h.test"),
        ("http://h.test:80 or bob@i.test", "http://h.test:80 or bob@i.test"),
    ],
)
def test_in_a_note_without_a_url_there_is_no_password(text: str, redacted: str) -> None:
    """The list's own columns are as they were, mail addresses above all."""
    assert redact_note(text) == redacted


def test_no_address_takes_long_to_show() -> None:
    """A server's Location of 250 KB, made to be searched for passwords again and again, holds up nobody."""
    for piece in ("':", "://u:", "://", "http:", "://" + "u" * 200 + ":"):
        url = parse_url("http://h.test/" + piece * (240_000 // len(piece)) + "x" * 2100 + "/@")
        began = time.process_time()
        assert len(url.shown) > 200_000
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize("target", ["/?next=http://u%3Ageheim@h/", "/?next=http://u:p@geheim@h/", "/http://a@u:geheim@h",
    "/?u=//u:geheim@h/", "/?u=http:u:geheim@h/", "/?u=http:\\\\u:geheim@h/", "/http:/u:geheim@h/",
])
def test_a_password_within_an_address_is_not_shown(target: str) -> None:
    """Where the address of another site is part of one, its password is masked as in what is listed."""
    shown = parse_url(f"http://h.test{target}").shown
    assert "geheim" not in shown + redact(f"http://h.test{target}")
    assert shown.startswith("http://h.test/")


@pytest.mark.parametrize("length", [2004, 65_000])
@pytest.mark.parametrize("before", ["http://us:", "us:", "//us:", "http:us:"])
def test_a_password_of_any_length_is_masked(before: str, length: int) -> None:
    """Access tokens are long; and what is cut in the middle of one shows nothing of it."""
    url = f"{before}{'geheim' * (length // 6)}@h.test/x"
    assert redact(url) == f"{before}***@h.test/x"
    assert redact_cut(url, 200) == f"{before}***@h.test/x" if length < 400 else f"{before}***@"
    assert redact_cut("http://h.test/" + "x" * length, 200) == "http://h.test/" + "x" * 186
    assert redact_cut("http://h.test/(a:" + "x" * length, 200) == "http://h.test/(a:" + "x" * 183


@pytest.mark.parametrize("piece", ["(", "'", "(a:", "//u:", "http:", "\"<", '"[', "'\"[]x"])
def test_no_text_takes_long_to_redact(piece: str) -> None:
    """One line of a list, made to be searched for passwords again and again, holds up nobody."""
    text = "@" + piece * (60_000 // len(piece))
    began = time.process_time()
    redact(text)
    redact("/N" + text)
    assert time.process_time() - began < 5.0


@given(TEXTS)
@example("http://[")
@example("http://a%")
@example("http://0x")
def test_any_text_is_a_url_or_invalid(text: str) -> None:
    """Nothing but InvalidURL is raised, a target fits a request line, and the text of a URL is that URL."""
    try:
        url = parse_url(text)
    except InvalidURL:
        return
    assert re.fullmatch(r"/[!-~]*", url.target)
    assert re.fullmatch(r"[!-~]+", url.host)
    assert 0 < url.port < 65536
    assert "#" not in url.target
    assert parse_url(url.text) == url._replace(username=None, password=None)
    assert parse_url(url.text.replace("://", "://\t")) == parse_url(url.text), "the short way and the long way agree"


@given(TEXTS)
def test_any_location_is_a_url_or_invalid(text: str) -> None:
    """So a hostile redirect costs its row at most a ``bad_redirect``."""
    try:
        url = join(BASE, text)
    except InvalidURL:
        return
    assert re.fullmatch(r"/[!-~]*", url.target)


@given(st.text(max_size=30), st.text("abcXYZ019-._~!$&'()*+,;= ", max_size=12))
def test_no_password_outlives_redaction(around: str, word: str) -> None:
    """Whatever stands around it, a URL's password is gone; and redact takes any text."""
    secret = f"s3cret{word}"
    assert "s3cret" not in redact(f"http://u:{secret}@h.test/{around}")
    redact(around)
