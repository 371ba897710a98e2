"""A network of many hosts that goes away and comes back: meanwhile nothing answers and nothing refuses.  Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct

from tests.connection import Request
from tests.server import Script, Server, answer

__all__ = ["Network"]

# Of a socket's filter, which decides what packets it gets to see; Python's socket module does not name them.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # an instruction of BPF: return 0, the bytes to let through


class Network(Server):
    """Hosts that answer 200 and close; once *last* requests were made, what asks to connect is dropped; None: never.

    A connection that is just coming about at that moment may stay silent for good.
    """

    def __init__(self, *, last: int | None = None) -> None:
        super().__init__(self._answer, address="0.0.0.0")
        self._last = last

    def urls(self, count: int, *, first: int = 0) -> list[str]:
        """Return a URL of each of so many hosts."""
        return [self.url(host=f"127.0.{n // 250 + 1}.{n % 250 + 1}") for n in range(first, first + count)]

    def go_away(self) -> None:
        """Drop what asks to connect from now on; what is connected already is served."""
        assert self._listening is not None
        instructions = ctypes.create_string_buffer(DROP_ALL)
        program = struct.pack("HP", 1, ctypes.addressof(instructions))
        self._listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def come_back(self) -> None:
        """Let everybody connect again."""
        assert self._listening is not None
        with contextlib.suppress(FileNotFoundError):  # it is there already
            self._listening.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def _answer(self, request: Request) -> Script:
        if request.overall + 1 == self._last:
            self.go_away()
        return answer(200, keep=False)
