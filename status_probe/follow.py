"""Follow a run on the main thread: rows to the report, the bar, messages, a stop, the summary.

Bar, writer and Ctrl-C live on this one thread.  A signal only sets a flag, looked at several times a second.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from . import console
from .cpus import Cpus
from .messages import phase_in, say_in
from .progress import Bar
from .records import Result
from .report import SHEET_ROWS, Report, ReportError
from .rowindex import Stopped
from .run import MAX_BATCH, Pair, Run
from .sources import SourceError
from .stops import EXIT_INCOMPLETE, EXIT_INTERRUPTED, Stop, has_no_reader, reader_watch
from .summary import print_summary
from .tally import Tally
from .urls import InvalidURL, parse_url, redact
from .workers import ThreadLost

__all__ = ["Follower"]

STOP_SECONDS = 0.5  # for rows that are done to come in after a stop
BATCH_SECONDS = 0.05  # while rows come fast they are taken in batches: each wake-up costs the workers a hand-over
FAST_ROWS = 20
TELL_SECONDS = 10.0  # between two times of telling what the run waits for, where no bar does
LONG_SECONDS = 1.0  # what has been asked for less is not told of
TOLD = 3  # of what is being asked, and of the hosts held back


class Follower:
    """The main thread's part of a run of the command; *stop* hears the signals.

    *where* is the path of the rows, empty for standard output.  *count* returns how many there will be, None where that
    cannot be known before.  *warnings* are lines that other threads have shown.
    """

    def __init__(
        self,
        run: Run,
        report: Report,
        stop: Stop,
        *,
        lang: str,
        where: str,
        count: Callable[[], int | None],
        warnings: deque[str],
        quiet: bool,
        verbose: bool,
        accepted: frozenset[int] | None,
    ) -> None:
        self._run = run
        self._report = report
        self._stop = stop
        self._where = where
        self._count_lines = count
        self._warnings = warnings
        self._quiet = quiet
        self._verbose = verbose
        self._accepted = accepted
        self._all_accepted = True
        self._is_watched = not quiet and console.is_terminal(sys.stderr)  # by somebody who sees a bar
        self._lang = console.language_for(sys.stderr, lang)
        self._tally = Tally()
        self._earlier_rows = 0  # of the tally's, those of an earlier run
        self._is_complete = False  # whether every line has its row
        self._told_of_sheet = False
        self._told_at = -TELL_SECONDS  # what the run waits for
        self._reader_left: Callable[[], bool] = (lambda: False) if where else reader_watch(sys.stdout)
        self._bar: Bar  # made when the run begins, for it keeps the time

    def follow(self) -> int:
        """Run to the end or to a stop; return the exit status.

        Raises ReportError, before anything is asked, where a row of an earlier run tells of no result.
        """
        try:
            for result in self._report.told_results():
                self._count(result)
            self._earlier_rows = self._tally.rows
            self._stop.only_note()
            began = time.monotonic()
            done = self._report.rows_done
            self._bar = Bar(sys.stderr, total=None, initial=done, enabled=not self._quiet, lang=self._lang)
            with Cpus() as cpus, self._run:
                self._count_total()
                fault = self._take_rows(cpus)
            if self._is_complete:
                fault = self._end_report()
        finally:
            self._report.close()
        with self._stop.may_block():
            self._show_warnings()
            self._bar.close()
            if not self._quiet:
                took = time.monotonic() - began
                print_summary(
                    self._tally,
                    sys.stderr,
                    lang=self._lang,
                    seconds=took,
                    where=self._where,
                    earlier=self._earlier_rows,
                )
            return self._exit_status(fault)

    def _take_rows(self, cpus: Cpus) -> str:
        """Write rows until the run ends or is stopped; return what went wrong with list or output."""
        rows = 0
        try:
            for batch in self._run.batches():
                with self._stop.may_block():
                    self._take(batch)
                rows += len(batch)
                cpus.suit(self._run.handshakes, rows)
                if self._stop.asked or self._reader_left():
                    break
                if FAST_ROWS <= len(batch) < MAX_BATCH:  # after a full one more wait already
                    self._run.rest(BATCH_SECONDS)
            else:
                self._is_complete = True
                return ""
            self._tell_what_was_asked()
            self._run.stop()
            self._take_last()
        except (SourceError, ReportError, ThreadLost) as error:
            return str(error)
        except _NotWritten as error:
            return error.reason
        return ""

    def _take_last(self) -> None:
        """Take the rows that were done when the run was stopped."""
        limit = time.monotonic() + STOP_SECONDS
        for batch in self._run.batches():
            with self._stop.may_block():
                self._take(batch)
            if not batch or time.monotonic() > limit:
                return

    def _take(self, batch: list[Pair]) -> None:
        if batch:
            self._write(batch)
        for _, result in batch:
            self._count(result)
            if self._verbose and (result.error or (result.status or 0) >= 400):
                what = result.error or result.meaning
                self._bar.write(f"{result.status or '---'} {result.outcome} {result.url}: {what}")
        fits = self._report.is_split or self._report.rows_written <= SHEET_ROWS
        if not (fits or self._told_of_sheet or self._quiet):
            self._told_of_sheet = True
            self._bar.write(say_in(self._lang, "sheet", limit=SHEET_ROWS))
        self._show_warnings()
        notes = self._notes() if self._is_watched or self._verbose else []
        self._tell(notes)
        self._bar.advance(len(batch), self._tally, notes[0] if notes else "")

    def _write(self, batch: list[Pair]) -> None:
        """Raise _NotWritten where the output takes nothing more."""
        try:
            self._report.write(batch)
        except OSError as error:
            raise _NotWritten(self._why_not_written(error)) from error

    def _count(self, result: Result) -> None:
        is_slow = (result.elapsed_ms or 0) > self._tally.slow_floor
        self._tally.add(result, _host(result) if is_slow else "")
        if self._accepted is not None and not (result.outcome.is_answer and result.status in self._accepted):
            self._all_accepted = False

    def _count_total(self) -> None:
        """Tell the bar how many rows there will be, from a pass of its own over the lists, beside the run."""

        def count() -> None:
            with contextlib.suppress(SourceError):
                total = self._count_lines()
                if total is not None:
                    self._bar.set_total(total)

        if self._is_watched:
            with contextlib.suppress(RuntimeError):  # out of threads; the rows are worth more than the total
                threading.Thread(target=count, name="counter", daemon=True).start()

    def _notes(self) -> list[str]:
        """Return what the run waits for, the most telling first, where that is worth the bar's place."""
        if self._run.paused:
            return [say_in(self._lang, "paused")]
        return self._waiting_notes(LONG_SECONDS) if self._run.is_waiting else []

    def _tell(self, notes: list[str]) -> None:
        """Say what the run waits for, now and then, where there is no bar to say it."""
        now = time.monotonic()
        if notes and self._verbose and not self._is_watched and now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            for note in notes:
                self._bar.write(note)

    def _waiting_notes(self, least: float) -> list[str]:
        """Name what has been asked for longest, and the hosts held back for longest: *least* seconds, both."""
        asked = self._run.waiting_for()
        if asked and asked[0].seconds >= least:
            least *= 0.9  # what began at the same moment, nearly, is told of at the same
        asked = [each for each in asked if each.seconds >= least]
        held = [each for each in self._run.held() if each[1] >= least]
        return [
            say_in(self._lang, "waiting", url=redact(target.url), phase=phase_in(self._lang, phase), seconds=seconds)
            for target, phase, seconds in asked[:TOLD]
        ] + [say_in(self._lang, "held", host=host, seconds=seconds) for host, seconds, _ in held[:TOLD]]

    def _show_warnings(self) -> None:
        while self._warnings:
            self._bar.write(f"status-probe: warning: {self._warnings.popleft()}")

    def _end_report(self) -> str:
        """Put the file in order; return what went wrong."""
        try:
            refused = self._report.finish(lambda: self._stop.asked)
        except OSError as error:
            return self._why_not_written(error)
        except Stopped:
            self._is_complete = False
            return ""
        if refused is not None:
            name = "not_removed" if self._report.is_split else "unordered"
            self._bar.write(say_in(self._lang, name, path=self._report.path, why=self._reason(refused)))
        return ""

    def _why_not_written(self, error: OSError) -> str:
        """Return what the user is to know, nothing where a pipe's reader has left."""
        if isinstance(error, BrokenPipeError) or (not self._where and has_no_reader(error)):
            return ""
        name = error.filename2 or error.filename or self._report.path or self._where  # a rename's target comes second
        what = f'cannot write "{name}"' if name else "cannot write"
        return f"{what}: {self._reason(error)}"

    def _reason(self, error: OSError) -> str:
        """Return why a file cannot be changed, and where that may help, a question."""
        question = say_in(self._lang, "open_elsewhere") if isinstance(error, PermissionError) else ""
        return console.reason(error) + question

    def _tell_what_was_asked(self) -> None:
        if not self._quiet:
            with self._stop.may_block():
                for note in self._waiting_notes(0.0):
                    self._bar.write(note)

    def _exit_status(self, fault: str) -> int:
        if self._is_complete and not fault:
            return 0 if self._all_accepted else 1
        if fault:
            console.say(sys.stderr, console.plain(f"status-probe: error: {fault}"))
            console.say(sys.stderr, say_in(self._lang, "kept", rows=self._report.rows_written))
        else:
            console.say(sys.stderr, say_in(self._lang, "interrupted", rows=self._report.rows_written))
        return EXIT_INCOMPLETE if fault else EXIT_INTERRUPTED


class _NotWritten(Exception):  # noqa: N818
    """The output takes nothing more; *reason* is for the user, empty where a pipe's reader has left."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _host(result: Result) -> str:
    try:
        return parse_url(result.final_url or result.url).host
    except InvalidURL:
        return ""
