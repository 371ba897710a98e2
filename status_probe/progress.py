"""The tqdm bar of a run: how far it is, how fast, what came, and what it waits for.

tqdm lays out the line (its ``format_meter``); when it is drawn, and writing it, is done here.  A ``tqdm`` object would
do that with a thread of its own and a lock shared between processes; it measures speed by drawings, so that waiting
for a retry does not count; and when a window was made narrower its blanks over the old line break the new one.  tqdm is
imported when the first line is drawn, so that --help starts without it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TextIO

from . import console
from .tally import Tally

__all__ = ["Bar"]

REFRESH = 0.15  # seconds between two drawings of the bar
SPEED_SPAN = 20.0  # seconds after which a row counts 1/e in the speed; a retry's wait of some seconds is smoothed away
LEAST_BAR = 6  # columns: a shorter bar tells less than what it takes the room of

# The first of these that leaves room for the bar is taken; "{postfix}" brings its own ", ".
KNOWN = (
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]",
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [<{remaining}{postfix}]",
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]",
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}",
    "{n_fmt}/{total_fmt}",
)
UNKNOWN = ("{n_fmt} [{elapsed}, {rate_noinv_fmt}{postfix}]", "{n_fmt} [{elapsed}{postfix}]", "{n_fmt}")
NOTED = "{percentage:3.0f}% {n_fmt}/{total_fmt}{postfix}"
NOTED_UNKNOWN = "{n_fmt}{postfix}"

GROUPS = {  # in the order of tally.Groups
    "en": ("ok", "redirect", "4xx", "5xx", "failed", "other"),
    "zh": ("正常", "重定向", "4xx", "5xx", "失败", "其他"),
}


class Bar:
    """A line at the bottom of the terminal that tells how far the run is; it belongs to the thread that draws it.

    *total* is the number of rows there will be, None while it is not known; *initial* those of them that are done
    already.  Nothing is drawn where *enabled* is false or *stream* is no terminal; lines are then still written.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        total: int | None,
        initial: int = 0,
        enabled: bool = True,
        lang: str = "en",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._total = total
        self._done = initial
        self._shown = enabled and console.is_terminal(stream)
        self._lang = console.language_for(stream, lang)
        self._clock = clock
        self._speed = _Speed(clock(), initial)
        self._due = -math.inf  # when to draw again
        self._tally = Tally()  # what was drawn last
        self._on_screen = False

    def advance(self, n: int, tally: Tally, note: str = "") -> None:
        """Count *n* more rows, and draw if it is time; call it a few times a second even where *n* is 0.

        *note* says what the run waits for; it takes the place of the counts.
        """
        self._done += n
        if self._shown and (now := self._clock()) >= self._due:
            self._due = now + REFRESH
            self._tally = tally
            self._draw(self._speed.at(now, self._done), note)

    def set_total(self, n: int) -> None:
        """Set how many rows there will be, those done before the run included; any thread may."""
        self._total = n

    def write(self, line: str) -> None:
        """Write *line* above the bar; what it holds beyond one line's text is escaped."""
        if self._on_screen:
            console.say(self._stream, "\r" + " " * console.terminal_width(self._stream) + "\r", end="")
            self._on_screen = False
            self._due = -math.inf  # the next advance brings it back
        console.say(self._stream, console.plain(line))

    def close(self) -> None:
        """Draw the last state, with the mean speed of the whole run, and leave it on the screen."""
        if self._shown and self._tally.rows:
            self._draw(None, "")
        if self._on_screen:
            console.say(self._stream, "")
        self._shown = self._on_screen = False

    def _draw(self, rate: float | None, note: str) -> None:
        """Draw over the last line; it is padded to the width of the moment, whatever the last one's was."""
        width = console.terminal_width(self._stream)
        console.say(self._stream, "\r" + console.pad(self._layout(width, rate, note), width), end="")
        self._on_screen = True

    def _layout(self, width: int, rate: float | None, note: str) -> str:
        """Return the fullest line that fits into *width* columns; a note is cut to fit."""
        total = max(self._total, self._done) if self._total else 0  # a list may have grown since it was counted
        if note:
            text = console.encodable(console.plain(note), self._stream)
            return console.cut(self._meter(NOTED if total else NOTED_UNKNOWN, None, total, rate, text), width)
        counts = self._counts()
        for layout in KNOWN if total else UNKNOWN:
            least = self._meter(layout.replace("{bar}", " " * LEAST_BAR), None, total, rate, counts)
            if console.columns(least) <= width:
                return self._meter(layout, width, total, rate, counts)
        return console.cut(least, width)

    def _meter(self, layout: str, width: int | None, total: int, rate: float | None, postfix: str) -> str:
        from tqdm import tqdm  # costs some 30 ms: not before it is needed

        return tqdm.format_meter(
            self._done,
            total,
            self._speed.elapsed(self._clock()),
            ncols=width,
            ascii=not console.has_blocks(self._stream),
            unit=" URL",
            rate=rate,
            bar_format=layout,
            postfix=postfix,
            initial=self._speed.initial,
        )

    def _counts(self) -> str:
        counts = zip(GROUPS[self._lang], self._tally.groups, strict=True)
        return " ".join(f"{name} {count}" for name, count in counts if count)


class _Speed:
    """Rows a second of late: a mean that forgets, so that it follows a run whose last rows are slow ones.

    tqdm's own forgets by drawings rather than by time, and does not see the time in which nothing came.
    """

    def __init__(self, now: float, initial: int) -> None:
        self.initial = initial
        self._start = self._last = now
        self._done = initial
        self._rows = self._seconds = 0.0  # both fade

    def elapsed(self, now: float) -> float:
        """Return the seconds since the start."""
        return now - self._start

    def at(self, now: float, done: int) -> float | None:
        """Return the speed at *now*, with *done* rows in all; None before there is any.

        It is never less than a tenth of the mean over the run: a standstill must not make the time left astronomical.
        """
        passed = now - self._last
        fade = math.exp(-passed / SPEED_SPAN)
        self._rows = self._rows * fade + done - self._done
        self._seconds = self._seconds * fade + passed
        self._last, self._done = now, done
        if not self._seconds or done == self.initial:
            return None
        return max(self._rows / self._seconds, (done - self.initial) / self.elapsed(now) / 10)
