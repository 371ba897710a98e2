"""Idle connections: few, and used again only where that is safe."""

from __future__ import annotations

import socket
import time

import pytest

from status_probe import pool as pool_module
from status_probe.connection import Connection, Shape
from status_probe.pool import QUIET_SECONDS, Pool

OK: Shape = ("GET", 200, True)
OTHER: Shape = ("GET", 404, True)


@pytest.fixture
def ends():
    """A function that returns a connection and its server's end; all are closed."""
    opened = []

    def make(shape: Shape = OK) -> tuple[Connection, socket.socket]:
        ours, theirs = socket.socketpair()
        opened.extend([ours, theirs])
        connection = Connection(ours, "127.0.0.1")
        connection.shape = shape
        return connection, theirs

    yield make
    for sock in opened:
        sock.close()


def kept(pool: Pool, connection: Connection, rested: bool = True) -> Connection:
    pool.put("a", connection)
    if rested:
        connection.idle_since -= 2 * QUIET_SECONDS
    return connection


def closed(connection: Connection) -> bool:
    return connection.sock.fileno() < 0


def test_a_connection_at_rest_is_used_again(ends):
    """One that was quiet for long enough is handed out at once, and only for its own origin."""
    pool = Pool()
    connection = kept(pool, ends()[0])
    assert pool.take("b") is None
    assert pool.take("a") is connection
    assert pool.take("a") is None


def test_unread_bytes_and_an_end_rule_a_connection_out(ends):
    """Neither what was left on it nor one that the server closed is used."""
    for trouble in (lambda theirs: theirs.send(b"x"), lambda theirs: theirs.close()):
        pool = Pool()
        connection, theirs = ends()
        trouble(theirs)
        kept(pool, connection)
        assert pool.take("a") is None
        assert closed(connection)


def test_stray_bytes_are_not_forgiven(ends):
    """After them no connection of the origin is kept; after an orderly end they are."""
    for trouble, forgiven in ((lambda theirs: theirs.send(b"x"), False), (lambda theirs: theirs.close(), True)):
        pool = Pool()
        connection, theirs = ends()
        trouble(theirs)
        kept(pool, connection)
        assert pool.take("a") is None
        following = kept(pool, ends()[0])
        assert closed(following) is not forgiven


def test_the_first_answer_of_a_shape_is_left_alone_for_a_while(ends):
    """A second connection is opened meanwhile, a third use waits until the first was quiet."""
    pool = Pool()
    assert pool.take("a") is None
    first = kept(pool, ends()[0], rested=False)
    assert pool.take("a") is None
    kept(pool, ends()[0], rested=False)
    began = time.monotonic()
    assert pool.take("a") is first
    assert first.waited > 0
    assert time.monotonic() - began < 2 * QUIET_SECONDS


def test_a_shape_that_was_quiet_is_used_at_once(ends):
    """What was proven for one connection of an origin holds for the others, for this shape only."""
    pool = Pool()
    kept(pool, ends()[0])
    pool.take("a")
    same = kept(pool, ends()[0], rested=False)
    assert pool.take("a") is same
    assert same.waited == 0
    assert not same.is_rested
    kept(pool, ends(OTHER)[0], rested=False)
    assert pool.take("a") is None


def test_no_more_than_so_many_are_kept(ends):
    """The one unused for longest is closed first, whatever its origin."""
    pool = Pool(max_idle=2)
    connections = [ends()[0] for _ in range(3)]
    for origin, connection in zip("abc", connections, strict=True):
        pool.put(origin, connection)
    assert [closed(connection) for connection in connections] == [True, False, False]
    assert pool.clear() == 2
    assert all(closed(connection) for connection in connections)


def test_none_is_kept_where_none_may_be(ends):
    """With room for none, and after the end, a connection is closed at once."""
    for pool in (Pool(max_idle=0), Pool()):
        pool.close() if pool._max_idle else None
        assert closed(kept(pool, ends()[0]))


def test_memory_is_bounded(ends, monkeypatch):
    """So many origins are remembered; one with an idle connection is not forgotten."""
    monkeypatch.setattr(pool_module, "REMEMBERED_ORIGINS", 10)
    pool = Pool()
    connection = kept(pool, ends()[0])
    for number in range(1000):
        pool.take(number)
    assert len(pool._origins) <= 12
    assert pool.take("a") is connection


def test_an_answer_is_known_where_it_was_vouched_for():
    """A shape is the origin's own once it came beyond doubt."""
    pool = Pool()
    assert not pool.knows("a", OK)
    pool.vouch("a", OK)
    assert pool.knows("a", OK)
    assert not pool.knows("a", OTHER)
    assert not pool.knows("b", OK)
