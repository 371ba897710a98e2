"""The command line: its options, and what a user reads of them.

Nothing heavy is imported here, so that --help and --version answer at once.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .console import plain
from .fields import parse_field

__all__ = ["ACCEPTED", "DELIMITERS", "parse_accept", "parse_arguments"]

ACCEPTED = "200-399"
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
DEMO_OUTPUT = "status-probe-demo.csv"

DESCRIPTION = """\
Ask every URL of a list for its HTTP status and write one CSV row for each:
the status a visitor gets, where redirects lead, and why a dead one is dead."""

EPILOG = """\
SOURCE is a list (.txt, .csv, .tsv, each also .gz), a URL (it contains '://'),
or '-' for standard input.

exit status:
  0    every line has its row
  1    --fail, and something was not accepted
  2    bad usage, or a source or an output that cannot be used
  3    the run could not be completed, rows so far are kept
  130  interrupted, rows so far are kept

examples:
  status-probe urls.txt -o status.csv            ask a list, write a CSV
  status-probe urls.txt -o status.csv --resume   go on after a stop
  status-probe https://example.com/ --columns url,status,error
  status-probe --explain 404 503                 what these codes mean
  status-probe --demo                            see it work, without a network"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line and exit status 2."""
        from .urls import redact_message  # --help does without

        self.exit(2, f"{self.prog}: error: {plain(redact_message(message))}\n")


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options given; those that the library has as well are missing where they were not.

    Raises SystemExit for --help, --version and bad usage.
    """
    parser = _Parser(
        prog="status-probe",
        usage="status-probe [options] [SOURCE ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32),
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help=argparse.SUPPRESS)
    for add in (_add_input, _add_request, _add_limits, _add_output, _add_other):
        add(parser)
    words, behind = _split_at_dashes(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_intermixed_args(words)
    arguments.sources = [*arguments.sources, *behind]
    writes_demo_file = arguments.demo and arguments.output is None
    if writes_demo_file:
        arguments.output = DEMO_OUTPUT
    _check(parser, arguments)
    arguments.overwrite |= writes_demo_file  # it is ours
    return arguments


def _split_at_dashes(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words before a ``--`` and the sources behind it, which argparse, intermixed, takes for options."""
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _add_input(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("input").add_argument
    add("--column", metavar="NAME", help="the URL column of a CSV or TSV list: its heading or its number from 1")
    add("--input-encoding", metavar="NAME", help="of the lists (default: found out)")
    add("--default-scheme", choices=("auto", "https", "http"), default=argparse.SUPPRESS,
        help="for a line without a scheme (default: auto, https and then http)")  # fmt: skip
    add("--no-dedupe", action="store_false", dest="dedupe", default=argparse.SUPPRESS,
        help="ask a repeated URL again for each line")  # fmt: skip


def _add_request(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("request").add_argument
    add("-X", "--method", type=str.lower, choices=("get", "head", "auto"), default=argparse.SUPPRESS,
        help="(default: get); auto: HEAD, then GET where that did not settle it")  # fmt: skip
    add("-H", "--header", action="append", dest="headers", type=_header, metavar="'NAME: VALUE'",
        default=argparse.SUPPRESS, help="send this too, to the listed URL's origin; repeatable")  # fmt: skip
    add("-A", "--user-agent", metavar="TEXT", default=argparse.SUPPRESS, help="(default: our own name)")
    add("--max-redirects", type=_count, metavar="N", default=argparse.SUPPRESS, help="(default: 10); 0: do not follow")
    add("-x", "--proxy", metavar="URL", default=argparse.SUPPRESS,
        help="http://, https://, socks4://, socks5:// or socks5h://[USER:PASSWORD@]HOST:PORT (default: the "
             "environment's); '': none")  # fmt: skip
    add("--hosts", metavar="FILE", default=argparse.SUPPRESS,
        help="lines as in a hosts file; these names are not looked up")  # fmt: skip
    add("--public-only", action="store_true", default=argparse.SUPPRESS,
        help="connect to no address that is not globally reachable, on any hop")  # fmt: skip
    add("--ca-bundle", metavar="FILE", default=argparse.SUPPRESS, help="trust these authorities only")
    add("--client-cert", metavar="FILE", default=argparse.SUPPRESS, help="a certificate of ours, in PEM")
    add("--client-key", metavar="FILE", default=argparse.SUPPRESS, help="its key, where it is not in the same file")
    add("-k", "--insecure", action="store_true", default=argparse.SUPPRESS, help="check no certificate")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("limits").add_argument
    seconds = {"type": _seconds, "metavar": "SECONDS", "default": argparse.SUPPRESS}
    add("-w", "--workers", type=_count, metavar="N", default=argparse.SUPPRESS, help="threads, 1 to 1000 (default: 32)")
    add("--per-host", type=_count, metavar="N", default=argparse.SUPPRESS,
        help="requests to one host at once (default: 4)")  # fmt: skip
    add("--delay", help="least time between the starts of two requests to one host (default: 0)", **seconds)  # type: ignore[arg-type]
    add("--rate", type=_seconds, metavar="N", default=argparse.SUPPRESS,
        help="requests a second in all (default: no limit)")  # fmt: skip
    add("--connect-timeout", help="name look-up, connection and TLS together (default: 5)", **seconds)  # type: ignore[arg-type]
    add("--read-timeout", help="silence while an answer is awaited (default: 15)", **seconds)  # type: ignore[arg-type]
    add("--max-time", help="one attempt, redirects included (default: 30)", **seconds)  # type: ignore[arg-type]
    add("--retries", type=_count, metavar="N", default=argparse.SUPPRESS,
        help="further attempts after a passing failure (default: 1)")  # fmt: skip
    add("--retry-wait", help="before the first of them; doubles, with jitter (default: 1)", **seconds)  # type: ignore[arg-type]
    add("--max-retry-wait", help="the longest wait, Retry-After included (default: 60)", **seconds)  # type: ignore[arg-type]


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", metavar="FILE", help="(default: -, standard output)")
    add("--resume", action="store_true", help="go on with FILE: lines that have a row are not asked again")
    add("--retry-failed", action="store_true", help="with --resume: ask again for rows that have no status")
    add("--overwrite", action="store_true", help="replace FILE; an existing one is refused otherwise")
    add("--as-completed", action="store_true", help="leave rows in order of completion, not in input order")
    add("--columns", metavar="NAME,...", help="(default: all)")
    add("--split-rows", type=_positive, metavar="N", default=0, help="FILE-1.csv, FILE-2.csv, ... of N rows each")
    add("--delimiter", choices=tuple(DELIMITERS), default="comma", help="(default: comma)")
    add("--output-encoding", metavar="NAME", default="utf-8-sig", help="(default: utf-8-sig)")
    add("--lang", choices=("en", "zh"), default=argparse.SUPPRESS,
        help="language of meanings, hints and messages (default: the system's)")  # fmt: skip
    add("--fail", action="store_true", help="exit 1 if any URL's status is not accepted")
    add("--accept", type=parse_accept, metavar="SPEC",
        help=f"what is accepted, such as 200-299,404 (default: {ACCEPTED}); implies --fail")  # fmt: skip
    add("-q", "--quiet", action="store_true", help="no bar, no summary")
    add("-v", "--verbose", action="store_true", help="each failure on standard error as it comes")


def _add_other(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("other").add_argument
    add("--demo", action="store_true", help="run on a built-in server on this machine: no network needed")
    add("--plan", action="store_true", help="read the list, ask nothing: counts, hosts, bad lines, least time")
    add("--explain", nargs="*", metavar="CODE|URL",
        help="what a status code means (all without one), or what a URL answers to HEAD and GET")  # fmt: skip
    add("--version", action="version", version=f"%(prog)s {__version__}", help="show the version")
    add("-h", "--help", action="help", help="show this help")


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with exit status 2 where a name is empty, or options do not go together."""
    if "" in arguments.sources:
        parser.error("a SOURCE is empty, expected a file's name or a URL")
    if arguments.output == "":
        parser.error("the name of the output is empty, expected -o FILE")
    to_file = arguments.output not in (None, "-")
    for name in ("resume", "split_rows", "overwrite"):
        if getattr(arguments, name) and not to_file:
            parser.error(f"--{name.replace('_', '-')} needs a file to write: -o FILE")
    if arguments.retry_failed and not arguments.resume:
        parser.error("--retry-failed goes with --resume")
    if arguments.resume and arguments.overwrite:
        parser.error("--resume and --overwrite exclude each other")
    if arguments.demo and arguments.sources:
        parser.error("--demo has a list of its own and takes no SOURCE")


def _header(text: str) -> tuple[str, str]:
    try:
        return parse_field(text)
    except ValueError as error:  # argparse would show what was typed
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}', expected a whole number") from None


def _positive(text: str) -> int:
    number = _count(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}', expected 1 or more")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}', expected a number") from None
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"'{text}', expected a number")
    return number


def parse_accept(text: str) -> frozenset[int]:
    """Return the status codes that a text such as ``200-299,404`` names.

    Raises argparse.ArgumentTypeError for anything else.
    """
    accepted: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else not last)):
            raise argparse.ArgumentTypeError(f"'{part}', expected codes and ranges such as 200-299,404")
        low, high = int(first), int(last or first)
        if not 100 <= low <= high <= 999:
            raise argparse.ArgumentTypeError(f"'{part}', expected codes from 100 to 999")
        accepted.update(range(low, high + 1))
    return frozenset(accepted)
