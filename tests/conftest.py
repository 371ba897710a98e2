"""What every test gets: no thread left alive, and no environment or ignored signal that decides a result."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

ENVIRONMENT = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE", "RES_OPTIONS",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def signals_heard() -> None:
    """Let the commands under test hear what our own shell ignores, SIGINT of what it runs with ``&``."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test from an environment without proxies, bundles and language."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def no_thread_left_alive() -> Iterator[None]:
    """Fail a test that leaves a thread of its own running, daemon or not."""
    before = set(threading.enumerate())
    yield
    limit = time.monotonic() + 5
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < limit, f"threads left alive: {left}"
        left[0].join(0.1)  # a server that outlives the test may be at connections that were given up meanwhile
