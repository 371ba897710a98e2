"""The built-in loopback server of ``status-probe --demo``: one path a behaviour, and a list of URLs that shows them.

    with DemoServer() as server:
        lines = demo_urls(server)

It listens on 127.0.0.1 only and needs no network.  Run with DEMO_LIMITS, the whole list takes a few seconds.  What a
path does is in ``pages``, the list in ``urls.txt``.  For measuring there is ``/bytes/N``, over kept connections.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from importlib.resources import files
from typing import TYPE_CHECKING

from status_probe.demo.sites import Site

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEMO_LIMITS", "DemoServer", "demo_urls"]

# Options, by the library's names, under which the silent and the slow pages end soon.  Windows needs two seconds to
# learn that a port is closed, so connecting has more.
DEMO_LIMITS: dict[str, float] = {
    "connect_timeout": 3.0,
    "read_timeout": 1.5,
    "max_time": 3.0,
    "retries": 0,
    "retry_wait": 0.2,
    "max_retry_wait": 1.0,
}
SITES = ("main", "moved", "busy", "faulty")


class DemoServer:
    """The demo's sites: several ports, since a port is a host of its own to whoever limits requests by host.

    Leaving the ``with`` block ends all its threads, whatever they wait for.
    """

    def __init__(self) -> None:
        self.sites: dict[str, Site] = {}
        self.closed_port = 0  # nothing listens there, and nobody else can take it
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name in SITES:
                site = self.sites[name] = Site()
                site.start()
                stack.callback(site.stop)
            bound = stack.enter_context(socket.socket())
            bound.bind(("127.0.0.1", 0))  # bound, but not listening
            self.closed_port = bound.getsockname()[1]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def url(self, path: str, site: str = "main") -> str:
        """Return the URL of *path* on one of the sites."""
        return f"http://127.0.0.1:{self.sites[site].port}{path}"


def demo_urls(server: DemoServer) -> list[str]:
    """Return the lines of the demo's list: URLs of the entered *server*, blank lines and comments."""
    places = {name: f"127.0.0.1:{site.port}" for name, site in server.sites.items()}
    text = files(__name__).joinpath("urls.txt").read_text("utf-8")
    return text.format(closed=f"127.0.0.1:{server.closed_port}", **places).splitlines()
