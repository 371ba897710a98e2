"""Ask one target, follow redirects, always return what came of it.

Redirects are followed here and not by requests, which reads their bodies, decodes a Location in one way only, sends
the user's own headers to any host, and finds a loop when the limit is reached.  A row tells of a visitor's way: the
codes 301, 302, 303, 307 and 308 with a Location lead on, 300, 304, 305 and 306 never do (RFC 9110, section 15.4).
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache

from . import codes
from .chain import Chain, Stopwatch
from .failures import Failure, classify, fault_of_ours, is_passing
from .fields import HeaderLines
from .options import Options
from .records import Asking, Attempt, Hop, Outcome, Phase, Result, Target
from .session import Request, Session
from .transport import StaleConnection
from .urls import InvalidURL, Url, decode_location, has_scheme, join, parse_url, redact, redact_cut
from .wire import Head

__all__ = ["Probe"]

log = logging.getLogger("status_probe")

MOST_CHAIN = 40_000  # characters; a spreadsheet's cell has 32,767
_BLANKS = "\t\n\f\r "  # what browsers strip: U+00A0 belongs to the address
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_NO_TLS_THERE = frozenset({Outcome.CONNECT_REFUSED, Outcome.CONNECT_TIMEOUT, Outcome.CONNECT_ERROR})
_NO_TLS_CAUSES = frozenset({
    "plain_http", "handshake_refused", "handshake_ended", "refused", "unanswered",  # the last two by a proxy
})  # fmt: skip
# Failures before a request was sent: another method would end no other way.
_METHOD_MATTERS_NOT = frozenset({
    Outcome.INVALID_URL, Outcome.DNS_ERROR, Outcome.BLOCKED_ADDRESS, Outcome.CONNECT_REFUSED, Outcome.CONNECT_TIMEOUT,
    Outcome.CONNECT_ERROR, Outcome.PROXY_ERROR, Outcome.TLS_ERROR, Outcome.LOCAL_ERROR,
})  # fmt: skip


_NO_HEAD = Head(0, "", 1, {}, whole=False, content_length=None, keeps=False)


class Probe:
    """Asks targets over a shared session; called by many threads at once."""

    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._options = options
        self._method = "GET" if options.method == "get" else "HEAD"  # the first of each target
        fields = options.fields()
        self._fields = HeaderLines(fields)
        self._all_fields = HeaderLines({**fields, **options.own_fields()})

    def __call__(self, target: Target, attempts: int = 1) -> Attempt:
        """Return what *target* answers, without a pause before any redirect; *attempts* counts this one."""
        asking = self.asking(target, None, attempts, Phase())
        try:
            while True:
                next(asking)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def parse(self, text: str) -> Url:
        """Return what is asked first for *text*, as listed.

        Raises InvalidURL where it cannot be asked.
        """
        return parse_url(text, self._options.first_scheme)

    def asking(self, target: Target, url: Url | None, attempts: int, phase: Phase) -> Asking:
        """Ask *target*, as the caller lets it go on from one host to the next, and return what it answers.

        *url* is what its text was parsed to, if that was done; *phase* tells meanwhile what it is doing.
        """
        watch = Stopwatch(self._options.connect_timeout, self._options.read_timeout, self._options.max_time, phase)
        try:
            if target.fault:
                raise InvalidURL(target.fault)
            following: Chain | None = Chain(self._method, url or self.parse(target.url))
            told = None
            while following:
                chain, phase.ip = following, ""
                while not self._has_ended(chain, watch):
                    yield from watch.turn(chain.url)
                following = self._other_way(chain, target.url, watch)
                told = _more_telling(told, chain)
                if following:
                    yield from watch.turn(following.url)
            return self._attempt(target, told or chain, attempts)
        except InvalidURL as error:
            chain = _chain_of(Failure(Outcome.INVALID_URL, str(error)))
        except Exception as error:
            log.exception("internal error at %s", redact(target.url))
            chain = _chain_of(fault_of_ours(error))
        return self._attempt(target, chain, attempts)

    def _other_way(self, chain: Chain, text: str, watch: Stopwatch) -> Chain | None:
        """Return a chain that may do better than *chain* did, None where there is none.

        That is, within the same time, GET where HEAD did not settle it; and http where https cannot be connected to,
        for *text* without a scheme.
        """
        if chain.failure is None and (self._options.method != "auto" or (chain.status or 0) < 400):
            return None  # mostly
        if time.monotonic() >= watch.limits.deadline:
            return None
        may_try_get = self._options.method == "auto" and chain.method == "HEAD"
        if may_try_get and chain.outcome not in _METHOD_MATTERS_NOT:
            return Chain("GET", chain.start)
        if chain.start.scheme == "http" or not _cannot_do_tls(chain):
            return None
        if self._options.default_scheme != "auto" or has_scheme(text):
            return None
        return Chain(self._method, parse_url(text, "http"))

    def _has_ended(self, chain: Chain, watch: Stopwatch) -> bool:
        """Ask the chain's URL; return whether that was all, else the chain leads on to another one."""
        try:
            location = self._ask(chain, watch)
        except StaleConnection:
            chain.anew = True
            return False
        except Exception as error:
            chain.failure = classify(error)
            chain.ip = watch.limits.phase.ip
            chain.elapsed = watch.spent
            return True
        if location is None:
            return True
        chain.failure = self._lead_on(chain, location)
        return chain.failure is not None

    def _ask(self, chain: Chain, watch: Stopwatch) -> str | None:
        """Ask the chain's URL and note the answer; return where it leads, None where it ends."""
        request = Request.of(chain.method, chain.url, self._fields_for(chain))
        if chain.anew:
            request.anew, chain.anew = True, False
        else:
            chain.asked += 1
        response = self._session.send(request, timeout=watch.limits)
        answer = response.answer  # type: ignore[attr-defined]
        head, connection = answer.head, answer.connection
        chain.waited += connection.waited
        chain.elapsed = max(0.0, watch.spent - chain.waited)
        chain.head = head
        chain.ip = connection.ip
        chain.hops.append(Hop(head.status, chain.url.shown))
        location = self._location(head)
        if location is not None:
            if "set-cookie" in head.fields:
                chain.keep(head.fields["set-cookie"])
            if chain.url.scheme == "https" and "strict-transport-security" in head.fields:
                chain.heed(head.first("strict-transport-security"))
        response.close()
        return location

    def _fields_for(self, chain: Chain) -> HeaderLines:
        """The user's own headers and credentials go to the origin they were given for only."""
        url, start, cookie = chain.url, chain.start, chain.cookie
        at_home = url is start or url.origin == start.origin
        fields = self._all_fields if at_home else self._fields
        authorization = url.authorization or (start.authorization if at_home else None)
        if not authorization and not cookie:
            return fields
        extra = {"Authorization": authorization} if authorization else {}
        if cookie:
            own = next((fields[name] for name in fields if name.lower() == "cookie"), "")
            extra["Cookie"] = f"{own}; {cookie}" if own else cookie
        replaced = {name.lower() for name in extra}
        return HeaderLines({**{name: fields[name] for name in fields if name.lower() not in replaced}, **extra})

    def _location(self, head: Head) -> str | None:
        """Return where a redirect leads, None where it ends the chain."""
        if head.status not in _REDIRECTS or not self._options.max_redirects:
            return None
        values = head.fields.get("location", "").split("\n")  # an empty one does not count
        location = next(filter(None, (value.strip(_BLANKS) for value in values)), "")
        return decode_location(location.encode("latin-1")) or None

    def _lead_on(self, chain: Chain, location: str) -> Failure | None:
        """Turn the chain to where *location* leads; return why it may not go there.

        An address that comes back is no circle before it leads on as it did: there are firewalls that lead a client to
        the same address once, to see whether it follows, and logins that are kept by client.
        """
        shown = redact_cut(location, 200)
        shown = shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            following = chain.secured(join(chain.url, location))
        except InvalidURL as error:
            return Failure(Outcome.BAD_REDIRECT, f"it redirects to '{shown}': {error}")
        cookie = chain.cookies.header(following) if chain.cookies else ""
        here = (chain.url.text, chain.url.authorization, chain.cookie)
        there = (following.text, following.authorization, cookie)
        led_there, chain.led[here] = chain.led.get(here), there
        are_too_many = len(chain.hops) > self._options.max_redirects
        if led_there == there or (are_too_many and there in chain.led):
            return Failure(Outcome.REDIRECT_LOOP, f"it redirects in a circle, back to {following.shown}")
        if are_too_many:
            return Failure(
                Outcome.TOO_MANY_REDIRECTS,
                f"it redirects more than {self._options.max_redirects} times, next to {following.shown}",
            )
        chain.url, chain.cookie = following, cookie
        return None

    def _attempt(self, target: Target, chain: Chain, attempts: int) -> Attempt:
        head, failure, hops = chain.head or _NO_HEAD, chain.failure, chain.hops
        outcome, status, lang = chain.outcome, chain.status, self._options.lang
        cause = failure.cause if failure else ""
        bot = failure is None and codes.bot_filtered(head.status, head.fields)
        moved = len(hops) > 1 and any(hop.status in _PERMANENT for hop in hops[:-1])
        meaning, hint, verdict, passing = _judged(status, outcome, lang, cause, bot, moved)
        result = Result(  # by place, in the order of the columns: a third of the time that names take
            target.row,
            redact(target.url),
            status,
            outcome,
            head.reason,
            meaning,
            hops[-1].url if hops else "",  # final_url
            max(0, chain.asked - 1),  # redirects
            chain.text[:MOST_CHAIN],  # redirect_chain
            round(chain.elapsed * 1000) if chain.asked else None,
            attempts,
            chain.method if chain.head else "",
            head.first("content-type"),
            head.content_length,
            chain.ip,
            failure.error if failure else "",
            hint,
            _utc(int(time.time())),
            verdict,
        )
        return Attempt(result, passing, head.first("retry-after"), failure.again_in if failure else 0.0)


@lru_cache(maxsize=1024)
def _judged(
    status: int | None, outcome: Outcome, lang: str, cause: str, bot: bool, moved: bool
) -> tuple[str, str, str, bool]:
    """Return meaning, hint and verdict, and whether it may pass: a run has few different ones."""
    hint = codes.hint(status, outcome, lang, cause=cause, bot=bot, permanent_redirect=moved)
    verdict = codes.verdict(status, outcome, permanent_redirect=moved, bot=bot, cause=cause)
    return codes.meaning(status, outcome, lang), hint, verdict, is_passing(outcome, status, cause)


def _chain_of(failure: Failure) -> Chain:
    """Return a chain of which nothing was asked."""
    chain = Chain("", Url("http", "", 80, "/"))
    chain.failure = failure
    return chain


def _more_telling(earlier: Chain | None, later: Chain) -> Chain:
    """Return the one to tell of: where http has no answer either, that TLS failed says that somebody is there.

    Not where another attempt may be answered by http.  A port that broke off the handshake speaks TLS, and its 400
    means that http does not go there.
    """
    if earlier is None or earlier.failure is None or earlier.outcome is not Outcome.TLS_ERROR:
        return later  # mostly
    if later.failure is None or later.hops:
        is_bad_request = later.status == 400 and len(later.hops) == 1 and later.start.port == earlier.start.port
        return earlier if is_bad_request and earlier.failure.cause == "handshake_refused" else later
    return later if is_passing(later.outcome, None, later.failure.cause) else earlier


def _cannot_do_tls(chain: Chain) -> bool:
    """Whether there is no TLS to be had; a certificate that is not valid is there, and visitors are warned of it."""
    failure = chain.failure
    if failure is None or chain.hops:
        return False
    return failure.outcome in _NO_TLS_THERE or failure.cause in _NO_TLS_CAUSES


@lru_cache(maxsize=4)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
