"""A name is looked up once, in time, and only to addresses that may be connected to."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from status_probe import names
from status_probe.addresses import Address, BlockedAddress, is_public, parse_hosts
from status_probe.names import NameFailure, Resolver

LIMIT = 5.0  # seconds; no wait of a test is longer
IPV4 = int(socket.AF_INET)
IPV6 = int(socket.AF_INET6)


def row(ip: str) -> tuple[Any, ...]:
    """Return what getaddrinfo returns for one address."""
    if ":" in ip:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (ip, 0, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0))


class NameServer:
    """A getaddrinfo that counts, fails and hangs as told."""

    def __init__(self, **answers: list[str] | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.wanted = threading.Semaphore(0)  # released with each question
        self.open = threading.Event()  # answers come while it is set
        self.open.set()

    def __call__(self, host: str, port: object, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002
        assert port is None
        assert type == socket.SOCK_STREAM
        self.asked.append(host)
        self.wanted.release()
        assert self.open.wait(LIMIT)
        answer = self.answers.get(host.partition(".")[0], ["192.0.2.1"])
        if isinstance(answer, Exception):
            raise answer
        return [row(ip) for ip in answer]


class Clock:
    """Time that passes when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> NameServer:
    return NameServer(
        gone=socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        busy=socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        broken=socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure"),
        empty=[],
        both=["2001:470::1", "2001:470::2", "2001:470::2", "8.8.8.8"],
        home=["10.0.0.1"],
        mixed=["10.0.0.1", "8.8.8.8", "::1"],
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[..., Resolver]


@pytest.fixture
def open_resolver(server: NameServer, clock: Clock) -> Iterator[Open]:
    opened = []

    def open_one(hosts: dict[str, tuple[str, ...]] | None = None, **options: Any) -> Resolver:
        opened.append(Resolver(hosts, getaddrinfo=server, clock=clock, **options))
        return opened[-1]

    yield open_one
    server.open.set()
    for resolver in opened:
        resolver.close()


def ips(addresses: tuple[Address, ...]) -> list[str]:
    return [address.ip for address in addresses]


def outcome_of(resolver: Resolver, host: str, timeout: float = LIMIT) -> object:
    try:
        return ips(resolver.resolve(host, 80, timeout))
    except OSError as error:
        return error


def in_threads(count: int, call: Callable[[], object]) -> tuple[list[object], Callable[[], None]]:
    """Start *count* threads that call; return their results, and what waits for them."""
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(call())) for _ in range(count)]
    for thread in threads:
        thread.start()

    def join() -> None:
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()

    return results, join


def test_families_take_turns_beginning_with_the_systems_first(open_resolver: Open) -> None:
    """RFC 8305, section 4; each address once, with the port asked for."""
    assert open_resolver().resolve("both.test", 8080, LIMIT) == (
        Address(IPV6, "2001:470::1", ("2001:470::1", 8080, 0, 0)),
        Address(IPV4, "8.8.8.8", ("8.8.8.8", 8080)),
        Address(IPV6, "2001:470::2", ("2001:470::2", 8080, 0, 0)),
    )


def test_a_name_is_looked_up_once_while_its_answer_is_kept(
    open_resolver: Open, server: NameServer, clock: Clock
) -> None:
    """For all ports; and again when the time is over."""
    resolver = open_resolver(ttl=60)
    for port in (80, 443, 80):
        assert resolver.resolve("a.test", port, LIMIT)[0].sockaddr == ("192.0.2.1", port)
    clock.now += 59
    resolver.resolve("a.test", 80, LIMIT)
    assert server.asked == ["a.test"]
    clock.now += 1
    resolver.resolve("a.test", 80, LIMIT)
    assert server.asked == ["a.test", "a.test"]


def test_a_name_that_is_forgotten_is_looked_up_anew(open_resolver: Open, server: NameServer) -> None:
    """Whoever wants to know whether the name server answers is not told what it said before."""
    resolver = open_resolver(ttl=60)
    resolver.resolve("a.test", 80, LIMIT)
    resolver.forget("a.test")
    resolver.forget("b.test")
    resolver.resolve("a.test", 80, LIMIT)
    assert server.asked == ["a.test", "a.test"]


@pytest.mark.parametrize(
    ("host", "cause", "message", "seconds"),
    [
        ("gone.test", "unknown", "the name 'gone.test' is unknown", 60),
        ("empty.test", "unknown", "the name 'empty.test' is unknown", 60),
        ("gone.-a.test", "failed", "the name 'gone.-a.test' is unknown, or this system looks up none like it", 60),
        ("gone.a'b.test", "failed", "the name 'gone.a'b.test' is unknown, or this system looks up none like it", 60),
        ("gone.a-.test", "unknown", "the name 'gone.a-.test' is unknown", 60),
        ("broken.test", "failed", "the name server failed for the name 'broken.test'", 60),
        ("busy.test", "try_again", "the name server said to try again for the name 'busy.test'", 5),
    ],
)
def test_a_failing_name_costs_one_look_up(
    open_resolver: Open, server: NameServer, clock: Clock, host: str, cause: str, message: str, seconds: float
) -> None:
    """A passing failure is kept for five seconds only, so that a retry can succeed."""
    resolver = open_resolver(ttl=60)
    for _ in range(3):
        with pytest.raises(NameFailure) as caught:
            resolver.resolve(host, 80, LIMIT)
        assert str(caught.value) == message
        assert caught.value.cause == cause
        clock.now += seconds / 3 - 0.01
    assert server.asked == [host]
    clock.now += 0.1
    outcome_of(resolver, host)
    assert server.asked == [host, host]


def test_all_who_want_a_name_share_its_look_up(open_resolver: Open, server: NameServer) -> None:
    """However many threads ask at once, the name server is asked once."""
    resolver = open_resolver()
    server.open.clear()
    results, join = in_threads(20, lambda: outcome_of(resolver, "a.test"))
    assert server.wanted.acquire(timeout=LIMIT)
    server.open.set()
    join()
    assert results == [["192.0.2.1"]] * 20
    assert server.asked == ["a.test"]


def test_a_look_up_that_ended_meanwhile_counts(open_resolver: Open, server: NameServer) -> None:
    """Between a miss and its look-up another thread's may have ended."""

    class Meanwhile(dict[str, tuple[str, ...]]):
        entered = False

        def get(self, host: str, default: Any = None) -> Any:  # asked after the cache and before a look-up
            if not self.entered:
                self.entered = True
                resolver.resolve(host, 80, LIMIT)
            return default

    resolver = open_resolver(Meanwhile(a=()))
    assert outcome_of(resolver, "a.test") == ["192.0.2.1"]
    assert server.asked == ["a.test"]


def test_a_silent_name_server_holds_nobody_beyond_the_time(open_resolver: Open, server: NameServer) -> None:
    """Nor is a second look-up begun beside the one that hangs; its late answer serves those who come then."""
    resolver = open_resolver()
    server.open.clear()
    for _ in range(2):
        failure = outcome_of(resolver, "a.test", 0.02)
        assert isinstance(failure, NameFailure)
        assert failure.cause == "timeout"
        assert str(failure) == "the name server did not answer within 0.02 s"
    server.open.set()
    assert outcome_of(resolver, "a.test") == ["192.0.2.1"]
    assert server.asked == ["a.test"]


def test_nobody_waits_for_what_was_silent_for_twice_its_time(
    open_resolver: Open, server: NameServer, clock: Clock
) -> None:
    """A thousand URLs of a dead name server's host do not wait one after the other."""
    resolver = open_resolver()
    server.open.clear()
    outcome_of(resolver, "a.test", 0.01)
    clock.now += 2 * LIMIT * 100
    results, join = in_threads(1, lambda: outcome_of(resolver, "a.test", LIMIT * 100))
    join()
    assert isinstance(results[0], NameFailure)
    assert results[0].cause == "timeout"


def test_many_hanging_names_delay_no_other(open_resolver: Open, server: NameServer) -> None:
    """There are as many helpers as names under way, so a good name is not told to be dead."""
    resolver = open_resolver()
    server.open.clear()
    hosts = iter([f"h{number}.test" for number in range(40)])
    results, join = in_threads(40, lambda: outcome_of(resolver, next(hosts)))
    for _ in range(40):
        assert server.wanted.acquire(timeout=LIMIT), "a look-up waits for another"
    server.open.set()
    join()
    assert results == [["192.0.2.1"]] * 40


def test_a_look_up_that_could_not_begin_is_no_names_fault(open_resolver: Open, server: NameServer) -> None:
    """Beyond ``max_lookups`` it is this machine that is out of threads."""
    resolver = open_resolver(max_lookups=1)
    server.open.clear()
    outcome_of(resolver, "a.test", 0.01)
    assert server.wanted.acquire(timeout=LIMIT)
    assert isinstance(outcome_of(resolver, "a.test", 0.01), NameFailure)  # that one has begun
    failure = outcome_of(resolver, "b.test", 0.01)
    assert isinstance(failure, OSError)
    assert not isinstance(failure, NameFailure)
    assert failure.errno == errno.ENOBUFS
    server.open.set()
    assert outcome_of(resolver, "b.test") == ["192.0.2.1"]


def test_no_time_at_all_is_a_time_out(open_resolver: Open, server: NameServer) -> None:
    """A helper that had no moment to begin, where there is room for more of them, says nothing of this machine."""
    failure = outcome_of(open_resolver(), "a.test", 0.0)
    if isinstance(failure, Exception):  # else the helper was faster
        assert isinstance(failure, NameFailure)
        assert str(failure) == "the name server did not answer within 0.01 s"


def test_helpers_are_used_again(open_resolver: Open, server: NameServer) -> None:
    """Names one after the other need one thread."""
    resolver = open_resolver()
    before = threading.active_count()
    for number in range(50):
        resolver.resolve(f"h{number}.test", 80, LIMIT)
    assert threading.active_count() <= before + 2  # the last may not be back yet when the next name comes


def test_idle_helpers_end_by_themselves(
    open_resolver: Open, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a later name gets a new one, in the place of the one that ended."""
    monkeypatch.setattr(names, "IDLE_SECONDS", 0.01)
    resolver = open_resolver(max_lookups=1)
    for host in ("a.test", "b.test"):
        resolver.resolve(host, 80, LIMIT)
        for thread in threading.enumerate():
            if thread.name == "name look-up":
                thread.join(LIMIT)
                assert not thread.is_alive()


def test_a_fault_in_the_look_up_reaches_all_who_wait(open_resolver: Open, server: NameServer) -> None:
    """A fault of this machine is raised as it is, and is not kept."""
    server.answers["a"] = OSError(errno.EMFILE, "Too many open files")
    resolver = open_resolver()
    for _ in range(2):
        failure = outcome_of(resolver, "a.test")
        assert isinstance(failure, OSError)
        assert failure.errno == errno.EMFILE
    assert server.asked == ["a.test", "a.test"]
    server.answers["b"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        resolver.resolve("b.test", 80, LIMIT)


@pytest.mark.parametrize("host", ["gone.test", "busy.test"])
def test_a_machine_out_of_files_blames_no_name(open_resolver: Open, host: str) -> None:
    """The system then calls each name unknown, or says to try again."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resolver = open_resolver()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        failure = outcome_of(resolver, host)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(failure, OSError)
    assert failure.errno == errno.EMFILE
    assert isinstance(outcome_of(resolver, host), NameFailure), "and the next one asks again"


def test_no_thread_is_this_machines_fault(open_resolver: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that cannot be started is no unknown name, and the name can be asked later."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = open_resolver()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        failure = outcome_of(resolver, "a.test")
    assert isinstance(failure, OSError)
    assert failure.errno == errno.EAGAIN
    assert outcome_of(resolver, "a.test") == ["192.0.2.1"]


def test_short_of_threads_those_there_do_the_work(
    open_resolver: Open, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up for which no thread can be started waits for a thread that is busy."""

    def refuse(thread: threading.Thread) -> None:
        server.open.set()
        raise RuntimeError("can't start new thread")

    resolver = open_resolver()
    server.open.clear()
    outcome_of(resolver, "a.test", 0.01)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert outcome_of(resolver, "b.test") == ["192.0.2.1"]


def test_short_of_threads_no_name_server_is_blamed(
    open_resolver: Open, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up that could not begin beside one that hangs is this machine's fault, whatever max_lookups says."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = open_resolver()
    server.open.clear()
    outcome_of(resolver, "a.test", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        failure = outcome_of(resolver, "b.test", 0.01)
    assert isinstance(failure, OSError)
    assert failure.errno == errno.ENOBUFS
    server.open.set()


def test_close_ends_idle_helpers_at_once(open_resolver: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a run is left when it is over."""
    monkeypatch.setattr(names, "IDLE_SECONDS", 1000.0)
    resolver = open_resolver()
    resolver.resolve("a.test", 80, LIMIT)
    resolver.close()
    for thread in threading.enumerate():
        if thread.name == "name look-up":
            thread.join(LIMIT)
            assert not thread.is_alive()


def test_addresses_are_not_looked_up(open_resolver: Open, server: NameServer) -> None:
    """Neither IPv4 nor IPv6, with a zone by its number or its name."""
    resolver = open_resolver()
    assert resolver.resolve("127.0.0.1", 80, 0) == (Address(IPV4, "127.0.0.1", ("127.0.0.1", 80)),)
    assert resolver.resolve("::1", 80, 0) == (Address(IPV6, "::1", ("::1", 80, 0, 0)),)
    assert resolver.resolve("fe80::1%7", 80, 0)[0].sockaddr == ("fe80::1", 80, 0, 7)
    number, name = socket.if_nameindex()[0]
    assert resolver.resolve(f"fe80::1%{name}", 80, 0)[0].sockaddr == ("fe80::1", 80, 0, number)
    failure = outcome_of(resolver, "fe80::1%nowhere")
    assert str(failure) == "this machine has no network interface 'nowhere'"
    assert server.asked == []


def test_the_hosts_file_wins_over_a_look_up(open_resolver: Open, server: NameServer) -> None:
    """With or without the name's last dot; other names are looked up."""
    resolver = open_resolver({"a.test": ("127.0.0.1", "::1")})
    assert outcome_of(resolver, "a.test") == outcome_of(resolver, "a.test.") == ["127.0.0.1", "::1"]
    assert outcome_of(resolver, "b.test") == ["192.0.2.1"]
    assert server.asked == ["b.test"]


def test_public_only_hands_out_no_other_address(open_resolver: Open) -> None:
    """Wherever it came from: a look-up, the hosts file, the URL itself."""
    resolver = open_resolver({"a.test": ("127.0.0.1",), "b.test": ("::1", "8.8.4.4")}, public_only=True)
    assert outcome_of(resolver, "mixed.test") == ["8.8.8.8"]
    assert outcome_of(resolver, "b.test") == ["8.8.4.4"]
    assert outcome_of(resolver, "8.8.8.8") == ["8.8.8.8"]
    for host, address in {
        "home.test": "10.0.0.1",
        "a.test": "127.0.0.1",
        "127.0.0.1": "127.0.0.1",
        "::ffff:7f00:1": "::ffff:7f00:1",
        "fe80::1%1": "fe80::1",
    }.items():
        failure = outcome_of(resolver, host)
        assert isinstance(failure, BlockedAddress)
        assert str(failure) == str(BlockedAddress(host, address))
    assert str(outcome_of(resolver, "home.test")) == "the address 10.0.0.1 of 'home.test' is not public"
    assert str(outcome_of(resolver, "127.0.0.1")) == "the address 127.0.0.1 is not public"


PUBLIC = """
    8.8.8.8 100.63.255.255 100.128.0.0 172.32.0.1 223.255.255.255 192.0.1.1
    2001:470::1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 3fff:1000::1
"""
NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.1.1.1 100.64.0.1 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1 192.0.0.8 192.0.2.1
    192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 233.252.0.1 240.0.0.1 255.255.255.255
    :: ::1 ::8.8.8.8 ::10.0.0.1 ::ffff:10.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::a00:1 64:ff9b:1::1 100::1 2001::1
    2001:2::1 2001:db8::1 2002:a00:1:: 3fff::1 5f00::1 fc00::1 fd00::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
    h.test 127.1
"""


@pytest.mark.parametrize("ip", PUBLIC.split())
def test_reachable_addresses_are_public(ip: str) -> None:
    """Also IPv4 in an IPv6 coat, mapped or of NAT64."""
    assert is_public(ip)


@pytest.mark.parametrize("ip", ["", *NOT_PUBLIC.split()])
def test_other_addresses_are_not_public(ip: str) -> None:
    """Private, shared, reserved, multicast, tunnels, and what is no address at all."""
    assert not is_public(ip)


@given(st.ip_addresses())
def test_public_is_never_more_than_the_standard_library_says(address: Any) -> None:
    """Apart from addresses that stand for an IPv4 address, which older versions misjudge."""
    if is_public(str(address)) and not getattr(address, "ipv4_mapped", None):
        assert address.is_global
        assert not address.is_multicast


def test_lines_of_a_hosts_file_add_up() -> None:
    """Comments, aliases, case, IDN, a last dot, zones and a BOM are as in a system's file."""
    text = (
        "\ufeff# comment\n127.0.0.1 a.test A.ALIAS.test. # why\r\n\n"
        "\t::1\ta.test\n127.0.0.1 a.test\nfe80::1%lo bücher.test fa\u00df.test\n"
    )
    assert parse_hosts(text, "my") == parse_hosts(text.splitlines(), "my") == {
        "a.test": ("127.0.0.1", "::1"),
        "a.alias.test": ("127.0.0.1",),
        "xn--bcher-kva.test": ("fe80::1%lo",),
        "xn--fa-hia.test": ("fe80::1%lo",),
    }


@pytest.mark.parametrize(
    "line", ["127.0.0.1", "a.test 127.0.0.1", "127.1 a.test", "::g a.test", "::1 a..b", "::1 \ufffd.test"]
)
def test_a_bad_line_of_a_hosts_file_is_named(line: str) -> None:
    """By file and number."""
    with pytest.raises(ValueError, match=r"\Amy:2: "):
        parse_hosts(f"# first\n{line}\n", "my")


def test_the_cache_is_bounded(open_resolver: Open, server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest host goes first."""
    monkeypatch.setattr(names, "CACHED_HOSTS", 2)
    resolver = open_resolver()
    for host in ("a.test", "b.test", "c.test", "b.test", "a.test"):
        resolver.resolve(host, 80, LIMIT)
    assert server.asked == ["a.test", "b.test", "c.test", "a.test"]


def test_names_below_localhost_are_this_machine(server: NameServer, open_resolver: Open) -> None:
    """No name server is asked, and the guard against what is not public holds: RFC 6761, section 6.3."""
    resolver = open_resolver()
    assert ips(resolver.resolve("a.b.localhost", 80, LIMIT)) == ["127.0.0.1", "::1"]
    assert ips(resolver.resolve("a.localhost.", 80, LIMIT)) == ["127.0.0.1", "::1"]
    assert ips(resolver.resolve("localhost.", 80, LIMIT)) == ["127.0.0.1", "::1"]
    assert server.asked == []
    with pytest.raises(BlockedAddress):
        open_resolver(public_only=True).resolve("a.localhost", 80, LIMIT)


def test_localhost_is_found_by_the_system() -> None:
    """The real getaddrinfo, from the system's own hosts file."""
    resolver = Resolver()
    try:
        assert set(ips(resolver.resolve("localhost", 80, LIMIT))) <= {"127.0.0.1", "::1"}
    finally:
        resolver.close()
