"""The command: arguments in, rooms wired once in reading order, exit status out."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from .arguments import ACCEPTED, DELIMITERS, parse_accept, parse_arguments
from .codes import default_language
from .console import encodable, language_for, plain, reason, say, terminal_width
from .stops import EXIT_INCOMPLETE, EXIT_INTERRUPTED, Interrupted, Stop, give_up, has_no_reader, leave_at_once

if TYPE_CHECKING:
    from .demo import DemoServer
    from .options import Options
    from .report import Report
    from .sources import TargetList

__all__ = ["main"]

EXIT_USAGE = 2
SWITCH_SECONDS = 0.05  # between threads: fewer hand-overs of the interpreter's lock, a third more URLs a second
COLLECT_AFTER = 10_000  # objects: a run makes many that live for a moment, and few cycles; 2 % more URLs a second
STACK_BYTES = 1024 * 1024  # of each thread; with the 8 MB of Linux a limit of memory is met by threads at rest
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


class UsageError(ValueError):
    """What the user asked cannot be done; one line says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with *argv*, sys.argv's where None, and return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    with Stop(for_good=argv is None) as stop:
        status = _guarded(words, stop)
        with stop.may_block():
            status = _flush_output(status)
    if argv is None:
        gc.freeze()  # the interpreter, which ends now, would look through all that is left for cycles
        if status == EXIT_INTERRUPTED:
            leave_at_once(status)
    return status


def _guarded(words: list[str], stop: Stop) -> int:
    """Run the command; whatever ends it becomes a line and an exit status."""
    try:
        with stop.as_raised():
            return _run_command(words, stop)
    except SystemExit as end:  # argparse: --help, --version, bad usage
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    except (Interrupted, KeyboardInterrupt):
        return _tell("interrupted before the first row", EXIT_INTERRUPTED)
    except ValueError as error:  # UsageError, SourceError, ReportError, an option's value
        is_full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL
        return _tell(str(error), EXIT_INCOMPLETE if is_full else EXIT_USAGE)
    except BrokenPipeError:  # whoever reads has seen enough
        return EXIT_INTERRUPTED
    except OSError as error:
        return _tell(f"cannot write: {reason(error)}", EXIT_INCOMPLETE)
    except MemoryError:
        return _tell("this machine is out of memory", EXIT_INCOMPLETE)
    except RuntimeError as error:  # no thread can be started
        return _tell(str(error), EXIT_INCOMPLETE)
    except Exception as error:
        if not {"-v", "--verbose"}.isdisjoint(words):
            import traceback

            traceback.print_exc()
        return _tell(f"a fault of status-probe: {type(error).__name__}: {error}", EXIT_INCOMPLETE)


def _flush_output(status: int) -> int:
    """Return *status*, or what it becomes where standard output does not take its last bytes."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        give_up(sys.stdout)
        if not status and not has_no_reader(error):
            return _tell(f"cannot write: {reason(error)}", EXIT_INCOMPLETE)
    return status


def _tell(message: str, status: int) -> int:
    from .urls import redact_message

    say(sys.stderr, f"status-probe: error: {plain(redact_message(message))}")
    return status


def _run_command(words: list[str], stop: Stop) -> int:
    arguments = parse_arguments(words)
    if arguments.explain is not None:
        from .explain import explain

        items = [*arguments.explain, *arguments.sources]
        options = _printable(_options(arguments, None))
        _tune_process(options, stop)
        return _print(explain(items, options, terminal_width(sys.stdout)))
    with ExitStack() as stack:
        demo = stack.enter_context(_demo_server()) if arguments.demo else None
        options = _options(arguments, demo)
        targets = stack.enter_context(_targets(arguments, demo))
        if not arguments.plan:
            return _probe_all(arguments, words, options, targets, stop)
        from .plan import make_plan, plan_lines

        return _print(plan_lines(make_plan(targets, options), _printable(options).lang))


def _printable(options: Options) -> Options:
    """Return *options* with a language that standard output can write."""
    from dataclasses import replace

    return replace(options, lang=language_for(sys.stdout, options.lang))


def _print(lines: Iterable[str]) -> int:
    """Write *lines* to standard output, each as it comes; raises OSError where it takes no more."""
    stream = _standard_output()
    for line in lines:
        with _as_broken_pipe():
            stream.write(encodable(line, stream) + "\n")
            stream.flush()
    return 0


@contextmanager
def _as_broken_pipe() -> Iterator[None]:
    """Raise BrokenPipeError, whatever the system says, where the reader of a stream has left."""
    try:
        yield
    except OSError as error:
        if has_no_reader(error):
            raise BrokenPipeError from error
        raise


def _options(arguments: argparse.Namespace, demo: DemoServer | None) -> Options:
    from .options import Options

    given = {name: value for name, value in vars(arguments).items() if name in Options.__dataclass_fields__}
    given.setdefault("lang", default_language())
    if demo:
        from .demo import DEMO_LIMITS

        given = {**DEMO_LIMITS, "proxy": "", "insecure": True, **given}  # so the environment is not asked
    return Options(**given)


def _demo_server() -> DemoServer:
    from .demo import DemoServer

    return DemoServer()


def _targets(arguments: argparse.Namespace, demo: DemoServer | None) -> TargetList:
    from .sources import TargetList

    sources, stdin = list(arguments.sources), None
    if demo:
        from .demo import demo_urls

        sources, stdin = ["-"], io.BytesIO("\n".join(demo_urls(demo)).encode())
    elif not sources:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("no list was given; name a file or a URL, or see --help")
        sources = ["-"]
    targets = TargetList(
        sources, column=arguments.column, encoding=arguments.input_encoding, stdin=stdin or _standard_input()
    )
    if arguments.resume or demo:
        targets.spool()
    return targets


def _standard_input() -> BinaryIO | None:
    """Return a reader of standard input other than sys.stdin's, or None where there is none.

    The feeder may be stuck in it when a run is stopped; were it sys.stdin's, the interpreter could not end: it fails
    with "could not acquire lock for <_io.BufferedReader name='<stdin>'>".
    """
    with suppress(AttributeError, OSError, ValueError):
        return open(sys.stdin.fileno(), "rb", closefd=False)  # open as long as the process lives
    return None


def _standard_output() -> TextIO:
    if sys.stdout is None:  # closed, or under pythonw
        raise UsageError("there is no standard output to write to; name a file: -o FILE")
    return sys.stdout


def _open_report(arguments: argparse.Namespace, targets: TargetList) -> Report:
    """Open the output; refuse what cannot be used, and find the rows that are there already."""
    from .cells import Layout, choose_columns
    from .ending import Ending
    from .report import open_report

    output = _output(arguments)
    columns = choose_columns(arguments.columns, with_source=targets.several)
    layout = Layout(
        columns, targets.headings, delimiter=DELIMITERS[arguments.delimiter], encoding=arguments.output_encoding
    )
    ending = Ending(arguments.as_completed, arguments.split_rows, arguments.overwrite)
    sources = arguments.sources or ["-"]
    if not output:
        stream = _standard_output()
        if not hasattr(stream, "buffer"):  # an io.StringIO, say, or a notebook's
            raise UsageError("standard output takes text only; name a file: -o FILE")
        with _as_broken_pipe():
            return open_report(stream.buffer, layout, ending, sources=sources)
    report = open_report(
        output,
        layout,
        ending,
        sources=sources,
        several=targets.several,
        judged=_accepted(arguments) is not None,
        resume=arguments.resume,
    )
    try:
        report.resume(targets, retry_failed=arguments.retry_failed)
    except BaseException:
        report.close()
        raise
    return report


def _output(arguments: argparse.Namespace) -> str:
    """Return the name of the file to write, empty for standard output."""
    return "" if arguments.output in (None, "-") else str(arguments.output)


def _probe_all(
    arguments: argparse.Namespace, words: list[str], options: Options, targets: TargetList, stop: Stop
) -> int:
    from .follow import Follower
    from .run import Run
    from .warned import warnings_through

    _tune_process(options, stop)
    warnings: deque[str] = deque()
    with warnings_through(warnings.append, verbose=arguments.verbose):
        run = Run(targets, options)  # what is wrong with an option is told first, then with the output
        report = _open_report(arguments, targets)
        if report.rows_written:
            run.earlier = report.earlier
        follower = Follower(
            run,
            report,
            stop,
            lang=options.lang,
            where=_shown_output(arguments),
            count=targets.count,
            warnings=warnings,
            quiet=arguments.quiet,
            verbose=arguments.verbose,
            accepted=_accepted(arguments),
        )
        with _tuned_interpreter():
            status = follower.follow()
    if status in (EXIT_INCOMPLETE, EXIT_INTERRUPTED):
        with stop.may_block():
            for line in _how_to_go_on(arguments, words, options.lang, targets):
                say(sys.stderr, plain(line))
    return status


def _tune_process(options: Options, stop: Stop) -> None:
    """Have names looked up in time, and memory last for all threads, where the process is ours."""
    from .machine import ask_name_servers_soon, spare_addresses

    if stop.for_good:
        ask_name_servers_soon(options.connect_timeout)
        spare_addresses()


def _accepted(arguments: argparse.Namespace) -> frozenset[int] | None:
    """Return what --fail accepts, None where the exit status is not to tell."""
    return arguments.accept or (parse_accept(ACCEPTED) if arguments.fail else None)


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Set up the interpreter for a run: that is the command's to do, never the library's."""
    interval, thresholds, may_freeze = sys.getswitchinterval(), gc.get_threshold(), not gc.get_freeze_count()
    sys.setswitchinterval(SWITCH_SECONDS)
    stack_bytes = threading.stack_size()
    if os.name != "nt":  # there it is not what may be used, but what is taken at once: Microsoft, "Thread Stack Size"
        threading.stack_size(STACK_BYTES)
    if thresholds[0]:  # else whoever called us has switched it off
        gc.set_threshold(COLLECT_AFTER, *thresholds[1:])
    if may_freeze:  # what is there stays: nothing of it is looked through again and again
        gc.freeze()
    try:
        yield
    finally:
        if may_freeze:
            gc.unfreeze()
        gc.set_threshold(*thresholds)
        threading.stack_size(stack_bytes)
        sys.setswitchinterval(interval)


def _shown_output(arguments: argparse.Namespace) -> str:
    output = _output(arguments)
    if not output:
        return ""
    if not arguments.split_rows:
        return str(Path(output).absolute())
    from .ending import numbered

    return str(numbered(Path(os.path.realpath(output)), 1))  # beside the file itself, where there is a link to it


def _how_to_go_on(arguments: argparse.Namespace, words: list[str], lang: str, targets: TargetList) -> list[str]:
    """Return the lines that say what to type to go on, none where that is not possible."""
    from .again import command_to_resume
    from .cells import choose_columns, obstacle_to_resume
    from .messages import say_in

    columns = choose_columns(arguments.columns, with_source=targets.several)
    judged = _accepted(arguments) is not None
    if arguments.demo or not _output(arguments) or obstacle_to_resume(columns, several=targets.several, judged=judged):
        return []
    command = command_to_resume(words, getattr(arguments, "headers", ()))
    name = "resume_list" if "-" in (arguments.sources or ["-"]) else "resume"
    lines = [say_in(lang, name, command=command)]
    return [*lines, say_in(lang, "secrets")] if "***" in command else lines
