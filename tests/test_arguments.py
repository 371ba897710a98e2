"""Options: each parses, is checked, and is in the table that users read."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import pytest

from status_probe.arguments import parse_accept, parse_arguments
from status_probe.options import Options

# Every option that there is, once: how it is typed, the name it has, and what comes of it.
GIVEN: list[tuple[str, str, object]] = [
    ("--column 2", "column", "2"),
    ("--input-encoding gb18030", "input_encoding", "gb18030"),
    ("--default-scheme http", "default_scheme", "http"),
    ("--no-dedupe", "dedupe", False),
    ("-X HEAD", "method", "head"),
    ("--method auto", "method", "auto"),
    ("-H A:b --header C:d:e", "headers", [("A", "b"), ("C", "d:e")]),
    ("-A me", "user_agent", "me"),
    ("--user-agent me", "user_agent", "me"),
    ("--max-redirects 0", "max_redirects", 0),
    ("-x http://p:1", "proxy", "http://p:1"),
    ("--proxy http://p:1", "proxy", "http://p:1"),
    ("--hosts names", "hosts", "names"),
    ("--public-only", "public_only", True),
    ("--ca-bundle file", "ca_bundle", "file"),
    ("--client-cert file", "client_cert", "file"),
    ("--client-key file", "client_key", "file"),
    ("-k", "insecure", True),
    ("--insecure", "insecure", True),
    ("-w 5", "workers", 5),
    ("--workers 5", "workers", 5),
    ("--per-host 2", "per_host", 2),
    ("--delay 0.5", "delay", 0.5),
    ("--rate 2.5", "rate", 2.5),
    ("--connect-timeout 1", "connect_timeout", 1.0),
    ("--read-timeout 1", "read_timeout", 1.0),
    ("--max-time 1e2", "max_time", 100.0),
    ("--retries 3", "retries", 3),
    ("--retry-wait 0", "retry_wait", 0.0),
    ("--max-retry-wait 5", "max_retry_wait", 5.0),
    ("-o file", "output", "file"),
    ("--output file", "output", "file"),
    ("-o file --resume", "resume", True),
    ("-o file --resume --retry-failed", "retry_failed", True),
    ("-o file --overwrite", "overwrite", True),
    ("--as-completed", "as_completed", True),
    ("--columns url,status", "columns", "url,status"),
    ("-o file --split-rows 10", "split_rows", 10),
    ("--delimiter tab", "delimiter", "tab"),
    ("--output-encoding utf-16", "output_encoding", "utf-16"),
    ("--lang zh", "lang", "zh"),
    ("--fail", "fail", True),
    ("--accept 200,404", "accept", frozenset({200, 404})),
    ("-q", "quiet", True),
    ("--quiet", "quiet", True),
    ("-v", "verbose", True),
    ("--verbose", "verbose", True),
    ("--demo", "demo", True),
    ("--plan", "plan", True),
    ("--explain", "explain", []),
    ("--explain 404 503", "explain", ["404", "503"]),
]

WRONG = (
    "--bogus", "--work 5", "-w x", "-w 1.5", "--rate nan", "--delay inf", "--retries 1e3", "-H nothing", "-H :b",
    "-X post", "--accept", "--accept x", "--accept 99", "--accept 300-200", "--accept 200-", "--split-rows 0 -o f",
    "--delimiter ;", "--lang fr", "--resume", "--overwrite", "--split-rows 5", "-o f --retry-failed",
    "-o f --resume --overwrite", "--demo http://a/", "-o", "--output=", "--version=1",
)  # fmt: skip


@pytest.mark.parametrize(("words", "name", "value"), GIVEN, ids=[words for words, _, _ in GIVEN])
def test_an_option_parses(words: str, name: str, value: object) -> None:
    """Every option in its long and short form reaches the command under its name."""
    assert getattr(parse_arguments(words.split()), name) == value


def test_every_option_is_in_the_table_above() -> None:
    """No option is offered that is not tried here."""
    help_text = _help()
    offered = {word.strip(",:") for word in help_text.split() if word.startswith("-") and word.strip("-,")}
    tried = {word for words, _, _ in GIVEN for word in words.split() if word.startswith("-")}
    named = {word for word in offered if word.startswith("--") or len(word) == 2}
    assert named - tried == {"-h", "--help", "--version"}


@pytest.mark.parametrize("words", WRONG)
def test_bad_usage_is_one_line_and_exit_status_2(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be parsed is told in one line that begins as all errors do."""
    with pytest.raises(SystemExit) as end:
        parse_arguments(words.split())
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("status-probe: error: ")
    assert message.endswith("\n")
    assert message.count("\n") == 1


def test_a_message_neutralises_what_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a wrong word reach the terminal as escapes."""
    with pytest.raises(SystemExit):
        parse_arguments(["--a\x1b[31m\nb"])
    assert capsys.readouterr().err == "status-probe: error: unrecognized arguments: --a\\x1b[31m\\nb\n"


def test_sources_and_options_mix() -> None:
    """Sources may stand before, between and behind options."""
    arguments = parse_arguments(["a.txt", "-w", "5", "b.txt", "-q", "http://c/"])
    assert arguments.sources == ["a.txt", "b.txt", "http://c/"]


def test_behind_two_dashes_all_are_sources() -> None:
    """A file whose name begins with a dash can be named."""
    arguments = parse_arguments(["-q", "a", "--", "-x.txt", "--plan"])
    assert arguments.sources == ["a", "-x.txt", "--plan"]
    assert (arguments.quiet, arguments.plan, hasattr(arguments, "proxy")) == (True, False, False)


def test_what_was_not_given_is_left_to_the_library() -> None:
    """Defaults are written once: an option of the library is missing where it was not typed."""
    handed_on = {name for _, name, _ in GIVEN} - set(vars(parse_arguments([])))
    assert handed_on == set(Options.__dataclass_fields__)


def test_help_tells_the_defaults_there_are() -> None:
    """A default named in the help is the library's."""
    text = " ".join(_help().split())
    for name in ("workers", "per_host", "connect_timeout", "read_timeout", "max_time", "retries", "max_retry_wait"):
        entry = text.partition(f"--{name.replace('_', '-')} ")[2].partition(" --")[0]
        assert f"(default: {getattr(Options(), name):g})" in entry


@pytest.mark.parametrize(
    ("text", "codes"),
    [("200", {200}), ("200-202", {200, 201, 202}), ("200,404", {200, 404}), (" 999 , 100 ", {999, 100})],
)
def test_accepted_codes_are_single_ones_and_ranges(text: str, codes: set[int]) -> None:
    """--accept takes codes and ranges, divided by commas."""
    assert parse_accept(text) == codes


def test_no_accepted_code_is_outside_100_to_999() -> None:
    """A code that no answer can have is a slip of the keyboard."""
    for text in ("1000", "0", "20", "200-1000", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_accept(text)


def test_help_fits_80_columns() -> None:
    """No line of the help is wider than a plain terminal, and all groups are there."""
    text = _help()
    assert max(map(len, text.splitlines())) <= 80
    for group in ("input", "request", "limits", "output", "other", "exit status", "examples"):
        assert f"\n{group}:\n" in text


def test_help_and_version_wait_for_no_library() -> None:
    """Neither requests nor tqdm nor TLS is imported to show the help."""
    program = (
        "import sys; from status_probe.__main__ import main; status = main([{word!r}]);"
        "print(status, sorted({{'requests', 'tqdm', 'ssl', 'http.client'}} & set(sys.modules)))"
    )
    for word in ("--help", "--version"):
        command = [sys.executable, "-c", program.format(word=word)]
        out = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        assert out.splitlines()[-1] == "0 []"


def _help() -> str:
    command = [sys.executable, "-m", "status_probe", "--help"]
    environ = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=environ).stdout
