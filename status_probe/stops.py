"""What ends a run early: the signals that ask for an end, and a pipe that nobody reads any more."""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn, TextIO

__all__ = [
    "EXIT_INCOMPLETE", "EXIT_INTERRUPTED", "Interrupted", "Stop", "give_up", "has_no_reader", "leave_at_once",
    "reader_watch",
]  # fmt: skip

EXIT_INCOMPLETE, EXIT_INTERRUPTED = 3, 130
STUCK_SECONDS = 0.8  # after a signal; an end is due within two seconds
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that there are: SIGBREAK is Windows'


class Interrupted(BaseException):
    """A signal came before the run began.

    It is no KeyboardInterrupt: where that passes through an exec(), such as that of a dataclass while rooms are
    imported, CPython dies of SIGINT at its end, whatever exit status the command returns.
    """


class Stop:
    """Hears the signals that ask for an end, while it is entered; on another thread than the main one there are none.

    The first raises Interrupted, which ends whatever the command waits for, such as a list that comes slowly.
    After `only_note` none does: the run looks at *asked*, so no row is cut in half and a second Ctrl-C is harmless.

    A signal that is ignored already stays so: ``nohup`` wants that, and a shell of what it runs with ``&``.
    *for_good* leaves them ignored: for a process that has nothing left to do but to end.  Such a one ends even where
    nobody reads what it writes: see `may_block`.
    """

    def __init__(self, *, for_good: bool) -> None:
        self.asked = False
        self._raises = True
        self._has_raised = False
        self.for_good = for_good
        self._blocked: object | None = None  # what may wait for a reader, while it lasts
        self._is_over = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Stop:  # noqa: PYI034 - Self is 3.11's
        if threading.current_thread() is threading.main_thread():
            for number in [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.for_good else before or signal.SIG_DFL)

    def only_note(self) -> None:
        """Let signals only set *asked* from now on."""
        self._raises = False

    @contextlib.contextmanager
    def may_block(self) -> Iterator[None]:
        """Write something to whoever may never read it.

        The system's write, which Python takes up again after each signal, knows no end: some time after a signal the
        process ends within it, without another word.  What it has written to a file before is there.
        """
        self._blocked = object()
        try:
            yield
        finally:
            self._blocked = None

    @contextlib.contextmanager
    def as_raised(self) -> Iterator[None]:
        """Let Interrupted come out as such, whatever the clean-up of others made of it: argparse's was seen to fail."""
        try:
            yield
        except Exception as error:
            if self._has_raised:
                raise Interrupted from error
            raise

    def _hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        is_first, self.asked = not self.asked, True
        if self.for_good and is_first:
            with contextlib.suppress(RuntimeError):  # out of threads
                _thread.start_new_thread(self._end_what_is_stuck, ())  # whom this breaks may hold threading's locks
        if self._raises:
            self._raises, self._has_raised = False, True
            raise Interrupted

    def _end_what_is_stuck(self) -> None:
        while not self._is_over:
            blocked = self._blocked
            time.sleep(STUCK_SECONDS)
            if blocked is not None and self._blocked is blocked:
                os._exit(EXIT_INTERRUPTED)


def reader_watch(stream: TextIO | None) -> Callable[[], bool]:
    """Return what tells whether the reader of *stream*, a pipe, has left.

    Writing shows it too, but there may be nothing to write for long.  On Windows nothing but writing does.
    """
    try:
        number = stream.fileno() if stream else -1
        poll = select.poll()
        poll.register(number, 0)  # errors and hang-ups are told unasked
    except (AttributeError, OSError, ValueError):
        return lambda: False
    left = select.POLLERR | select.POLLHUP  # macOS says POLLNVAL of a terminal, which it cannot poll
    return lambda: any(event & left for _, event in poll.poll(0))


def has_no_reader(error: OSError) -> bool:
    """Tell whether *error*, of writing to a stream, says that its reader has left.

    On Windows it is EINVAL mostly, which of a file says something else: a share or a stick that is lost, for one.
    """
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def give_up(stream: TextIO | None) -> None:
    """Let *stream*, which takes nothing more, be written to in vain, so that the interpreter's end is a quiet one."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        if stream:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            stream.flush()


def leave_at_once(status: int) -> NoReturn:
    """End the process, whose standard output is flushed, without a look at threads that wait for servers.

    To end 500 of them took the interpreter 2 s where they share no lock (CPython 3.14t).
    """
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)
