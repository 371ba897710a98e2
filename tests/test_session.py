"""The shared session is a requests.Session whose get() and send() are right."""

from __future__ import annotations

import threading

import pytest
import requests

from status_probe.fields import HeaderLines, header_line
from status_probe.options import Options
from status_probe.run import open_probe
from tests.server import Server, answer, closed_port, redirect


@pytest.fixture
def session():
    _, session = open_probe(Options(proxy=""))
    with session:
        yield session


PAGE = "<p>Größe 未</p>"


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_get_gives_content_text_and_headers(session, charset):
    """session.get(url) returns a Response whose body, text and headers are those of the answer."""
    body = (PAGE if charset == "utf-8" else "未找到").encode(charset)
    headers = [("Content-Type", f"text/html; charset={charset}"), ("X-Two", "a"), ("X-Two", "b")]
    with Server(answer(404, headers=headers, body=body)) as server:
        response = session.get(server.url(), timeout=2)
    assert response.status_code == 404
    assert response.reason == "Not Found"
    assert response.content == body
    assert response.text == body.decode(charset)
    assert response.headers["content-type"] == f"text/html; charset={charset}"
    assert response.headers["X-TWO"] == "a, b"
    assert response.headers.get("X-Three") is None
    assert dict(response.headers)["content-length"] == str(len(body))
    assert response.elapsed.total_seconds() > 0
    assert not response.ok
    with pytest.raises(requests.HTTPError):
        response.raise_for_status()


def test_a_chunked_body_is_joined(session):
    """Chunks, however they arrive, are the content."""
    chunks = [b"3\r\nabc\r\n", b"2;x=y\r", b"\nde\r\n0\r\n", b"T: x\r\n\r\n"]
    with Server([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks]) as server:
        assert session.get(server.url(), timeout=2).content == b"abcde"


def test_json_and_stream_work(session):
    """response.json() and iter_content() read the body; a body is at most 64 KiB."""
    with Server({"/json": answer(200, body=b'{"a": 1}'), "/big": answer(200, body=b"x" * 1_000_000)}) as server:
        assert session.get(server.url("/json"), timeout=2).json() == {"a": 1}
        with session.get(server.url("/big"), timeout=2, stream=True) as response:
            assert 0 < sum(map(len, response.iter_content(1000))) <= 64 * 1024


def test_a_redirect_is_not_followed(session):
    """The session returns one answer; following is the probe's."""
    with Server(redirect("/end")) as server:
        response = session.get(server.url(), timeout=2)
        assert len(server.log) == 1
    assert (response.status_code, response.history) == (302, [])


def test_send_takes_a_prepared_request(session):
    """session.send(prepared) asks with the headers prepared, and asks for nothing packed."""
    with Server(answer(200)) as server:
        request = session.prepare_request(requests.Request("GET", server.url("/a?b=c"), headers={"X-Own": "1"}))
        assert session.send(request, timeout=(1, 2)).status_code == 200
        assert server.log[0].target == "/a?b=c"
        assert server.log[0].header("X-Own") == "1"
        assert server.log[0].header("Accept-Encoding") == "identity"


def test_no_cookie_is_kept(session):
    """What an answer sets is not sent to the next."""
    with Server(answer(200, headers=[("Set-Cookie", "a=1")])) as server:
        session.get(server.url(), timeout=2)
        session.get(server.url(), timeout=2)
        assert [request.header("Cookie") for request in server.log] == ["", ""]
    assert len(session.cookies) == 0


def test_failures_are_requests_own(session):
    """Who uses the session alone catches requests.RequestException."""
    with closed_port() as (host, port), pytest.raises(requests.ConnectionError):
        session.get(f"http://{host}:{port}/", timeout=1)
    with pytest.raises(requests.exceptions.InvalidURL):
        session.get("http://127.0.0.1:99999/", timeout=1)


def test_threads_share_one_session(session):
    """Eight threads over one session each get their own answers."""
    wrong = []

    def work(thread: int) -> None:
        for number in range(20):
            path = f"/{thread}/{number}"
            if session.get(server.url(path), timeout=5).text != path:
                wrong.append(path)

    with Server(lambda request: answer(200, body=request.target.encode())) as server:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("A B", "x"), ("A:", "x"), ("A", "x\r\nB: y"), ("A", "\0"), ("Ä", "x")],
)
def test_a_header_cannot_end_its_line(name, value):
    """What would be a second line, or no name, is a ValueError."""
    with pytest.raises(ValueError, match="is not valid"):
        header_line(name, value)


def test_host_comes_first():
    """Host leads, however it was given; a value's blanks are gone."""
    assert HeaderLines({"A": " b ", "hOST": "c"}).lines == "Host: c\r\nA: b\r\n"
