"""What an exception means for a row, and whether and when to try again."""

from __future__ import annotations

import errno
import ssl
import sys

import pytest

from status_probe.failures import RetryPolicy, classify, is_passing, parse_retry_after
from status_probe.limits import ConnectFailed, ConnectionLost, TLSFailed
from status_probe.names import NameFailure
from status_probe.records import Attempt, Outcome, Result

NO_PORT = 10048 if sys.platform == "win32" else errno.EADDRNOTAVAIL  # what says that all ports are used up
NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def attempt(outcome: Outcome = Outcome.CONNECTION_LOST, attempts: int = 1, retry_after: str = "") -> Attempt:
    return Attempt(Result(1, "u", None, outcome, attempts=attempts), passing=True, retry_after=retry_after)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("120", 120), (" 7 ", 7), ("Tue, 14 Nov 2023 22:13:30 GMT", 10), ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
     ("Tue, 14 Nov 2023 23:13:30 +0100", 10), ("Tue, 14 Nov 2023 22:13:30 -0000", 10), ("14 Nov 2023 22:13:30", 10),
     ("soon", None), ("", None), ("-5", None), ("1.5", None), ("\u0661", None),
     ("Tue, 99 Nov 2023 22:13:30 GMT", None)],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(text, seconds):
    """Seconds or a date of any zone; anything else is none."""
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize("text", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_of_now_leaves_the_computed_delay(text):
    """It names no time to wait, and another attempt in the same moment would see the same."""
    assert RetryPolicy(1, 8, 60).delay(attempt(retry_after=text), NOW, lambda: 0.5) == 8


def test_a_huge_retry_after_is_a_number():
    """Digits without end neither fail nor wait for ever: the policy cuts them."""
    assert parse_retry_after("9" * 400, NOW)
    assert RetryPolicy(1, 1, 60).delay(attempt(retry_after="9" * 400), NOW) == 60


def test_the_wait_doubles_and_is_cut():
    """1, 2, 4, ... seconds with a quarter of jitter to both sides, up to the cap."""
    policy = RetryPolicy(retries=20, wait=1.0, max_wait=10.0)
    assert [policy.delay(attempt(attempts=n), jitter=lambda: 0.5) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 10]
    assert policy.delay(attempt(), jitter=lambda: 0.0) == 0.75
    assert policy.delay(attempt(attempts=20), jitter=lambda: 1.0) == 10


def test_there_is_an_end_to_it():
    """After *retries* further attempts it is left at that, also with a Retry-After."""
    policy = RetryPolicy(retries=2)
    assert policy.delay(attempt(attempts=2)) is not None
    assert policy.delay(attempt(attempts=3)) is None
    assert policy.delay(attempt(attempts=3, retry_after="1")) is None
    assert RetryPolicy(retries=0).delay(attempt()) is None


def test_what_this_machine_spoiled_is_tried_once_more_in_any_case():
    """local_error is no answer of the server's, so --retries 0 does not make it final."""
    assert RetryPolicy(retries=0).delay(attempt(Outcome.LOCAL_ERROR)) is not None
    assert RetryPolicy(retries=0).delay(attempt(Outcome.LOCAL_ERROR, attempts=2)) is None


@pytest.mark.parametrize("kind", [ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError])
def test_an_end_is_no_alert(kind):
    """Where sending finds the connection at its end, TLS had no part in it, though OpenSSL tells."""
    error = ConnectionLost("x")
    error.__cause__ = kind(8, "y")
    failure = classify(error)
    assert (failure.outcome, failure.error) == (Outcome.CONNECTION_LOST, "x")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_statuses_are_tried_again(status):
    """What the server may answer otherwise in a moment."""
    assert is_passing(Outcome.SERVER_ERROR, status)


@pytest.mark.parametrize(("outcome", "cause"), [
    (Outcome.DNS_ERROR, "try_again"), (Outcome.DNS_ERROR, "timeout"), (Outcome.PROXY_ERROR, "unreachable"),
    (Outcome.PROXY_ERROR, "unanswered"), (Outcome.CONNECT_REFUSED, "lived"), (Outcome.TLS_ERROR, "handshake_ended"),
])  # fmt: skip
def test_what_may_be_over_in_a_moment_is_tried_again(outcome, cause):
    """A name server's silence, a proxy's, and a port or a handshake of a server that begins anew."""
    assert is_passing(outcome, None, cause)
    assert not is_passing(outcome, None, "unknown")


@pytest.mark.parametrize(
    "outcome",
    [Outcome.CONNECT_REFUSED, Outcome.TLS_ERROR, Outcome.REDIRECT_LOOP, Outcome.INVALID_URL],
)
def test_lasting_failures_are_not(outcome):
    """What stays so."""
    assert not is_passing(outcome, None)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, 10055, NO_PORT])
@pytest.mark.parametrize("kind", [ConnectFailed, TLSFailed, ConnectionLost, NameFailure])
def test_our_own_limits_are_told_whatever_they_look_like(code, kind):
    """Out of files seen as a failed name, a failed handshake or a lost connection is local_error."""
    error = kind("x")
    error.__cause__ = OSError(code, "y")
    assert classify(error).outcome is Outcome.LOCAL_ERROR


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(errno.ECONNREFUSED, Outcome.CONNECT_REFUSED), (10061, Outcome.CONNECT_REFUSED),
     (errno.ETIMEDOUT, Outcome.CONNECT_TIMEOUT), (10060, Outcome.CONNECT_TIMEOUT), (10049, Outcome.CONNECT_ERROR),
     (errno.EHOSTUNREACH, Outcome.CONNECT_ERROR), (errno.ENETUNREACH, Outcome.CONNECT_ERROR),
     (9999, Outcome.CONNECT_ERROR)],
)  # fmt: skip
def test_a_failed_connection_is_told_by_its_number(code, outcome):
    """Also by Windows' numbers; the sentence holds neither number nor class."""
    error = ConnectFailed("x")
    error.__cause__ = OSError(code, "y")
    failure = classify(error)
    assert failure.outcome is outcome
    assert not any(letter.isdigit() for letter in failure.error.replace("IPv6", ""))


def test_an_alert_after_the_handshake_is_tls():
    """TLS 1.3 tells that it wants a client certificate where the answer should be."""
    error = ConnectionLost("x")
    error.__cause__ = ssl.SSLError(1, "alert")
    error.__cause__.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    failure = classify(error)
    assert (failure.outcome, failure.cause) == (Outcome.TLS_ERROR, "client_certificate")


def test_what_nothing_explains_is_raised():
    """A fault of ours is not dressed as one of the server's."""
    with pytest.raises(KeyError):
        classify(KeyError("x"))
