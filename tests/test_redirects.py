"""Redirects are followed as a visitor's browser would, within limits, and secrets stay with their origin."""

from __future__ import annotations

import base64

import pytest

from status_probe.cookies import ChainCookies
from status_probe.records import Outcome
from status_probe.urls import parse_url
from tests.asking import ask, ask_one, within
from tests.server import Server, answer, close, hang, redirect, server_context

END = answer(410)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_five_codes_lead_on(status):
    """301, 302, 303, 307 and 308 with a Location are followed, and the chain shows each hop."""
    with Server({"/": redirect("/end", status), "/end": END}) as server:
        row = ask_one(server.url())
        assert row.redirect_chain == f"{status} {server.url()} -> 410 {server.url('/end')}"
        assert row.final_url == server.url("/end")
    assert (row.status, row.outcome, row.redirects) == (410, Outcome.CLIENT_ERROR, 1)


@pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
def test_other_codes_lead_nowhere(status):
    """300, 304, 305 and 306 are final, whatever their Location."""
    with Server({"/": redirect("/end", status), "/end": END}) as server:
        row = ask_one(server.url())
        assert len(server.log) == 1
    assert (row.status, row.outcome, row.redirects) == (status, Outcome.REDIRECT, 0)


@pytest.mark.parametrize("headers", [[], [("Location", "")], [("Location", "  ")]])
def test_a_redirect_without_a_location_is_final(headers):
    """302 without a Location, or with an empty one, is the answer."""
    with Server(answer(302, headers=headers)) as server:
        row = ask_one(server.url())
    assert (row.status, row.outcome, row.redirects, row.error) == (302, Outcome.REDIRECT, 0, "")


LOCATIONS = [
    ("end", "/a/end"), ("../end", "/end"), ("/end?a=b", "/end?a=b"), ("?q", "/a/b?q"), ("/end#part", "/end"),
    ("/caf\u00e9".encode(), "/caf%C3%A9"), ("/caf\u00e9".encode("latin-1"), "/caf%E9"), ("/a b", "/a%20b"),
    ("/\u65b0\u95fb".encode("gbk"), "/%D0%C2%CE%C5"),
    ("  /end  ", "/end"), ("/%7e%zz%41", "/%7e%zz%41"), ("//{authority}/end", "/end"),
    ("HTTP://{authority}/END", "/END"),
    ("http:/end", "/end"), ("\\end", "/end"),
]  # fmt: skip


@pytest.mark.parametrize(("location", "target"), LOCATIONS)
def test_a_location_is_read_as_browsers_read_it(location, target):
    """Relative, scheme-relative, UTF-8, latin-1, with blanks and escapes: the server sees the target meant."""
    routes = {"/a/b": answer(404), "*": END}
    with Server(routes) as server:
        authority = server.url("").removeprefix("http://")
        if isinstance(location, str):
            location = location.replace("{authority}", authority)
        routes["/a/b"] = redirect(location)
        row = ask_one(server.url("/a/b"))
        assert server.targets[:2] == ["/a/b", target]
    assert row.status in (410, 302)


def test_an_idn_location_leads_to_its_ascii_host():
    """A Location with a host in UTF-8 is asked at its ASCII name."""
    with Server({"/": answer(404), "/end": END}) as server:
        server.routes = {"/": redirect(f"http://b\u00fccher.test:{server.port}/end".encode()), "/end": END}
        row = ask_one(server.url(), hosts={"xn--bcher-kva.test": ["127.0.0.1"]})
        assert server.log[1].header("Host") == f"xn--bcher-kva.test:{server.port}"
    assert row.status == 410


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:alert(1)", "mailto:a@b.test", "data:,x", "http://", "http://[",
     "http://a..b/", "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://[1.2.3.4]/"],
)  # fmt: skip
def test_only_the_web_is_led_to(location):
    """Other schemes and addresses that are none open nothing: bad_redirect, with the status of the redirect."""
    with Server(redirect(location)) as server:
        row = ask_one(server.url())
        assert len(server.log) == 1
    assert (row.status, row.outcome) == (302, Outcome.BAD_REDIRECT)
    assert location[:20] in row.error


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_a_loop_is_seen_when_an_address_leads_on_as_before(limit):
    """A to B to A is a redirect_loop after three requests, or as many as are allowed."""
    with Server({"/a": redirect("/b"), "/b": redirect("/a")}) as server, within(1.0):
        row = ask_one(server.url("/a"), max_redirects=limit)
        assert server.targets == ["/a", "/b", "/a"][: limit + 1]
    assert (row.status, row.outcome) == (302, Outcome.REDIRECT_LOOP)
    assert "in a circle" in row.error


def test_a_url_that_leads_to_itself_is_a_loop():
    """A redirect to its own address, also with a fragment, is asked twice."""
    with Server(redirect("#again")) as server:
        row = ask_one(server.url())
        assert len(server.log) == 2
    assert row.outcome is Outcome.REDIRECT_LOOP


def test_an_address_that_leads_to_itself_once_is_no_loop():
    """Firewalls do so to tell browsers from floods, without a cookie: the page is there for whoever follows."""
    with Server(lambda request: answer(410) if request.overall else redirect("/")) as server:
        row = ask_one(server.url())
    assert (row.status, row.redirects, row.redirect_chain) == (410, 1, f"302 {server.url()} -> 410 {server.url()}")


def test_a_login_that_is_kept_by_client_is_no_loop():
    """A leads to B, which leads back, and is another page then."""
    pages = {"/a": lambda request: answer(410) if request.overall else redirect("/b"), "/b": redirect("/a")}
    with Server(pages) as server:
        assert ask_one(server.url("/a")).status == 410


@pytest.mark.parametrize(("value", "host", "is_strict"), [
    ("max-age=1000", "a.host.test", True), ("Max-Age = \"9\"; preload", "a.host.test", True),
    ("max-age=1000", "b.a.host.test", False), ("includeSubDomains; max-age=1", "b.a.host.test", True),
    ("max-age=1000; includeSubDomains", "ba.host.test", False), ("max-age=0", "a.host.test", False),
    ("preload", "a.host.test", False),
])  # fmt: skip
def test_a_chain_heeds_strict_transport_security(value, host, is_strict):
    """What https wants of later requests, no visitor asks over http: behind gateways nothing may listen there."""
    hosts = dict.fromkeys(["a.host.test", "b.a.host.test", "ba.host.test"], "127.0.0.1")
    routes = {"/end": END}
    with Server(routes, tls=server_context()) as server:
        strict = [("Strict-Transport-Security", value)]
        routes["/"] = redirect(f"http://{host}:{server.port}/end", headers=strict)
        row = ask_one(server.url(host="a.host.test"), hosts=hosts, insecure=True)
    assert (row.status == 410) is is_strict
    assert row.redirects == 1
    assert row.final_url.startswith("https://")
    assert f"http{'s' if is_strict else ''}://{host}" in row.redirect_chain


def test_an_address_or_a_plain_answer_is_not_strict():
    """RFC 6797, section 8.1: over http the header says nothing, nor does it for an IP."""
    strict = [("Strict-Transport-Security", "max-age=1000")]
    with Server({"/": redirect("/end", headers=strict), "/end": END}) as server:
        row = ask_one(server.url(host="a.test"), hosts=HOSTS)
        assert row.final_url == server.url("/end", host="a.test")
    with Server(END) as plain, Server(redirect(plain.url(), headers=strict), tls=server_context()) as server:
        assert ask_one(server.url()).final_url == plain.url()


def test_a_cookie_wall_is_passed():
    """An address that leads to itself until its cookie comes back is no loop."""
    def wall(request):
        if "seen=1" in request.header("Cookie"):
            return answer(200)
        return redirect("/", headers=[("Set-Cookie", "seen=1; Path=/; HttpOnly"), ("Set-Cookie", "b=2")])

    with Server(wall) as server:
        row, again = ask(server.url(), server.url())
        assert [request.header("Cookie") for request in server.log] == ["", "seen=1; b=2"] * 2
    assert (row.status, again.status) == (200, 200)


@pytest.mark.parametrize("value", ["a=x\0y", "a=x\ry", "a=x\x7f"])
def test_a_cookie_that_is_none_is_left_out(value):
    """A server's control characters in Set-Cookie cost neither its own status nor the way on."""
    headers = [("Set-Cookie", value), ("Set-Cookie", "good=1")]
    with Server({"/": redirect("/end", headers=headers), "/end": END}) as server:
        row = ask_one(server.url())
        assert server.log[-1].header("Cookie") == "good=1"
    assert (row.status, row.redirects) == (410, 1)


def test_a_cookie_comes_back_as_it_was_sent():
    """Bytes that are no ASCII are sent back as those bytes."""
    raw = b"HTTP/1.1 302 Found\r\nLocation: /end\r\nSet-Cookie: a=\xff\xe6\x9c\xaa\r\nContent-Length: 0\r\n\r\n"
    with Server({"/": [raw], "/end": END}) as server:
        assert ask_one(server.url()).status == 410
        assert server.log[-1].header("Cookie").encode("latin-1") == b"a=\xff\xe6\x9c\xaa"


@pytest.mark.parametrize(("pair", "sent"), [("=x", "x"), ("=x=y", "x=y"), ("x", "x"), ("=__Host-a=b", "")])
def test_a_cookie_without_a_name_comes_back(pair, sent):
    """It is its value alone, as in browsers; none that would pass for one with a promise in its name."""
    with Server({"/": redirect("/end", headers=[("Set-Cookie", pair)]), "/end": END}) as server:
        assert ask_one(server.url()).status == 410
        assert server.log[-1].header("Cookie") == sent


def cookie_wall(attributes):
    """Return a handler that leads to its own address until a cookie with these attributes comes back."""

    def wall(request):
        passed = request.header("Cookie") == "seen=1"
        return answer(410) if passed else redirect("/", headers=[("Set-Cookie", f"seen=1; {attributes}")])

    return wall


@pytest.mark.parametrize("attributes", [
    "Domain=", "Domain", "Max-Age=1e9", 'Max-Age="100"', "Path=w", 'Path="/"', "Path=/zzz; Path=/", 'Port="80"',
    "SameSite=None; Partitioned; Priority=High", "Expires=soon", "Max-Age=0; Max-Age=9",
    "Max-Age=" + "9" * 400,
])  # fmt: skip
def test_an_attribute_that_is_none_costs_no_cookie(attributes):
    """What browsers pass over in a Set-Cookie line does not turn a live page into a loop: RFC 6265, section 5.2."""
    with Server(cookie_wall(attributes)) as server:
        assert ask_one(server.url()).status == 410


@pytest.mark.parametrize("date", [
    "Thu, 01-Jan-70 00:00:01 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 01-Jan-75 00:00:00 GMT",
    "Thu Jan  1 00:00:00 1970", "Thu Jan 01 1970 00:00:00 GMT+0000 (UTC)", "Do, 01-Jan-1970 00:00:00 GMT",
    "Thu, 01-Jan-1970 00:00:00", "01-Jan-70 00:00:01", "Thu, 01/Jan/1970 00:00:00 GMT",
])  # fmt: skip
def test_a_cookie_is_taken_back_by_a_date_of_any_form(date):
    """What a browser does not send on is not sent: the page that was reached without it is."""
    gone = redirect("/end", headers=[("Set-Cookie", f"a=deleted; path=/; expires={date}")])
    with Server({"/": redirect("/out", headers=[("Set-Cookie", "a=1")]), "/out": gone, "/end": END}) as server:
        assert ask_one(server.url()).status == 410
        assert [request.header("Cookie") for request in server.log] == ["", "a=1", ""]


@pytest.mark.parametrize(("cookies", "kept"), [
    (["a=1", "a=0; Max-Age=0"], ""), (["a=0; Max-Age=0", "a=1"], "a=1"),
    (["a=1; Expires=Thu, 01-Jan-70 00:00:01 GMT; Max-Age=9"], "a=1"),
    (["a=1; Expires=Thu, 01-Jan-70 00:00:01 GMT; Expires=Fri, 31-Dec-99 00:00:01 GMT"], ""),
    (["a=1; Expires=Thu, 01-Jan-70 00:00:01 GMT; Expires=Fri, 31-Dec-2099 00:00:01 GMT"], "a=1"),
    (["__Host-a=1; Path=/", "__Secure-b=1", "__host-c=1; Secure"], ""),
    (["__Host-a=1; Path=/; Secure", "__Secure-b=1; Secure"], "__Host-a=1; __Secure-b=1"),
])  # fmt: skip
def test_cookies_count_in_their_order_and_by_their_prefix(cookies, kept):
    """The last one of a name counts, and one that promises to be secure by its name has to be."""
    headers = [("Set-Cookie", cookie) for cookie in cookies]
    with Server({"/": redirect("/end", headers=headers), "/end": END}, tls=server_context()) as server:
        assert ask_one(server.url()).status == 410
        assert server.log[-1].header("Cookie") == kept


@pytest.mark.parametrize("domain", ["localhost", ".LOCALHOST"])
def test_a_host_may_be_its_own_domain(domain):
    """A name of one label sets a cookie for itself: RFC 6265, section 5.3, step 5."""
    with Server(cookie_wall(f"Domain={domain}")) as server:
        assert ask_one(server.url(host="localhost"), hosts={"localhost": ["127.0.0.1"]}).status == 410


@pytest.mark.parametrize(("there", "cookie", "next_one", "sent"), [
    ("http://a.test/", "a=1", "https://a.test/", "a=1"), ("https://a.test:8443/", "a=1", "https://a.test/", ""),
    ("https://a.test:80/", "a=1", "http://a.test/", ""), ("http://a.test/", "a=1; Secure", "https://a.test/", ""),
    ("https://a.test/", "__Host-a=1; Secure; Path=/; Domain=a.test", "https://a.test/", ""),
    ("https://a.test/x/y", "a=1; Path=/; Path=w", "https://a.test/z", ""),
    ("https://a.test/x/y", "a=1; Path=/; Path=w", "https://a.test/x/z", "a=1"),
    ("https://a.test/", "a=" + "x" * 5000, "https://a.test/", ""),
])  # fmt: skip
def test_where_a_cookie_goes(there, cookie, next_one, sent):
    """To the usual ports of its host alike, to another port's server never, and only as it promised."""
    cookies = ChainCookies()
    cookies.add(parse_url(there), cookie)
    assert cookies.header(parse_url(next_one)) == sent


def test_a_secure_cookie_is_not_taken_over_http():
    """Nor by browsers: what was sent in the clear is not for https."""
    cookies = [("Set-Cookie", "a=1; Secure"), ("Set-Cookie", "b=2")]
    with Server({"/": redirect("/end", headers=cookies), "/end": END}) as server:
        assert ask_one(server.url()).status == 410
        assert server.log[1].header("Cookie") == "b=2"


def test_cookies_are_bounded():
    """Of thousands of one answer the last come back, as from a browser; a huge one does not."""
    cookies = [("Set-Cookie", f"c{number}=1") for number in range(2000)] + [("Set-Cookie", "huge=" + "x" * 5000)]
    with Server({"/": redirect("/end", headers=cookies), "/end": END}) as server:
        assert ask_one(server.url()).status == 410
        sent = server.log[1].header("Cookie").split("; ")
    assert 50 <= len(sent) <= 180
    assert "c1999=1" in sent


def test_cookies_on_a_long_way_take_no_time():
    """The jar looks through the path for each cookie, and the time is the attempt's."""
    cookies = [("Set-Cookie", f"c{number}=1; Path=/") for number in range(180)]
    there = redirect("/end/" + "[" * 60_000, headers=cookies)
    with Server({"/": there, "*": END}) as server, within(1.5):
        assert ask_one(server.url()).status == 410
        assert server.log[1].header("Cookie").count("=") == 180


def test_a_cookie_of_a_long_way_goes_nowhere_else():
    """Without a Path it is for what lies beside the page that set it."""
    far = "/" + "l" * 1100
    there = redirect("/end", headers=[("Set-Cookie", "a=1")])
    with Server({"/": redirect(f"{far}/x"), f"{far}/x": there, "/end": END}) as server:
        assert ask_one(server.url()).status == 410
        assert server.log[-1].header("Cookie") == ""


def test_an_address_beyond_all_measure_is_not_followed():
    """No server takes it as a request, and each hop of it would be kept."""
    with Server({"/": redirect("/" + "x" * 70_000)}) as server:
        row = ask_one(server.url())
        assert len(server.log) == 1
    assert (row.status, row.outcome) == (302, Outcome.BAD_REDIRECT)
    assert "longer than 65,536 characters" in row.error
    assert len(row.error) < 400


def test_an_address_with_credentials_is_another_one():
    """A redirect to the same address with a name and a password is no circle."""

    def door(request):
        return answer(410) if request.header("Authorization") else redirect(f"http://u:p@127.0.0.1:{server.port}/")

    with Server(door) as server:
        row = ask_one(server.url())
    assert (row.status, row.redirects) == (410, 1)


def test_an_empty_location_beside_another_does_not_count():
    """As browsers have it."""
    with Server({"/": redirect("", headers=[("Location", "/end")]), "/end": END}) as server:
        assert ask_one(server.url()).status == 410


def test_a_cookie_wall_that_ignores_the_cookie_is_a_loop():
    """The same cookie set again is not a new one."""
    with Server(redirect("/", headers=[("Set-Cookie", "a=1")])) as server:
        row = ask_one(server.url())
        assert len(server.log) == 3
    assert row.outcome is Outcome.REDIRECT_LOOP


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_the_limit_is_exact(limit):
    """max_redirects + 1 requests are made, and no more."""
    with Server(lambda request: redirect(f"/{request.overall + 1}")) as server:
        row = ask_one(server.url("/0"), max_redirects=limit)
        assert len(server.log) == limit + 1
    assert (row.status, row.outcome, row.redirects) == (302, Outcome.TOO_MANY_REDIRECTS, limit)


def test_as_many_hops_as_the_limit_are_made():
    """A chain of exactly max_redirects arrives."""
    with Server(lambda request: END if request.overall == 3 else redirect(f"/{request.overall + 1}")) as server:
        row = ask_one(server.url("/0"), max_redirects=3)
    assert (row.status, row.redirects) == (410, 3)


def test_without_redirects_the_first_answer_is_the_row():
    """max_redirects 0 follows nothing, and that is no failure."""
    with Server(redirect("/end")) as server:
        row = ask_one(server.url(), max_redirects=0)
        assert len(server.log) == 1
    assert (row.status, row.outcome, row.error) == (302, Outcome.REDIRECT, "")


@pytest.mark.parametrize("body", [b"Content-Length: 10\r\n\r\n", b"\r\n" + b"x" * 3_000_000])
def test_the_body_of_a_redirect_is_never_read(body):
    """A redirect whose body stalls or never ends leads on at once."""
    script = [b"HTTP/1.1 302 Found\r\nLocation: /end\r\n" + body, hang()]
    with Server({"/": script, "/end": END}) as server, within(0.3):
        row = ask_one(server.url())
    assert (row.status, row.redirects) == (410, 1)


def test_a_hop_that_fails_keeps_the_last_status():
    """Of a failed redirect the last code received is kept, and the chain names the address that failed."""
    with Server({"/": redirect("/gone", 301), "/gone": close()}) as server:
        row = ask_one(server.url())
        assert row.redirect_chain == f"301 {server.url()} -> {server.url('/gone')}"
    assert (row.status, row.outcome) == (301, Outcome.CONNECTION_LOST)


def test_secrets_stay_with_the_origin_they_were_given_for():
    """Credentials, cookies and the user's own headers go to no other host, port or scheme, and home again."""
    options = {"headers": (("X-Key", "own"), ("Cookie", "own=1"), ("Authorization", "Bearer own")), "hosts": HOSTS}
    with Server() as home, Server() as other, Server({"*": END}, tls=server_context()) as secure:
        home.routes = {
            "/port": redirect(other.url("/end"), headers=[("Set-Cookie", "theirs=1")]),
            "/host": redirect(home.url("/end", host="b.test"), headers=[("Set-Cookie", "theirs=1")]),
            "/scheme": redirect(secure.url("/end")),
            "/back": redirect(other.url("/back")),
            "*": END,
        }
        other.routes = {"/back": redirect(home.url("/end")), "*": END}
        ask(home.url("/port"), home.url("/host"), home.url("/scheme"), **options)
        strangers = [*other.log, *secure.log, *(request for request in home.log if "b.test" in request.header("Host"))]
        assert len(strangers) == 3
        for request in strangers:
            assert not any(request.header(name) for name in ("X-Key", "Cookie", "Authorization"))
        ask(home.url("/back"), **options)
        assert home.log[-1].target == "/end"
        assert home.log[-1].header("X-Key") == "own"


HOSTS = {"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"], "www.a.test": ["127.0.0.1"]}


def test_userinfo_becomes_basic_authentication_at_home_only():
    """The listed URL's name and password are sent to its origin, also after a redirect, and to no other."""
    expected = "Basic " + base64.b64encode(b"me:pa ss").decode()
    with Server() as home, Server({"*": END}) as other:
        home.routes = {"/": redirect("/second"), "/second": redirect(other.url("/end"))}
        row = ask_one(home.url().replace("//", "//me:pa%20ss@"))
        assert [request.header("Authorization") for request in home.log] == [expected] * 2
        assert other.log[0].header("Authorization") == ""
    text = repr(row)
    assert "me:***@" in row.url
    assert "pa%20ss" not in text
    assert "pa ss" not in text


def test_an_absolute_way_within_the_origin_keeps_the_listed_credentials():
    """As a browser does, which asks for them once; and they stand in for a header of the user's of that name."""
    expected = "Basic " + base64.b64encode(b"me:secret").decode()
    with Server() as home:
        home.routes = {"/": redirect(home.url("/end")), "/end": END}
        ask_one(home.url().replace("//", "//me:secret@"), headers=(("authorization", "Bearer own"),))
        assert home.targets == ["/", "/end"]
        for request in home.log:
            assert [value for name, value in request.headers if name.lower() == "authorization"] == [expected]


def test_a_cookie_of_the_users_goes_along_with_those_of_the_chain():
    """In one header, which is all that servers expect, and to the listed origin."""
    with Server({"/": redirect("/end", headers=[("Set-Cookie", "theirs=1")]), "/end": END}) as server:
        ask_one(server.url(), headers=(("cookie", "own=1"),))
        sent = [[value for name, value in request.headers if name.lower() == "cookie"] for request in server.log]
    assert sent == [["own=1"], ["own=1; theirs=1"]]


def test_no_output_shows_a_password_of_a_location():
    """A Location with credentials shows *** wherever it is told of, also where it is cut or not valid."""
    secret = "geheim" * 3
    for location in (f"http://u:{secret}@127.0.0.1:1/", f"ftp://u:{secret}@h/", f"ftp://{'u' * 185}:{secret}@h/"):
        with Server(redirect(location)) as server:
            assert secret[:5] not in repr(ask_one(server.url()))


def test_a_domain_cookie_reaches_the_hosts_below_it():
    """A cookie for a domain goes along to its other names, as RFC 6265 says; one without goes home only."""
    with Server() as server:
        there = server.url("/end", host="www.a.test")
        cookies = [("Set-Cookie", "wide=1; Domain=a.test"), ("Set-Cookie", "narrow=1")]
        server.routes = {"/": redirect(there, headers=cookies), "/end": END}
        ask_one(server.url(host="a.test"), hosts=HOSTS)
        assert server.log[1].header("Cookie") == "wide=1"


def test_no_cookie_outlives_its_chain():
    """The next URL of a host sends none of the cookies that were set before."""
    headers = [("Set-Cookie", f"c{number}=1; Path=/") for number in range(3)]
    with Server({"/set": redirect("/end", headers=headers), "*": answer(200, headers=headers)}) as server:
        ask(server.url("/set"), server.url("/next"))
        assert server.log[1].header("Cookie")
        assert server.log[2].header("Cookie") == ""


def test_head_stays_head_on_its_way():
    """A chain is asked by one method; auto asks it again by GET where its end is not settled."""
    with Server({"/": redirect("/end"), "/end": END}) as server:
        ask_one(server.url(), method="head")
        ask_one(server.url(), method="auto")
        methods = [request.method for request in server.log]
    assert methods == ["HEAD"] * 2 + ["HEAD"] * 2 + ["GET"] * 2


@pytest.mark.parametrize(("statuses", "verdict"), [
    ([302, 308], "moved"), ([301, 302], "moved"), ([302, 307], "alive"),
])  # fmt: skip
def test_one_permanent_redirect_on_the_way_moves_a_page(statuses, verdict):
    """Of 301 and 308 each says that the link is to be updated."""
    routes = {f"/{place}": redirect(f"/{place + 1}", status) for place, status in enumerate(statuses)}
    with Server({**routes, "*": answer(200)}) as server:
        assert ask_one(server.url("/0")).verdict == verdict


def test_a_way_from_http_to_https_is_followed():
    """http leads to https and the row has the status from there."""
    with Server({"*": END}, tls=server_context()) as secure, Server() as plain:
        plain.routes = {"*": redirect(secure.url("/end"), 301)}
        row = ask_one(plain.url())
        assert row.final_url == secure.url("/end")
    assert row.status == 410
