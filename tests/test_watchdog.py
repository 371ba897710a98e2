"""Blocking TLS sockets: their waits end in time, and no other socket is touched."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest

from status_probe import connection, opener, watchdog
from status_probe.records import Outcome
from status_probe.tls import open_context
from status_probe.watchdog import TLSSocket, Watchdog
from tests.asking import ask, ask_one, within
from tests.command import wait_for
from tests.connection import Connection
from tests.server import Server, Step, answer, drip, hang, server_context

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the ssl module keeps the time there")


@contextmanager
def silent_server() -> Iterator[Server]:
    """A TLS server that completes the handshake and says nothing."""
    with Server(hang(), tls=server_context()) as server:
        yield server


@contextmanager
def connected(server: Server) -> Iterator[TLSSocket]:
    """A blocking TLS socket that is connected to *server*."""
    plain = socket.create_connection((server.address, server.port), 5)
    plain.settimeout(None)
    with open_context(insecure=True).wrap_socket(plain) as sock:
        assert isinstance(sock, TLSSocket)
        yield sock


def ends(sock: TLSSocket) -> bool:
    """Whether a read of *sock* sees an end: a reset, or a broken pipe, where a session ticket comes after that."""
    try:
        return sock.recv(100) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def test_a_wait_ends_when_its_time_is_over():
    """Whoever reads sees an end, at the time that was set last, and the socket stays ended."""
    dog = Watchdog()
    with silent_server() as server, connected(server) as sock:
        assert dog.watch(sock, time.monotonic() + 60)
        assert dog.watch(sock, time.monotonic() + 0.1)
        with within(0.4, 0.1):
            assert ends(sock)
        assert sock.is_late
        assert not dog.watch(sock, time.monotonic() + 60)
        dog.release(sock)


def test_a_watchdog_that_cannot_begin_is_begun_later(monkeypatch):
    """Out of threads it is this machine's fault, and the next to watch tries again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    dog = Watchdog()
    with silent_server() as server, connected(server) as sock:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(OSError, match="out of threads"):
                dog.watch(sock, time.monotonic() + 60)
        dog.watch(sock, time.monotonic() + 0.1)
        wait_for(lambda: sock.is_late)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watchdog_that_died_is_followed_by_another(monkeypatch):
    """Its thread may find no memory; what is watched then is ended in time all the same."""

    def die(_: Watchdog) -> None:
        raise MemoryError

    dog = Watchdog()
    with silent_server() as server, connected(server) as first, connected(server) as second:
        with monkeypatch.context() as patched:
            patched.setattr(Watchdog, "_end_waits", die)
            dog.watch(first, time.monotonic() + 60)
            wait_for(lambda: not any(thread.name == "watchdog" for thread in threading.enumerate()))
        dog.watch(second, time.monotonic() + 0.1)
        wait_for(lambda: second.is_late)
        dog.release(first)


def one_record(payload: bytes, every: float, size: int) -> Step:
    """As *on_connect*: shake hands, read a request, and send *payload* as one TLS record in pieces."""

    def run(connection: Connection) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server_context().wrap_bio(incoming, outgoing, server_side=True)
        request = b""
        while not request:
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                connection.send(outgoing.read())
                request = tls.read()
            connection.send(outgoing.read())
            if not request:
                incoming.write(connection.receive())
        tls.write(payload)
        drip(outgoing.read(), every, size).run(connection)

    return Step(run)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when the last byte came")
def test_a_record_that_comes_slowly_is_no_silence():
    """The read timeout counts from the last byte, as without TLS, though a read ends with the whole record."""
    payload = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nX: " + b"x" * 400 + b"\r\n\r\n"
    with Server(answer(200), on_connect=one_record(payload, 0.1, 50)) as server, within(2.0, 0.8):
        row = ask_one(server.url(scheme="https"), read_timeout=0.4, max_time=5.0)
    assert row.status == 410
    with Server(answer(200), on_connect=one_record(payload, 0.1, 1)) as server, within(1.5, 1.0):
        row = ask_one(server.url(scheme="https"), read_timeout=0.4, max_time=1.0)
    assert row.outcome is Outcome.DEADLINE_EXCEEDED
    with Server(answer(200), on_connect=one_record(payload, 0.6, 200)) as server, within(1.2, 0.4):
        row = ask_one(server.url(scheme="https"), read_timeout=0.4, max_time=5.0)
    assert row.outcome is Outcome.READ_TIMEOUT


def test_only_what_is_late_is_ended():
    """Of three sockets the late one ends; one with more time and one that was released are as they were."""
    dog = Watchdog()
    with silent_server() as server, connected(server) as late, connected(server) as early, connected(server) as free:
        dog.watch(free, time.monotonic() + 0.5)
        dog.release(free)
        for sock, seconds in [(late, 0.6), (early, 60)]:
            dog.watch(sock, time.monotonic() + seconds)
        assert ends(late)
        dog.release(early)
        assert [early.is_late, free.is_late] == [False, False]
        assert [early.send(b"x"), free.send(b"x")] == [1, 1]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            late.send(b"x")


def test_its_thread_ends_with_the_last_socket_and_comes_again():
    """No thread is left where nothing is watched; the next socket is watched all the same."""
    dog = Watchdog()
    with silent_server() as server:
        for _ in range(2):
            with connected(server) as sock:
                dog.watch(sock, time.monotonic() + 60)
                thread = next(thread for thread in threading.enumerate() if thread.name == "watchdog")
                dog.release(sock)
                thread.join(2)
                assert not thread.is_alive()


def test_a_handshake_that_is_over_too_late_is_a_connect_timeout(monkeypatch):
    """Also where the server was in time, and only the thread, which waits for the interpreter's lock, was not."""

    def shake_hands(sock: TLSSocket) -> None:
        ssl.SSLSocket.do_handshake(sock)
        wait_for(lambda: sock.is_late)

    monkeypatch.setattr(TLSSocket, "do_handshake", shake_hands)
    with Server(answer(200), tls=server_context()) as server:
        row = ask_one(server.url(), connect_timeout=0.3)
    assert row.outcome is Outcome.CONNECT_TIMEOUT


def test_a_machine_out_of_threads_is_told_as_such(monkeypatch):
    """Without its thread nothing is asked over TLS, and the row says why."""
    def refuse(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    with Server(answer(200), tls=server_context()) as server:
        monkeypatch.setattr(watchdog, "threading", SimpleNamespace(Lock=threading.Lock, Thread=refuse))
        row = ask_one(server.url())
    assert row.outcome is Outcome.LOCAL_ERROR


def test_a_kept_connection_outlives_the_time_of_its_last_answer():
    """What is idle is not watched: the second URL goes over the same connection though the first one's time is over."""
    with (
        Server({"/1": answer(200), "/2": answer(201)}, tls=server_context()) as server,
        Server(hang()) as other,
    ):
        urls = [server.url("/1"), other.url(), server.url("/2")]
        rows = ask(*urls, connect_timeout=0.5, read_timeout=0.5, max_time=0.5)
        assert [row.status for row in rows] == [200, None, 201]
        assert server.connections == 1


@pytest.mark.parametrize("script", [hang(), drip(b"HTTP/1.1 200 " + b"y" * 1000, 0.05)], ids=["silence", "drip"])
def test_limits_hold_where_the_ssl_module_keeps_the_time(script, monkeypatch):
    """As on Windows: no watchdog, and a time limit of each socket's own."""
    monkeypatch.setattr(opener, "SYSTEM_WAITS", False)
    monkeypatch.setattr(connection, "SYSTEM_WAITS", False)
    with Server({"/1": script, "/2": answer(200)}, tls=server_context()) as server, within(0.7, 0.35):
        row, after = ask(server.url("/1"), server.url("/2"), read_timeout=0.4, max_time=0.4)
    assert row.outcome in (Outcome.READ_TIMEOUT, Outcome.DEADLINE_EXCEEDED)
    assert after.status == 200
