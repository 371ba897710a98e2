"""Proxies: asked the right way, passed by where NO_PROXY says so, and blamed for what is theirs alone."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from types import SimpleNamespace

import pytest

from status_probe import probe_urls
from status_probe.limits import SYSTEM_WAITS
from status_probe.options import Options
from status_probe.proxies import Proxy as ProxyAddress
from status_probe.proxies import ProxyRules, parse_proxy, windows_exceptions
from status_probe.records import Outcome
from status_probe.run import open_probe
from status_probe.urls import parse_url
from tests.asking import ask, ask_at_once, ask_one, trusted, within
from tests.server import (
    Proxy,
    Server,
    SocksProxy,
    answer,
    close,
    closed_port,
    cut,
    deaf_address,
    drip_handshake,
    hang,
    pause,
    repeat,
    server_context,
)

both_schemes = pytest.mark.parametrize("tls", [None, server_context()], ids=["http", "https"])


@both_schemes
@pytest.mark.parametrize("method", ["get", "head"])
def test_an_http_proxy_is_asked_for_the_absolute_url_or_a_tunnel(tls, method):
    """http goes in absolute form, https through CONNECT, and the row is the server's."""
    with Server(answer(410), tls=tls) as server, Proxy(user="me", password="p w") as proxy:
        url = server.url("/x?y")
        row = ask_one(url, proxy=proxy.url.replace("//", "//me:p%20w@"), method=method)
        asked = proxy.log[0]
        assert asked.target == (f"127.0.0.1:{server.port}" if tls else url)
        assert server.log[0].target == "/x?y"
        assert server.log[0].header("Proxy-Authorization") == ""
    assert row.status == 410


@both_schemes
@pytest.mark.parametrize("credentials", ["", "me:wrongsecret@"])
def test_a_proxy_that_wants_a_password_is_a_proxy_error(tls, credentials):
    """407 is the proxy's word, not the site's; the password is in no cell."""
    with Server(answer(200), tls=tls) as server, Proxy(user="me", password="right") as proxy:
        row = ask_one(server.url(), proxy=proxy.url.replace("//", f"//{credentials}"))
    assert (row.status, row.outcome) == (None, Outcome.PROXY_ERROR)
    assert "407" in row.error
    assert "wrongsecret" not in repr(row)


def test_a_refused_tunnel_is_a_proxy_error():
    """A CONNECT answered 503 says nothing of the site."""
    with Proxy(refusal=503) as proxy:
        row = ask_one("https://127.0.0.1:1/", proxy=proxy.url)
    assert (row.status, row.outcome) == (None, Outcome.PROXY_ERROR)
    assert "503" in row.error


@pytest.mark.parametrize("url", ["http://a.test/", "https://a.test/"])
def test_a_dead_proxy_is_a_proxy_error(url):
    """A proxy that refuses, hangs up or stays silent is named, with its address and without its password."""
    with closed_port() as (host, port):
        refused = ask_one(url, proxy=f"http://me:secret@{host}:{port}")
    with deaf_address() as (host, port), within(0.8):
        silent = ask_one(url, proxy=f"http://me:secret@{host}:{port}", connect_timeout=0.4)
    unknown = ask_one(url, proxy="http://me:secret@nowhere.invalid:3128", connect_timeout=0.5)
    for row in (refused, silent, unknown):
        assert row.outcome is Outcome.PROXY_ERROR
        assert "the proxy " in row.error
        assert "secret" not in repr(row)


def test_a_proxy_that_forbids_is_not_asked_by_http():
    """What it would answer there is its own page, not the site's."""
    with Server(answer(403)) as proxy:
        row = ask_one("a.test", proxy=proxy.url())
    assert (row.status, row.outcome) == (None, Outcome.PROXY_ERROR)


@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_time_that_runs_out_at_a_proxy_is_told_as_such(kind):
    """Max-time holds for a line without a scheme too, and the row names it."""
    with Server(hang()) as proxy, within(1.0):
        row = ask_one("a.test", proxy=f"{kind}://127.0.0.1:{proxy.port}", max_time=0.5, connect_timeout=5.0)
    assert row.outcome is Outcome.DEADLINE_EXCEEDED
    assert row.error == "the time of 0.5 s ran out while connecting"


@pytest.mark.parametrize("refusal", [answer(502), answer(503), close()])
def test_a_tunnel_that_is_refused_leaves_http(refusal):
    """A line without a scheme, of a site that has no https, is asked by http through a proxy as without one."""
    with Server(lambda request: refusal if request.method == "CONNECT" else answer(410)) as proxy:
        row = ask_one("a.test", proxy=proxy.url())
        assert ask_one("https://a.test", proxy=proxy.url()).outcome is Outcome.PROXY_ERROR
    assert (row.status, row.final_url) == (410, "http://a.test/")


def test_a_407_on_a_kept_connection_is_the_proxys():
    """As on a new one."""
    calls = itertools.count()
    with Server(lambda _: answer(200 if next(calls) < 3 else 407)) as proxy:
        rows = ask(*["http://a.test/"] * 5, proxy=proxy.url())
        assert proxy.connections < 5
    assert [str(row.outcome) for row in rows] == ["ok"] * 3 + ["proxy_error"] * 2


@pytest.mark.parametrize("script", [close(), hang(), [b"nonsense\r\n", close()]])
def test_a_tunnel_without_an_answer_is_a_proxy_error(script):
    """A proxy that does not answer CONNECT is blamed within the connect timeout."""
    with Server(script) as proxy, within(0.8):
        row = ask_one("https://a.test/", proxy=proxy.url(), connect_timeout=0.4)
    assert row.outcome is Outcome.PROXY_ERROR


def test_a_proxy_that_comes_back_is_asked_again():
    """One that is down for a moment spoils no row: it is the way that failed, not the site."""
    calls = itertools.count()
    with Server(lambda _: answer(410) if next(calls) else close()) as server, closed_port() as (host, port):
        [refused] = probe_urls(["http://a.test/"], proxy=f"http://{host}:{port}", retry_wait=0.01)
        [returned] = probe_urls(["https://a.test/"], proxy=server.url(), retry_wait=0.01)
    assert (refused.outcome, refused.attempts) == (Outcome.PROXY_ERROR, 2)
    assert (returned.outcome, returned.attempts) == (Outcome.PROXY_ERROR, 2)
    assert "410" in returned.error


def test_a_bad_certificate_behind_a_proxy_is_the_sites():
    """What the tunnel leads to is judged as without a proxy."""
    with Server(answer(200), tls=server_context("expired")) as server, Proxy() as proxy:
        row = ask_one(server.url(), proxy=proxy.url)
    assert row.outcome is Outcome.TLS_ERROR
    assert "expired" in row.error


@pytest.mark.parametrize("certificate", ["expired", "unknown_issuer"])
def test_a_bad_certificate_of_a_proxy_is_named(certificate):
    """It is there, but not to be trusted: trying again helps nobody, and says nothing of our network."""
    with Proxy(tls=server_context(certificate)) as proxy:
        [row] = probe_urls(["http://a.test/"], proxy=proxy.url, ca_bundle=trusted(), retry_wait=0.05)
    assert (row.outcome, row.attempts) == (Outcome.PROXY_ERROR, 1)
    assert "certificate" in row.error
    assert "cannot be reached" not in row.error


def test_hosts_behind_a_proxy_share_no_connection():
    """A late answer of one site is not the next site's, though both are asked through one proxy."""
    early = [b"HTTP/1.1 103 E\r\n\r\n", pause(0.03), answer(404)]
    forged = [b"HTTP/1.1 204 N\r\n\r\n", pause(0.03), b"HTTP/1.1 500 F\r\nContent-Length: 0\r\n\r\n"]
    routes = {"http://slow.test/": early, "http://odd.test/": forged, "http://good.test/": answer(200)}
    with Server(routes) as proxy:
        rows = ask(*[*routes, *routes, "http://good.test/"], proxy=proxy.url())
    assert [row.status for row in rows] == [404, 204, 200, 404, 204, 200, 200]


@both_schemes
def test_a_tls_proxy_carries_both(tls):
    """A proxy that is itself spoken to over TLS works for http, and for https inside of that, kept alive."""
    with Server(answer(410), tls=tls) as server, Proxy(tls=server_context()) as proxy:
        rows = ask(*[server.url(f"/{n}") for n in range(5)], proxy=proxy.url)
        assert [(row.status, row.outcome) for row in rows] == [(410, Outcome.CLIENT_ERROR)] * 5
        assert server.connections == 2  # a second one while the first shows that it stays quiet


def test_limits_hold_behind_a_tls_proxy():
    """Inside TLS in TLS silence ends at the read timeout, and what drips at the deadline."""
    scripts = {"/mute": hang(), "/stuck": [b"HTTP/1.1 200 OK\r\nX-A: ", hang()], "/drip": repeat(b"HTTP/1.1 ", 0.05)}
    with Server(scripts, tls=server_context()) as server, Proxy(tls=server_context()) as proxy:
        lists = [[server.url(path)] for path in scripts]
        with within(1.1):
            rows = [row for [row] in ask_at_once(*lists, proxy=proxy.url, read_timeout=0.4, max_time=0.8)]
        assert [row.outcome for row in rows] == [Outcome.READ_TIMEOUT] * 2 + [Outcome.DEADLINE_EXCEEDED]
        assert {row.status for row in rows} == {None}
        with within(0.9):
            rows = [row for [row] in ask_at_once(*lists, proxy=proxy.url, max_time=0.4)]
        assert [row.outcome for row in rows] == [Outcome.DEADLINE_EXCEEDED] * 3


@pytest.mark.skipif(not SYSTEM_WAITS, reason="no watchdog there")
def test_bytes_of_tls_that_drip_behind_a_tls_proxy_end_in_time():
    """A handshake inside of TLS ends at the connect timeout, whatever comes now and then."""
    dripping = Server({}, on_connect=drip_handshake(server_context(), 0.05))
    with dripping as server, Proxy(tls=server_context()) as proxy, within(0.6):
        row = ask_one(server.url(scheme="https"), proxy=proxy.url, connect_timeout=0.3)
    assert row.outcome is Outcome.CONNECT_TIMEOUT


@pytest.mark.parametrize(("script", "status", "outcome"), [
    (cut(), None, Outcome.CONNECTION_LOST),
    ([b"HTTP/1.1 200 O", cut()], None, Outcome.CONNECTION_LOST),
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", cut()], 200, Outcome.OK),
])  # fmt: skip
def test_an_end_behind_a_tls_proxy_is_told_as_one(script, status, outcome):
    """TLS in TLS that ends without a goodbye is no fault of ours, and costs no status that came before."""
    with Server(script, tls=server_context()) as server, Proxy(tls=server_context()) as proxy:
        row = ask_one(server.url(), proxy=proxy.url)
    assert (row.status, row.outcome) == (status, outcome)


def test_a_bad_certificate_behind_a_tls_proxy_is_the_sites():
    """And that of the proxy itself is the proxy's fault."""
    with Server(answer(200), tls=server_context("expired")) as server, Proxy(tls=server_context()) as proxy:
        assert "expired" in ask_one(server.url(), proxy=proxy.url).error
    with Server(answer(200), tls=server_context()) as server, Proxy(tls=server_context("expired")) as proxy:
        assert ask_one(server.url(), proxy=proxy.url).outcome is Outcome.PROXY_ERROR


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_environment_names_the_proxy(monkeypatch, variable):
    """The usual variables are honoured, in both cases."""
    with Server({"http://a.test/": answer(410)}) as proxy:
        monkeypatch.setenv(variable, proxy.url())
        assert ask_one("http://a.test/", proxy=None).status == 410


def test_an_empty_proxy_option_means_none(monkeypatch):
    """--proxy '' asks without, whatever the environment says."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Server(answer(200)) as server:
        assert ask_one(server.url(), proxy="").status == 200


BYPASSES = [
    ("a.test", "http://a.test/", True), ("a.test", "http://www.a.test/", True), ("a.test", "http://nota.test/", False),
    (".a.test", "http://www.a.test/", True), ("*.a.test", "http://www.a.test/", True),
    ("A.Test", "http://a.test/", True),
    ("127.0.0.1", "http://127.0.0.1/", True), ("127.0.0.1", "http://127.0.0.2/", False),
    ("127.0.0.0/8", "http://127.9.9.9/", True), ("127.*", "http://127.0.0.1/", True), ("::1", "http://[::1]/", True),
    ("fe80::/10", "http://[fe80::1]/", True), ("127.0.0.1:81", "http://127.0.0.1:81/", True),
    ("127.0.0.1:81", "http://127.0.0.1/", False), ("[::1]:81", "http://[::1]:81/", True),
    ("*", "https://b.test/", True),
    ("x, a.test , y", "http://a.test/", True), ("", "http://a.test/", False), (",", "http://a.test/", False),
    ("a.test:8080", "http://a.test:8080/", True), ("a.test.", "http://a.test/", True),
    ("a.test", "http://a.test./", True),
]  # fmt: skip


@pytest.mark.parametrize(("bypass", "url", "passed_by"), BYPASSES)
def test_no_proxy_is_read_by_name_suffix_address_network_and_star(bypass, url, passed_by):
    """Which URLs are asked without the proxy."""
    rules = ProxyRules({"all": ProxyAddress("http", "p", 1)}, bypass)
    assert (rules.proxy_for(parse_url(url)) is None) == passed_by


def test_windows_exceptions_to_its_proxy_are_read(monkeypatch):
    """ProxyOverride of its registry is honoured with the proxy that stands beside it; <local> means a bare name."""
    registry = {"ProxyEnable": 1, "ProxyServer": "p:1", "ProxyOverride": "*.corp; 10.*;<local>"}
    monkeypatch.setitem(sys.modules, "winreg", registry_of(registry))
    assert windows_exceptions() == registry["ProxyOverride"]
    rules = ProxyRules({"all": ProxyAddress("http", "p", 1)}, excepted=windows_exceptions())
    passed_by = ["http://a.corp/", "http://10.1.2.3/", "http://intranet/"]
    urls = [*passed_by, "http://a.test/", "http://127.0.0.1/"]
    assert [url for url in urls if not rules.proxy_for(parse_url(url))] == passed_by
    del registry["ProxyOverride"]
    assert windows_exceptions() == ""
    monkeypatch.setitem(sys.modules, "winreg", None)  # as elsewhere
    assert windows_exceptions() == ""


EXCEPTED = [
    ("10.*.*.*", "http://10.1.2.3/", True), ("172.16.*.*", "http://172.17.1.1/", False),
    ("192.168.1.?", "http://192.168.1.7/", True), ("192.168.1.?", "http://192.168.1.77/", False),
    ("srv-*", "http://srv-1.lan.net/", True), ("srv-*", "http://a.srv-1.net/", False),
    ("*corp.com", "http://xcorp.com/", True), ("www.*", "http://www.a.test/", True),
    ("*.corp.com", "http://corp.com/", False), ("corp.com", "http://corp.com/", True),
    ("corp.com", "http://www.corp.com/", False), ("10.0.0.0/8", "http://10.1.1.1/", False),
    ("WWW.Corp.COM", "http://www.corp.com/", True), ("a.test; b.test", "http://b.test/", True),
    ("a.test b.test", "http://b.test/", True), ("*", "https://a.test/", True), ("*.*", "http://intranet/", False),
    ("*.corp.com:8080", "http://a.corp.com:8080/", True), ("*.corp.com:8080", "http://a.corp.com/", False),
    ("http://www.corp.com", "http://www.corp.com/", True), ("http://www.corp.com", "https://www.corp.com/", False),
    ("https://*.corp.com:443/", "https://a.corp.com/", True), ("[::1]", "http://[::1]/", True),
    ("::1", "http://[::1]:8080/", True), ("[::1]:81", "http://[::1]:80/", False), ("a[bc]", "http://ab/", False),
    ("<LOCAL>", "http://intranet/", True), ("<local>", "http://[::1]/", False), ("<-loopback>", "http://a/", False),
    ("", "http://a.test/", False), ("http://;:80;;", "http://a.test/", False), ("corp.com", "http://corp.com./", True),
]  # fmt: skip


@pytest.mark.parametrize(("excepted", "url", "passed_by"), EXCEPTED)
def test_the_list_of_windows_is_read_by_whole_names(excepted, url, passed_by):
    """Its patterns are not those of NO_PROXY: no name covers those below it, and stars stand anywhere."""
    rules = ProxyRules({"all": ProxyAddress("http", "p", 1)}, excepted=excepted)
    assert (rules.proxy_for(parse_url(url)) is None) == passed_by


def test_a_proxy_of_windows_that_is_empty_is_none(monkeypatch):
    """A setting that is on with nothing in it, as Windows leaves it, ends no run; what is wrong is told as ever."""
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://", "https": "http://b:2", "ftp": "x"})
    assert list(ProxyRules.from_environment()) == [ProxyAddress("http", "b", 2)]
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "socks4://", "https": ""})
    assert not ProxyRules.from_environment()
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://a:99999"})
    with pytest.raises(ValueError, match="is not valid"):
        ProxyRules.from_environment()


def test_a_proxy_that_is_never_used_need_not_be_known(monkeypatch):
    """ALL_PROXY is for what the others leave over; GNOME calls SOCKS "socks", and cmd.exe leaves blanks."""
    found = {"http": "http://a:1 ", "https": "http://b:2", "all": "gopher://c:3"}
    monkeypatch.setattr("urllib.request.getproxies", lambda: found)
    assert list(ProxyRules.from_environment()) == [ProxyAddress("http", "a", 1), ProxyAddress("http", "b", 2)]
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"all": "socks://c:3/"})
    assert list(ProxyRules.from_environment()) == [ProxyAddress("socks5", "c", 3)]
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://a:1", "all": "gopher://c:3"})
    with pytest.raises(ValueError, match="unknown kind"):
        ProxyRules.from_environment()


def registry_of(values):
    """Return what stands for the winreg module, for one key."""

    def query(_, name):
        try:
            return values[name], 1
        except KeyError:
            raise FileNotFoundError(2, "no such value") from None

    return SimpleNamespace(HKEY_CURRENT_USER=0, OpenKey=lambda *_: contextlib.nullcontext(), QueryValueEx=query)


def test_no_proxy_holds_for_the_option_too(monkeypatch):
    """NO_PROXY of the environment is honoured for --proxy as for the variables."""
    with Server(answer(200)) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask_one(server.url(), proxy="http://127.0.0.1:1").status == 200


@pytest.mark.parametrize(
    "text",
    [
        "ftp://u:geheim@h", "http://u:geheim@h:99999", "http://u:geheim@", "http://u:geheim@[x", "http://u:p/geheim@h:1",
        "http://u:1#geheim@h:1", "h:1/geheim@h:1", f"socks5://u:{'geheim' * 22}@h", f"socks5h://u:{'é' * 64}@h",
    ],
)
def test_a_bad_proxy_is_told_without_its_password(text):
    """A proxy that is none is a ValueError fit for the user."""
    with pytest.raises(ValueError, match="the proxy '") as caught:
        parse_proxy(text)
    assert "geheim" not in str(caught.value)


@both_schemes
@pytest.mark.parametrize("kind", ["socks5", "socks5h"])
def test_socks_leads_to_the_site(tls, kind):
    """SOCKS5 with a name and a password, names resolved here or there."""
    pytest.importorskip("socks")
    with Server(answer(410), tls=tls) as server, SocksProxy(user="me", password="pw") as proxy:
        url = proxy.url.replace("socks5h://", f"{kind}://me:pw@")
        row = ask_one(server.url(host="a.test"), proxy=url, hosts={"a.test": ["127.0.0.1"]})
        assert proxy.asked == [("a.test" if kind == "socks5h" else "127.0.0.1", server.port)]
    assert row.status == 410


@pytest.mark.parametrize("size", [255, 4], ids=["for ever", "and stalls"])
def test_a_socks_proxy_that_drips_ends_in_time(size):
    """Its bytes are waited for within the connect timeout as a whole."""

    class Dripping(SocksProxy):
        def serve(self, connection):
            connection.read_exactly(3)
            connection.send(bytes([5, 0]))
            connection.read_exactly(4)
            connection.send(bytes([5, 0, 0, 3, 255]))
            for _ in range(size):
                connection.pause(0.1)
                connection.send(b"x")
            connection.hang()

    with Dripping() as proxy, within(0.8):
        row = ask_one("http://a.test/", proxy=proxy.url, connect_timeout=0.5)
    assert row.outcome is Outcome.PROXY_ERROR
    assert "did not answer within 0.5 s" in row.error


def test_socks_takes_the_address_that_can_be_used():
    """A proxy is tried at each of its addresses, and socks4, which carries IPv4 only, is given one."""
    with Server(answer(410)) as server, SocksProxy() as proxy:
        hosts = {"proxy.test": ["::1", "127.0.0.1"]}
        row = ask_one(server.url(), proxy=f"socks5h://proxy.test:{proxy.port}", hosts=hosts)
    assert row.status == 410
    with SocksProxy() as proxy:
        row = ask_one("http://a.test/", proxy=f"socks4://127.0.0.1:{proxy.port}", hosts={"a.test": ["::1"]})
        assert proxy.asked == []
    assert (row.outcome, row.error) == (
        Outcome.PROXY_ERROR, "the host has IPv6 addresses only, which socks4 does not carry"
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="no address is deaf there")
@pytest.mark.parametrize("kind", ["socks5h", "http"])
def test_a_silent_address_of_a_proxy_delays_no_other(kind):
    """As with a site's: the next one is tried beside it."""
    listening = SocksProxy() if kind == "socks5h" else Proxy()
    with Server(answer(410)) as server, listening as proxy, deaf_address("127.0.0.9", proxy.port), within(0.9):
        hosts = {"proxy.test": ["127.0.0.9", "127.0.0.1"]}
        row = ask_one(server.url(), proxy=f"{kind}://proxy.test:{proxy.port}", hosts=hosts)
    assert row.status == 410


def test_socks_is_told_no_name_whose_length_is_lost():
    """PySocks writes the length of 128 and more in two bytes: another name, of another port, would be asked for."""
    pytest.importorskip("socks")
    host = f"{'a' * 60}.{'b' * 60}.c.test"
    with Server(answer(410)) as server, SocksProxy() as proxy:
        longest, longer = host[1:], host
        assert (len(longest), len(longer)) == (127, 128)
        rows = ask(*[server.url(host=name) for name in (longest, longer)], proxy=proxy.url)
        assert [name for name, _ in proxy.asked] == [longest]
    assert [row.status for row in rows] == [410, None]
    assert rows[1].error == "no SOCKS proxy is told a name of more than 127 characters"


def test_what_socks_cannot_do_is_told_apart():
    """A SOCKS proxy that refuses is a proxy_error, a name unknown here is not its fault."""
    pytest.importorskip("socks")
    with SocksProxy(reply=2) as proxy:
        refused = ask_one("http://127.0.0.1:1/", proxy=proxy.url)
        unknown = ask_one("http://nowhere.invalid/", proxy=proxy.url.replace("5h", "5"))
    assert refused.outcome is Outcome.PROXY_ERROR
    assert "could not connect, or would not" in refused.error
    assert unknown.outcome is Outcome.DNS_ERROR


@pytest.mark.parametrize(("reply", "attempts"), [(5, 1), (None, 2)], ids=["refuses", "hangs up"])
def test_what_a_socks_proxy_says_is_final(reply, attempts):
    """A target that it cannot connect to is asked once, and casts no doubt on the network; its silence is passing."""
    pytest.importorskip("socks")

    class Failing(SocksProxy):
        def serve(self, connection):
            if reply is not None:
                super().serve(connection)
            connection.close()

    with Failing(reply=reply or 0) as proxy:
        urls = [f"http://127.0.0.{number}:1/" for number in range(1, 21)]
        with within(2.5):
            rows = list(probe_urls(urls, proxy=proxy.url, retry_wait=0.05, max_retry_wait=0.1))
    assert {(row.outcome, row.attempts) for row in rows} == {(Outcome.PROXY_ERROR, attempts)}


def test_socks_proxies_want_a_password_in_words():
    """A wrong password is told as such, and not tried again."""
    pytest.importorskip("socks")
    with SocksProxy(user="me", password="pw") as proxy:
        [row] = probe_urls(["http://127.0.0.1:1/"], proxy=proxy.url.replace("://", "://me:geheim@"))
    assert (row.outcome, row.attempts) == (Outcome.PROXY_ERROR, 1)
    assert "user name and a password" in row.error


def test_a_407_that_came_through_socks_is_the_servers():
    """A SOCKS proxy cannot send one."""
    pytest.importorskip("socks")
    with Server(answer(407)) as server, SocksProxy() as proxy:
        assert ask_one(server.url(), proxy=proxy.url).status == 407


def test_socks_without_its_extra_is_told_at_once(monkeypatch):
    """Without PySocks the message says what to install."""
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(ValueError, match=r"requests\[socks\]"):
        open_probe(Options(proxy="socks5://127.0.0.1"))


def test_the_ways_to_a_host_are_those_of_its_port():
    """A usual port tells the scheme; another may be asked by either."""
    one, other = ProxyAddress("http", "p", 1), ProxyAddress("http", "q", 1)
    rules = ProxyRules({"http": one, "https": other}, "near.test")
    assert [rules.ways_to("a.test", port) for port in (80, 443, 8080)] == [{one}, {other}, {one, other}]
    excepting = ProxyRules({"http": one, "https": other}, excepted="http://a.test")
    assert [excepting.ways_to("a.test", port) for port in (80, 443, 8080)] == [{None}, {other}, {None, other}]
    assert rules.ways_to("near.test", 80) == ProxyRules({"https": one}).ways_to("a.test", 80) == {None}
