"""What is done while this machine's own network may be down: nobody is asked, and hosts that lived are tried.

NetworkWatch decides; here its orders are carried out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

from .hostqueue import HostQueue
from .netwatch import NetworkWatch, Orders, Sign
from .records import Attempt, Outcome

__all__ = ["Outage"]

# What an outcome says of our network; those not named here came from somewhere.  A status beside one of these is of an
# earlier hop, which may have answered long ago, and another host.
_SIGNS = {
    Outcome.DNS_ERROR: Sign.UNCLEAR,  # "no such name" may be remembered from before
    Outcome.CONNECT_TIMEOUT: Sign.UNREACHED,
    Outcome.CONNECT_ERROR: Sign.UNREACHED,
    Outcome.READ_TIMEOUT: Sign.UNCLEAR,
    Outcome.DEADLINE_EXCEEDED: Sign.UNCLEAR,
    Outcome.CONNECTION_LOST: Sign.UNCLEAR,
    Outcome.LOCAL_ERROR: Sign.UNCLEAR,
    Outcome.INVALID_URL: Sign.UNCLEAR,
    Outcome.BLOCKED_ADDRESS: Sign.UNCLEAR,
    Outcome.INTERNAL_ERROR: Sign.UNCLEAR,
}


class Outage:
    """Pauses a queue while our own network is under suspicion.

    *reach* says whether a host that answered earlier can be connected to; it is called on a thread of its own, which
    lives as long as the suspicion does.
    """

    def __init__(self, watch: NetworkWatch, queue: HostQueue[Any], reach: Callable[[Hashable], bool]) -> None:
        self._watch = watch
        self._queue = queue
        self._reach = reach
        self._ended = threading.Event()  # set when the run is stopped or done
        self._lock = threading.Lock()  # guards the next
        self._checking = False

    @property
    def suspected(self) -> bool:
        """Whether the run waits for our own network."""
        return self._watch.down

    def spoiled(self, host: Hashable, attempt: Attempt, began: float) -> bool:
        """Take note of how an attempt at *host* that *began* then ended; return whether it is to be made again."""
        result = attempt.result
        sign = _SIGNS.get(result.outcome, Sign.ALIVE)
        if result.outcome in (Outcome.DNS_ERROR, Outcome.PROXY_ERROR) and attempt.passing:
            sign = Sign.UNREACHED
        orders = self._watch.ended(host, sign, began)
        self._hold_queue(orders)
        if orders.check:
            self._start_check(orders)
        return orders.again

    def end(self) -> None:
        """Check nothing more."""
        self._ended.set()

    def _start_check(self, orders: Orders) -> None:
        with self._lock:
            if self._checking:
                return
            with suppress(RuntimeError):  # out of threads; the next failure tries again
                threading.Thread(target=self._check, args=(orders,), name="network check", daemon=True).start()
                self._checking = True

    def _hold_queue(self, orders: Orders) -> None:
        if orders.resume:
            self._queue.resume()
        if orders.pause:
            self._queue.pause(orders.pause)
            if not self._watch.down:  # an answer on another thread ended the suspicion before the queue was paused
                self._queue.resume()

    def _check(self, orders: Orders) -> None:
        """Try hosts that answered earlier, at the end of each pause, until one can be reached or patience ends."""
        try:
            self._try_hosts(orders)
        finally:
            with self._lock:
                self._checking = False

    def _try_hosts(self, orders: Orders) -> None:
        hosts = orders.check
        while orders.pause and not self._ended.wait(orders.pause) and self._watch.down:
            began = time.monotonic()
            reached = next((host for host in hosts if self._reach(host)), None)
            sign = Sign.UNREACHED if reached is None else Sign.ALIVE
            orders = self._watch.ended(hosts[0] if reached is None else reached, sign, began)
            self._hold_queue(orders)
