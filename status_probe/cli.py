"""The command: arguments in, rooms wired once in reading order, exit status out."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import ACCEPTED, CONFIG_NAMES, DELIMITERS, parse_accept, parse_arguments
from .codes import default_language

if TYPE_CHECKING:
    from .demo import DemoServer
    from .options import Options
    from .report import Report
    from .sources import TargetList

__all__ = ["main"]

EXIT_NOT_ACCEPTED, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_INTERRUPTED = 1, 2, 3, 130
DEMO_OUTPUT = "status-probe-demo.csv"
SWITCH_SECONDS = 0.05  # between threads: fewer hand-overs of the interpreter's lock, a third more URLs a second


class UsageError(ValueError):
    """What the user asked cannot be done; one line says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with *argv*, sys.argv's where None, and return its exit status."""
    try:
        return _run_command(parse_arguments(argv))
    except SystemExit as end:  # argparse: --help, --version, bad usage
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    except KeyboardInterrupt:
        return _tell("interrupted before the first request", EXIT_INTERRUPTED)
    except ValueError as error:  # UsageError, SourceError, ReportError, an option's value
        return _tell(str(error), EXIT_USAGE)
    except OSError as error:
        return _tell(f"{error.strerror or error}", EXIT_INCOMPLETE)


def _tell(message: str, status: int) -> int:
    from .console import plain, say

    say(sys.stderr, f"status-probe: error: {plain(message)}")
    return status


def _run_command(arguments: argparse.Namespace) -> int:
    if arguments.explain is not None:
        from .explain import explain

        return explain([*arguments.explain, *arguments.sources], _options(arguments, None), sys.stdout)
    with ExitStack() as stack:
        demo = stack.enter_context(_demo_server()) if arguments.demo else None
        options = _options(arguments, demo)
        targets = stack.enter_context(_targets(arguments, demo))
        if arguments.plan:
            from .plan import print_plan

            print_plan(targets, options, sys.stdout)
            return 0
        return _probe_all(arguments, options, targets)


def _options(arguments: argparse.Namespace, demo: DemoServer | None) -> Options:
    from .options import Options

    given = {name: value for name, value in vars(arguments).items() if name in CONFIG_NAMES}
    given.setdefault("lang", default_language())
    if demo:
        from .demo import DEMO_LIMITS

        given = {**DEMO_LIMITS, "proxy": "", **given}
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
    targets = TargetList(sources, column=arguments.column, encoding=arguments.input_encoding, stdin=stdin)
    if arguments.resume or demo:
        targets.spool()
    return targets


def _open_report(arguments: argparse.Namespace, targets: TargetList) -> Report:
    """Open the output; refuse what cannot be used, and find the rows that are there already."""
    from .cells import Layout, choose_columns
    from .order import Ending
    from .report import open_report

    demo_output = arguments.demo and arguments.output == "-"
    output = DEMO_OUTPUT if demo_output else arguments.output
    columns = choose_columns(arguments.columns, with_source=targets.several)
    if arguments.resume and targets.several and "source" not in columns:
        raise UsageError("a report of several sources without the column source cannot be resumed")
    layout = Layout(
        columns, targets.headings, delimiter=DELIMITERS[arguments.delimiter], encoding=arguments.output_encoding
    )
    ending = Ending(arguments.as_completed, arguments.split_rows, arguments.overwrite or demo_output)
    if output == "-":
        return open_report(sys.stdout.buffer, layout, ending, resume=arguments.resume)
    report = open_report(output, layout, ending, sources=arguments.sources, resume=arguments.resume)
    try:
        report.resume(targets, retry_failed=arguments.retry_failed)
    except BaseException:
        report.close()
        raise
    return report


def _probe_all(arguments: argparse.Namespace, options: Options, targets: TargetList) -> int:
    from .follow import Follower

    accepted = arguments.accept or (parse_accept(ACCEPTED) if arguments.fail else None)
    with ExitStack() as stack:
        run_again = _command_to_resume(arguments)
        follower = Follower(options, targets, quiet=arguments.quiet, verbose=arguments.verbose, accepted=accepted)
        stack.enter_context(_warnings_through(follower.warn, verbose=arguments.verbose))
        follower.open(lambda: _open_report(arguments, targets))
        previous = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        stack.callback(sys.setswitchinterval, previous)
        return follower.follow(where=_shown_output(arguments), resume_command=run_again)


def _shown_output(arguments: argparse.Namespace) -> str:
    output = DEMO_OUTPUT if arguments.demo and arguments.output == "-" else arguments.output
    if output == "-":
        return ""
    path = Path(output)
    if arguments.split_rows:
        path = path.with_name(f"{path.stem}-1{path.suffix}")
    return str(path.absolute())


def _command_to_resume(arguments: argparse.Namespace) -> str:
    """Return what to type to go on, or empty text where that is not possible."""
    if arguments.output == "-" or "-" in (arguments.sources or ["-"]):
        return ""
    words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume", "--retry-failed")]
    quoted = [f'"{word}"' if " " in word else word for word in words]
    from .urls import redact

    return redact(" ".join(["status-probe", *quoted, "--resume"]))


@contextmanager
def _warnings_through(warn: object, *, verbose: bool) -> Iterator[None]:
    """Show what the rooms log, as lines of ours; a traceback is for --verbose."""
    logger = logging.getLogger("status_probe")
    handler = _LineHandler(warn, verbose)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _LineHandler(logging.Handler):
    def __init__(self, warn: object, verbose: bool) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn
        self._verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        lines = [record.getMessage()]
        if self._verbose and record.exc_info:
            lines += logging.Formatter().formatException(record.exc_info).splitlines()
        for line in lines:
            self._warn(line)  # type: ignore[operator]


