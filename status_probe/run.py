"""One run: the rooms wired in reading order, and its results in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import attrgetter

from .failures import RetryPolicy
from .fields import HeaderLines
from .hostqueue import HostQueue
from .issuers import Issuers
from .machine import fit_to_limits
from .names import Resolver
from .netwatch import NetworkWatch
from .opener import Opener
from .options import Options
from .outage import Outage
from .probe import Probe
from .records import Result, Target
from .repeats import Claim, Repeats
from .session import Session
from .tls import open_context
from .transport import Transport
from .urls import InvalidURL, Url, has_scheme, show_host
from .workers import Finished, InFlight, Task, Workers

__all__ = ["MAX_BATCH", "Pair", "Run", "open_probe"]

MAX_HELD = 110_000  # tasks; so a list sorted by host still shows many hosts at once
# Tasks of hosts that may be asked now, and those hosts: then the list is not read on, and costs no memory.  They are
# twice what workers take in the 50 ms that the feeder may have to wait for the interpreter's lock.
AHEAD, AHEAD_A_WORKER, HOSTS_A_WORKER = 1000, 4, 2
PARSED = 10_000  # tasks that wait may keep what their text was parsed to; 110,000 of these would be 22 MB
SHARED_HOSTS = 10_000  # names of hosts that tasks share; beyond it they begin to be shared anew
LONGEST_GAP = 2.0  # seconds between requests to a host that goes on complaining; its Retry-After may ask for more
MAX_BATCH = 1000  # rows
POLL_SECONDS = 0.2  # on Windows a blocked wait cannot be interrupted before 3.14

Pair = tuple[Target, Result]


def open_probe(options: Options) -> tuple[Probe, Session]:
    """Return what asks one target, and the session below it.

    Raises ValueError for an option that cannot be used.
    """
    fit = fit_to_limits(options.workers)
    resolver = Resolver(options.hosts_table(), public_only=options.public_only, max_lookups=fit.look_ups)
    bundle = options.ca_bundle_file()

    opener = Opener(
        resolver, lambda: open_context(bundle, options.client_cert, options.client_key, insecure=options.insecure)
    )
    if bundle or options.client_cert:
        opener.load_context()  # what is wrong with a file is told at once
    own_lines = HeaderLines(options.fields()).lines
    issuers = Issuers(opener, bundle, options.client_cert, options.client_key)
    session = Session(Transport(opener, options.proxy_rules(), fit.idle, issuers, own_lines))
    return Probe(session, options), session


class Run:
    """Asks *targets* and gives out a row for each, in batches as they complete.

    ``earlier`` may be set before the start: it returns the row of a target that has one from an earlier run, None for
    one that is to be asked.

    Raises ValueError for an option that cannot be used, before anything is asked.
    """

    def __init__(self, targets: Iterable[Target], options: Options) -> None:
        self._options = options
        self._targets = targets
        self.earlier: Callable[[Target], Result | None] | None = None
        self._probe, self._session = open_probe(options)
        self._repeats = Repeats() if options.dedupe else None
        self._queue: HostQueue[Task] = HostQueue(
            MAX_HELD,
            host_of=attrgetter("host"),
            per_host=options.per_host,
            delay=options.delay,
            rate=options.rate,
            longest_gap=min(LONGEST_GAP, options.max_retry_wait),
            ahead=AHEAD + AHEAD_A_WORKER * options.workers,
            hosts_ahead=HOSTS_A_WORKER * options.workers,
        )
        self._session.transport.is_wanted = self._is_wanted
        watch = NetworkWatch(options.max_retry_wait or 1.0, second_chances=options.retries > 0)
        self._outage = Outage(watch, self._queue, self._can_reach)
        self.workers = Workers(
            self._probe.asking,
            self._queue,
            count=fit_to_limits(options.workers).workers,
            retries=RetryPolicy(options.retries, options.retry_wait, options.max_retry_wait),
            outage=self._outage,
        )

    def __enter__(self) -> Run:  # noqa: PYI034 - Self is 3.11's
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Begin to ask.

        Raises RuntimeError where this machine has no threads for it.
        """
        self.workers.start(self._tasks())

    def end(self) -> None:
        """Ask nothing more, and let go of what the run has."""
        self.stop()
        if self.workers.results.ended:
            self.workers.join(2.0)
        if self._repeats:
            self._repeats.close()
        self._session.close()

    def stop(self) -> None:
        """Ask nothing more."""
        self.workers.stop()
        if self._repeats:
            self._repeats.stop()

    def batches(self) -> Iterator[list[Pair]]:
        """Yield rows as they complete, an empty list where none came for POLL_SECONDS.

        Raises what the list raised when it could not be read on, after all rows of what was read; and ThreadLost.
        """
        while not self.workers.results.ended:
            batch = self._batch()
            if not batch:
                self.workers.check()
            yield batch
        self.workers.check()
        if self.workers.fault:
            raise self.workers.fault

    def rest(self, seconds: float) -> None:
        """Let rows gather for so long, or until the last one is there."""
        self.workers.results.rest(seconds)

    def waiting_for(self) -> list[InFlight]:
        """Return what is being asked, the oldest first."""
        return self.workers.in_flight()

    def held(self) -> list[tuple[str, float, int]]:
        """Return (host, seconds, targets) of hosts that are held back, the longest first."""
        now = time.monotonic()
        return [(show_host(str(host)), until - now, count) for host, until, count in self._queue.held()]

    @property
    def is_waiting(self) -> bool:
        """Whether next to nothing is being asked, or fewer targets are left than there are workers."""
        out = self._queue.out
        return out <= 1 or (self.workers.is_fed and self._queue.qsize() + out < self._options.workers)

    @property
    def handshakes(self) -> int:
        """How many TLS handshakes were begun."""
        return self._session.transport.opener.handshakes

    @property
    def paused(self) -> bool:
        """Whether the run waits for this machine's own network."""
        return self._outage.suspected

    def _can_reach(self, host: Hashable) -> bool:
        """Whether there is a way to *host*, a name and a port."""
        name, _, port = str(host).rpartition(":")
        return self._session.transport.can_reach(name, int(port), self._options.connect_timeout)

    def _is_wanted(self, host: str) -> bool:
        """Whether more URLs of *host* are listed, or may be: of a list that comes slowly not much is in sight."""
        sees_ahead = self.workers.is_fed or self._queue.qsize() >= AHEAD // 2
        return not sees_ahead or self._queue.holds(host)

    def _batch(self) -> list[Pair]:
        batch: list[Pair] = []
        for finished in self.workers.results.take(POLL_SECONDS):
            self._add(batch, finished)
            if len(batch) >= MAX_BATCH:
                break
        return batch

    def _add(self, batch: list[Pair], finished: Finished) -> None:
        batch.append((finished.target, finished.result))
        if self._repeats and finished.key and self._may_be_listed_again():
            batch += self._repeats.settle(finished.key, finished.result)

    def _may_be_listed_again(self) -> bool:
        """Whether a result is still needed: asked in this order, for once all is fed no line begins to wait."""
        return not self.workers.is_fed or (self._repeats is not None and self._repeats.has_waiting)

    def _tasks(self) -> Iterator[Task | Finished]:
        """Yield what is to be asked, and what needs no asking as finished; on the feeder's thread."""
        hosts: dict[str, str] = {}  # one text for all tasks of a host: 100,000 may be held, and it is looked up faster
        for target in self._targets:
            known = self.earlier(target) if self.earlier else None
            try:
                url = None if target.fault else self._probe.parse(target.url)
            except InvalidURL:
                url = None
            if url is None:
                if known is None:
                    yield Finished(target, self._probe(target).result)
            elif known is not None:
                if self._repeats:
                    self._repeats.preload(self._key(target.url, url), known)
            else:
                kept = url if self._queue.qsize() < PARSED else None  # or it is parsed again when asked
                if len(hosts) > SHARED_HOSTS:
                    hosts.clear()
                place = url.host_key
                task = Task(target, hosts.setdefault(place, place), self._key(target.url, url), kept)
                claim = self._repeats.claim(target, task.key) if self._repeats else Claim.ASK
                if claim is Claim.ASK:
                    yield task
                elif isinstance(claim, Result):
                    yield Finished(target, claim)

    @staticmethod
    def _key(text: str, url: Url) -> str:
        """Return what is equal for targets that ask the same: a listed scheme is not the same as a default one."""
        key = url.text if url.username is None else repr(url)
        if key == text:
            return text  # mostly; it is there already
        return key if has_scheme(text) else "?" + key
