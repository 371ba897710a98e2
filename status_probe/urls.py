"""Text to the parts of a request, and back: pure, no I/O.

Whoever lists a URL wants that URL asked, so what it says is sent as it stands: good and bad escapes, case, dot
segments and an empty query are kept, and only what may not stand in a request line is escaped.  In what is accepted
the browsers are followed (the WHATWG URL Standard), since a link works for its visitors in a browser: slashes both
ways, ``http:host``, ``0x7f.1``, full-width dots, emoji.  Three things differ on purpose:

- dot segments of a listed URL are kept; those of a redirect's Location are removed, as every client does;
- a zone (``[fe80::1%25eth0]``) is accepted, it is needed to connect;
- an empty label, a label above 63 and a name above 253 characters are refused here: no name server can know them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from .hostnames import InvalidURL, parse_host, to_bytes, unescape

__all__ = [
    "BLANKS", "DEFAULT_PORTS", "LONGEST", "InvalidURL", "Url", "basic_credentials", "decode_location", "has_scheme",
    "host_key", "join", "parse_url", "redact", "redact_cut", "redact_message", "redact_note", "show_host",
]  # fmt: skip

# What is no part of a URL at its ends: Unicode's space separators, such as U+3000, the blank of a Chinese keyboard, and
# U+00A0 of web pages; and marks that take no room, which come with copied text: U+202A, say, where an address is copied
# from a dialog of Windows.  One that is meant may be written as an escape.
_SPACES = "\t\n\r \xa0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_MARKS = "\ufeff" + "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A))))
BLANKS = _SPACES + _MARKS

LONGEST = 65_536  # characters of an address; eight times what servers take
DEFAULT_PORTS = {"http": 80, "https": 443}

# Sets of the URL Standard, section 1.3: what may stay in a path and in a query.  The quote in a query stays,
# which browsers escape: RFC 3986 allows it, and it is as listed.  The bar in a path does not, as in Chromium: Tomcat
# answers 400 to it.
_NOT_IN_PATH = re.compile(r"""[^!$%&'()*+,\-./0-9:;=@A-Z\[\\\]_a-z~]+""")
_NOT_IN_QUERY = re.compile(r"""[^!$%&'()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]+""")
_NOT_IN_USERINFO = re.compile(r"""[^!$&'()*+,\-.0-9A-Z_a-z~]+""")

# A common URL, in one match: most of a list never gets to the general parser below, which takes four times as long.
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PLAIN = re.compile(
    r"(https?)://"
    r"((?:[a-z0-9_-]{1,63}\.)*[a-z_][a-z0-9_-]{0,62}|(?:" + _BYTE + r"\.){3}" + _BYTE + r")(?::([0-9]{1,5}))?"
    r"((?:/[!$%&'()*+,\-./0-9:;=@A-Z\[\]_a-z~]*)?(?:\?[!$%&'()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]*)?)"
    r"(?:#.*)?\Z",
    re.DOTALL,
).match

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
_PORT_FOLLOWS = re.compile(r"[0-9]+(?:[/\\?#]|\Z)").match
_NUMBERED_SCHEMES = frozenset({"tel", "sms", "fax", "callto"})  # 'tel:110' is no host with a port
_NETLOC = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(.*))?").fullmatch
_AUTHORITY_END = re.compile(r"[/\\?#]|\Z")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._~:%-]+").fullmatch
_MISTYPED_SCHEME = re.compile(r"https?\.?(?:[/\\：]|\Z)|[^/\\?#]*[:：][/\\]{2}", re.IGNORECASE).match
_QUOTES = frozenset({"Pi", "Pf", "Ps", "Pe"})  # Unicode's quotation marks and brackets, by category
_MAY_HOLD_URL = re.compile(r"[/\\]|https?:", re.IGNORECASE).search
# Faster than what finds passwords in any text: a redirect's address may be a long one.
_USER = r"(?:[^\s/?#\\:%]|%(?!3A))*(?::|%3A)"
_PASSWORD_WITHIN = re.compile(
    rf"([/\\]{{2}}{_USER})[^\s/?#\\]*@|(https?:[/\\]?{_USER})[^\s/?#\\]{{0,500}}@", re.IGNORECASE
)
_STRIPPED = "".join(map(chr, range(0x21)))  # C0 controls and the blank, around a URL
_REMOVED = str.maketrans("", "", "\t\r\n")  # wherever they stand


class Url(NamedTuple):
    """What a request needs to know of a URL."""

    scheme: str  # 'http' or 'https'
    host: str  # ASCII, lower case; IPv4 dotted, IPv6 without brackets, with '%zone' where one was given
    port: int  # the effective one
    target: str  # path and query as sent, ASCII, begins with '/'
    username: str | None = None  # escapes decoded; bytes that are no UTF-8 as lone surrogates
    password: str | None = None

    @property
    def authority(self) -> str:
        """The value of the Host header: no zone, no default port."""
        return _netloc(self.scheme, self.host.partition("%")[0], self.port)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: where credentials may be sent."""
        return self[:3]

    @property
    def host_key(self) -> str:
        """The unit of limits by host."""
        return host_key(self.host, self.port)

    @property
    def text(self) -> str:
        """The whole URL without credentials."""
        return f"{self.scheme}://{_netloc(self.scheme, self.host.replace('%', '%25'), self.port)}{self.target}"

    @property
    def shown(self) -> str:
        """The whole URL with the user's name, and ``***`` for the password, also for those of URLs within it."""
        text = _PASSWORD_WITHIN.sub(r"\1\2***@", self.text) if "@" in self.target else self.text
        if self.username is None:
            return text
        name, colon, _ = self.username.partition(":")  # one that was written as %3A may hide a password
        user = _escape(name, _NOT_IN_USERINFO) + (":***" if colon or self.password is not None else "")
        return text.replace("://", f"://{user}@", 1)

    @property
    def authorization(self) -> str | None:
        """The value of the Authorization header, or None without credentials."""
        return None if self.username is None else basic_credentials(self.username, self.password or "")

    def __str__(self) -> str:
        return self.text


def parse_url(text: str, default_scheme: str = "https") -> Url:
    """Return the parts of a listed URL; blanks around it and its fragment are dropped.

    *default_scheme* is for a text without one: ``example.com``, ``localhost:80``, ``//example.com/x``.

    Raises InvalidURL if it cannot be asked.
    """
    match = _PLAIN(text)
    if match:
        return _from_plain(*match.groups())
    text = _clean(text)
    scheme, rest = _split_scheme(text)
    if scheme is None:
        return _parse_schemeless(text, default_scheme)
    return _parse_authority(_web(scheme), rest.lstrip("/\\"))


def has_scheme(text: str) -> bool:
    """Say whether the text names a scheme itself: ``localhost:80`` and ``//host`` do not."""
    return text.startswith(("http://", "https://")) or _split_scheme(_clean(text))[0] is not None


def host_key(host: str, port: int) -> str:
    """Return host and port as one text; with a dot at the end it is no other host."""
    return f"{host.removesuffix('.')}:{port}"


def show_host(key: str) -> str:
    """Return a `host_key` as one writes it: an IPv6 address in brackets."""
    host, _, port = key.rpartition(":")
    return f"{_in_brackets(host)}:{port}"


def join(base: Url, location: str) -> Url:
    """Return the URL that a Location header leads to from *base*.

    Credentials of *base* stay with a relative reference, not with one that names a host.

    Raises InvalidURL if it leads to nothing that can be asked.
    Source: URL Standard, section 4.4; RFC 3986, section 5.2.
    """
    if len(location) > LONGEST:
        raise InvalidURL(f"the address is longer than {LONGEST:,} characters")
    text = _clean(location).partition("#")[0]
    match = _SCHEME(text)
    scheme = _web(match[1].lower()) if match else base.scheme
    reference = text[match.end() :] if match else text
    path, mark, query = reference.partition("?")
    path = path.replace("\\", "/")
    if path.startswith("//") or scheme != base.scheme:
        url = _parse_authority(scheme, reference.lstrip("/\\"))
        path, mark, query = url.target.partition("?")
        return url._replace(target=_remove_dots(path) + mark + query)
    base_path, base_mark, base_query = base.target.partition("?")
    if not path:
        tail = mark + _escape(query, _NOT_IN_QUERY) if mark else base_mark + base_query
        return base._replace(target=base_path + tail)
    if not path.startswith("/"):
        path = base_path[: base_path.rindex("/") + 1] + path
    return base._replace(target=_remove_dots(_escape(path, _NOT_IN_PATH)) + mark + _escape(query, _NOT_IN_QUERY))


def decode_location(raw: bytes) -> str:
    """Return a Location header's bytes as text: UTF-8, and what is not that as lone surrogates.

    So the bytes of a path in GBK or latin-1 are asked for as they came, which is what browsers and curl do.
    """
    return raw.decode("utf-8", "surrogateescape")


# A password follows 'user:' at the start of an authority, or of a word; a port and the schemes of addresses do not.
# It ends at the last '@' before the path.  One with a raw '/', '?' or '#' in it makes the URL invalid, but is no less
# a secret, so what is no port is covered up to the word's last '@'.  The bound keeps a hostile line of a megabyte from
# taking minutes, and a word's name ends where another may begin: else each byte would be looked at from each before it.
# The one at the very start, which is looked for once, may be of any length.
_AFTER_USER = r"""(
        (?: (?: https?:[/\\]* | [/\\]{2} ) ADDRESS (?: [^\s/?#\\:%] | %(?!3A) )*
          | (?<![^\s"'(<]) (?! [a-z][a-z0-9+.-]*:[/\\]{2} | (?:acct|data|im|javascript|mailto|news|sips?|urn|xmpp): )
            ADDRESS (?: [^\s/?#\\:%"'(<] | %(?!3A) )* )
        (?: : | %3A )
    )
    (?! [0-9]{0,5} (?: [/?#\\BLANK] | \Z) )
    (?: [^/?#\\\r\n]{0,2000}@ | \S{0,2000}@ )
    """
_AFTER_USER = _AFTER_USER.replace("ADDRESS", r"(?! \[[^\s/?#\\@\[]*\] (?: [:/?#\\\s] | \Z) )")  # an IPv6 one is no user
_PASSWORD = re.compile(_AFTER_USER.replace("BLANK", ""), re.VERBOSE | re.IGNORECASE)
_FIRST_PASSWORD = re.compile(r"\A" + _PASSWORD.pattern.replace("{0,2000}", "*"), re.VERBOSE | re.IGNORECASE)
_PASSWORD_IN_NOTE = re.compile(_AFTER_USER.replace("BLANK", r"\s"), re.VERBOSE | re.IGNORECASE)


def redact(text: str) -> str:
    """Replace the password of each URL in *text* by ``***``, valid or not; rather one too many than one too few."""
    return _PASSWORD.sub(r"\1***@", _FIRST_PASSWORD.sub(r"\1***@", text)) if "@" in text else text


def redact_cut(text: str, most: int) -> str:
    """Return the first *most* characters of *text*, redacted; a long password is one though its end is cut off."""
    beginning = text[: 2 * most]
    if beginning != text:
        redacted, found = _FIRST_PASSWORD.subn(r"\1***@", beginning + "@")
        beginning = redacted if found else beginning
    return redact(beginning)[:most]


def redact_note(text: str) -> str:
    """Do as `redact` for a text that may hold a URL: ``mail:bob@example.com`` alone is no name and password.

    And in "http://a.test:80 or bob@b.test" the port is one.
    """
    return redact_message(text) if _MAY_HOLD_URL(text) else text


def redact_message(text: str) -> str:
    """Do as `redact_note` for a message, which may quote whatever was typed."""
    return _PASSWORD_IN_NOTE.sub(r"\1***@", text) if "@" in text else text


def basic_credentials(username: str, password: str) -> str:
    """Return the value of an Authorization or Proxy-Authorization header (RFC 7617, in UTF-8)."""
    from binascii import b2a_base64  # few URLs have any

    return "Basic " + b2a_base64(to_bytes(f"{username}:{password}"), newline=False).decode("ascii")


def _from_plain(scheme: str, host: str, port: str | None, target: str) -> Url:
    if len(host) > 253:
        raise InvalidURL("the host name is longer than 253 characters")
    if not target.startswith("/"):
        target = "/" + target
    return Url(scheme, host, _parse_port(port) if port else DEFAULT_PORTS[scheme], target)


def _netloc(scheme: str, host: str, port: int) -> str:
    shown = _in_brackets(host)
    return shown if DEFAULT_PORTS[scheme] == port else f"{shown}:{port}"


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _clean(text: str) -> str:
    return text.strip(_STRIPPED).translate(_REMOVED)


def _split_scheme(text: str) -> tuple[str | None, str]:
    """Return the scheme in lower case and what follows its colon; None and all where the text begins with a host."""
    match = _SCHEME(text)
    if not match:
        return None, text
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in DEFAULT_PORTS:
        return scheme, rest
    if _PORT_FOLLOWS(rest) and scheme not in _NUMBERED_SCHEMES:
        return None, text
    return (None, text) if "." in scheme and not rest.startswith("//") else (scheme, rest)


def _web(scheme: str) -> str:
    if scheme not in DEFAULT_PORTS:
        raise InvalidURL(f"only http and https can be asked, not '{scheme[:40]}'")
    return scheme


def _parse_schemeless(text: str, scheme: str) -> Url:
    """Parse what begins with a host; more strictly, for most of what looks odd here was never meant as a URL."""
    if text[:2].replace("\\", "/") == "//":
        return _parse_authority(scheme, text.lstrip("/\\"))
    if _MISTYPED_SCHEME(text):
        raise InvalidURL("this is no web address: its http:// or https:// is mistyped")
    match = _PLAIN(f"{scheme}://{text}")
    if match:
        return _from_plain(*match.groups())
    url = _parse_authority(scheme, text)
    if url.username is not None or not _PLAIN_HOST(url.host) or _is_quoted(text):
        raise InvalidURL("this is no web address")
    return url


def _is_quoted(text: str) -> bool:
    """Whether the host is written with quotation marks or brackets, ASCII aside."""
    host = text[: _authority_end(text)]
    return not host.isascii() and any(unicodedata.category(letter) in _QUOTES for letter in host)


def _authority_end(text: str) -> int:
    return _AUTHORITY_END.search(text).start()  # type: ignore[union-attr]  # the end of the text matches


def _parse_authority(scheme: str, text: str) -> Url:
    """Parse what follows the slashes: ``user:password@host:port/path?query#fragment``."""
    end = _authority_end(text)
    userinfo, _, netloc = text[:end].rpartition("@")
    host, port = _NETLOC(netloc).groups()  # type: ignore[union-attr]  # whatever has no line feed matches
    username, mark, password = userinfo.partition(":")
    return Url(
        scheme,
        parse_host(host),
        _parse_port(port) if port else DEFAULT_PORTS[scheme],
        _parse_target(text[end:]),
        unescape(username) if username or password else None,
        unescape(password) if mark and (username or password) else None,
    )


def _parse_port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidURL("the port is no number")  # not quoted: it may be half a password
    port = text.lstrip("0")
    if len(port) > 5:
        raise InvalidURL("the port is out of range: it has more than five digits")
    if not 0 < int(port or "0") < 65536:
        raise InvalidURL(f"the port {port or 0} is out of range")
    return int(port)


def _parse_target(text: str) -> str:
    path, mark, query = text.partition("#")[0].partition("?")
    path = _escape(path.replace("\\", "/"), _NOT_IN_PATH) or "/"
    return path + mark + _escape(query, _NOT_IN_QUERY)


def _remove_dots(path: str) -> str:
    """Resolve ``.`` and ``..``, also where they are escaped (URL Standard, section 4.4, path state)."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    if dots in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _escape(text: str, unsafe: re.Pattern[str]) -> str:
    return unsafe.sub(lambda match: "".join(f"%{byte:02X}" for byte in to_bytes(match[0])), text)
