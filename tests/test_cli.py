"""The command as its user meets it: sources in, CSV and messages out, exit status."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from status_probe import follow
from status_probe.cli import main
from tests.command import Ended, finish, read_csv, run_command, start_command
from tests.server import Request, Script, Server, Step, answer, closed_port, deaf_address, hang, redirect

Main = Callable[..., Ended]
BOM = "\ufeff"


def by_path(request: Request) -> Script:
    """Answer with the status that ends the path."""
    return answer(int(request.path.rpartition("/")[2]))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server({"/status/*": by_path, "/moved": redirect("/status/200", 301)}, address="0.0.0.0") as server:
        yield server


@pytest.fixture
def probe(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run main() here, in an empty folder, and return what it did."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, given: bytes | None = None) -> Ended:
        if given is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        capfdbinary.readouterr()
        status = main([*words, "--lang", "en"] if "--lang" not in words else [*words])
        out, err = capfdbinary.readouterr()
        return Ended(status, out.decode(), err.decode())

    return run


def listed(server: Server, *statuses: int) -> str:
    return "".join(server.url(f"/status/{status}") + "\n" for status in statuses)


@pytest.mark.parametrize(("words", "is_told"), [((), True), (("--split-rows", "2"), False), (("--quiet",), False)])
def test_more_rows_than_a_spreadsheet_shows_are_told_of_once(
    probe: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], is_told: bool
) -> None:
    """That --split-rows helps is said when it is not in use already."""
    monkeypatch.setattr(follow, "SHEET_ROWS", 2)
    (tmp_path / "list.txt").write_text("no url\n" * 5)
    ended = probe("list.txt", "-o", "out.csv", *words)
    assert ended.status == 0
    assert ended.err.count("--split-rows") == is_told


def test_a_list_gives_a_row_for_each_line(probe: Main, server: Server, tmp_path: Path) -> None:
    """A text list in, a CSV in its order out, exit status 0; blank lines and comments are no rows."""
    Path("urls.txt").write_text("# mine\n\n" + listed(server, 200, 404) + "not a url\n" + server.url("/moved"))
    assert probe("urls.txt", "-o", "out.csv").status == 0
    rows = read_csv(tmp_path / "out.csv")
    assert [(row["row"], row["status"], row["outcome"]) for row in rows] == [
        ("3", "200", "ok"), ("4", "404", "client_error"), ("5", "", "invalid_url"), ("6", "200", "ok"),
    ]  # fmt: skip
    assert (rows[3]["redirects"], rows[3]["verdict"]) == ("1", "moved")


def test_the_interpreter_is_as_before(probe: Main, server: Server) -> None:
    """What the command sets for its run it sets back: who calls main() has a program of their own."""

    def settings() -> tuple[object, ...]:
        stack_bytes = threading.stack_size()
        return gc.get_threshold(), gc.get_freeze_count() > 0, sys.getswitchinterval(), stack_bytes

    thresholds = gc.get_threshold()
    for own in (thresholds, (0, 5, 5)):
        gc.set_threshold(*own)
        try:
            before = settings()
            assert probe(server.url("/status/200"), "-q").status == 0
            assert settings() == before
            gc.freeze()
            before = settings()
            assert probe(server.url("/status/200"), "-q").status == 0
            assert settings() == before
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)


def test_standard_input_is_a_source(probe: Main, server: Server) -> None:
    """``-``, and no source at all with a pipe, read standard input; rows go to standard output."""
    given = listed(server, 204).encode()
    for words in (["-"], []):
        ended = probe(*words, "-q", given=given)
        assert (ended.status, [row["status"] for row in ended.rows], ended.err) == (0, ["204"], "")


def test_a_pipe_is_read_as_it_comes(server: Server) -> None:
    """The row of a first line is there while the second has not been typed yet."""
    with start_command("-q", "--columns", "status", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for status in (200, 404):
            process.stdin.write(listed(server, status).encode())
            process.stdin.flush()
            while (line := process.stdout.readline().decode().strip()) in (BOM + "status",):
                pass
            assert line == str(status)
        assert finish(process).status == 0


def test_several_sources_are_told_apart(probe: Main, server: Server) -> None:
    """With several sources a column names them; URLs of the command line are one."""
    Path("one.txt").write_text(listed(server, 200))
    Path("two.txt.gz").write_bytes(gzip.compress(listed(server, 404).encode()))
    ended = probe("one.txt", "two.txt.gz", server.url("/status/410"), "-q")
    found = sorted((row["source"], row["row"], row["status"]) for row in ended.rows)
    assert found == [("arguments", "1", "410"), ("one.txt", "1", "200"), ("two.txt.gz", "1", "404")]
    assert ended.out.removeprefix(BOM).startswith("row,source,url,")


def test_columns_of_a_table_follow_ours(probe: Main, server: Server) -> None:
    """A CSV's own columns come behind ours, renamed where they collide, and --column chooses."""
    Path("t.csv").write_text(f"name;status;page\nä;mine;{server.url('/status/200')}\n", encoding="utf-8")
    ended = probe("t.csv", "-q", "--column", "page")
    assert ended.rows[0]["name"] == "ä"
    assert (ended.rows[0]["status"], ended.rows[0]["input_status"]) == ("200", "mine")
    assert probe("t.csv", "-q", "--column", "3").rows[0]["status"] == "200"


def test_the_csv_is_written_as_wanted(probe: Main, server: Server) -> None:
    """--columns, --delimiter and --output-encoding decide what the CSV looks like."""
    Path("u.txt").write_text(listed(server, 200))
    ended = probe("u.txt", "-o", "o.csv", "-q", "--columns", "status,outcome", "--delimiter", "semicolon",
                  "--output-encoding", "utf-16-le")  # fmt: skip
    assert ended.status == 0
    assert Path("o.csv").read_bytes().decode("utf-16-le") == "status;outcome\r\n200;ok\r\n"


def test_the_list_on_standard_input_is_not_written_over(server: Server, tmp_path: Path) -> None:
    """A list that the shell opened is known for the output too."""
    path = tmp_path / "u.txt"
    path.write_text(listed(server, 200, 404))
    for words in ([], ["-"]):
        with path.open("rb") as stdin:
            ended = run_command(*words, "-o", "u.txt", "--overwrite", cwd=tmp_path, stdin=stdin)
        assert ended.status == 2
        assert "is the list itself" in ended.err
    assert path.read_text() == listed(server, 200, 404)
    path = path.rename(tmp_path / "u-2.txt")
    with path.open("rb") as stdin:
        ended = run_command("-", "-o", "u.txt", "--overwrite", "--split-rows", "1", cwd=tmp_path, stdin=stdin)
    assert "is the list itself" in ended.err
    assert path.read_text() == listed(server, 200, 404)


@pytest.mark.skipif(sys.platform == "win32", reason="its pipes have no name in a folder")
def test_standard_output_may_be_named(server: Server) -> None:
    """-o /dev/stdout writes to a pipe as -o - does."""
    ended = run_command(server.url("/s"), "-q", "-o", "/dev/stdout")
    assert ended.status == 0
    assert ended.out.count("\n") == 2


def test_a_numbered_file_of_another_is_kept(probe: Main, server: Server) -> None:
    """It is refused at once; where it came meanwhile the exit status tells, and the rows stay in the one file."""
    Path("u.txt").write_text(listed(server, 200, 404, 410))
    Path("o-2.csv").write_text("mine")
    asked = len(server.log)
    refused = probe("u.txt", "-o", "o.csv", "--split-rows", "2")
    assert (refused.status, len(server.log)) == (2, asked)
    assert "o-2.csv" in refused.err
    assert probe("u.txt", "-o", "o.csv").status == 0
    ended = probe("u.txt", "-o", "o.csv", "--split-rows", "2", "--resume")
    assert ended.status == 3
    assert 'o-2.csv": it exists' in ended.err
    assert "--resume" in ended.err
    assert Path("o-2.csv").read_text() == "mine"
    assert len(read_csv(Path("o.csv"))) == 3


@pytest.mark.parametrize("columns", ["row,url", "row,url,outcome", "row,url,status"])
def test_rows_that_do_not_tell_are_not_judged(probe: Main, server: Server, columns: str) -> None:
    """--fail is not answered from rows without status and outcome, nor does the summary tell of them."""
    Path("u.txt").write_text(listed(server, 200, 204))
    words = ("u.txt", "-o", "o.csv", "--columns", columns)
    assert probe(*words, "--fail").status == 0
    refused = probe(*words, "--fail", "--resume")
    assert refused.status == 2
    assert "status and outcome" in refused.err
    ended = probe(*words, "--resume")
    assert ended.status == 0
    assert "connect_error" not in ended.err


def test_a_report_that_was_edited_is_told_by_its_row(probe: Main, server: Server) -> None:
    """Going on with what a cell was changed in says what, and where; the file stays as it is."""
    Path("u.txt").write_text(listed(server, 200, 404))
    assert probe("u.txt", "-o", "o.csv", "-q").status == 0
    for cell, changed, told in ((",404,", ",gone,", "'gone' stands under status"), (",ok,", ",fine,", "'fine' stands")):
        whole = Path("o.csv").read_bytes()
        edited = whole.replace(cell.encode(), changed.encode(), 1)
        Path("o.csv").write_bytes(edited)
        ended = probe("u.txt", "-o", "o.csv", "--resume")
        assert ended.status == 2
        assert told in ended.err
        assert "in the row that begins" in ended.err
        assert Path("o.csv").read_bytes() == edited
        Path("o.csv").write_bytes(whole)


def test_rows_are_split_over_files(probe: Main, server: Server) -> None:
    """--split-rows leaves numbered files, each with a heading, and not the one they were made from."""
    Path("u.txt").write_text(listed(server, 200, 404, 410))
    assert probe("u.txt", "-o", "o.csv", "--split-rows", "2").status == 0
    assert sorted(path.name for path in Path().glob("o*")) == ["o-1.csv", "o-2.csv"]
    assert [row["status"] for row in read_csv(Path("o-2.csv"))] == ["410"]


@pytest.mark.parametrize("words", ["", "--as-completed"])
def test_a_finished_file_is_in_input_order_unless_told(probe: Main, words: str) -> None:
    """A late first answer stands first in the end, and last with --as-completed."""

    def late(request: Request) -> Script:
        return [late_step(server, 2), answer(200)]

    with Server({"/late": late, "/soon": answer(404)}) as server:
        Path("u.txt").write_text(server.url("/late") + "\n" + server.url("/soon") + "\n")
        assert probe("u.txt", "-o", "o.csv", *words.split()).status == 0
    statuses = [row["status"] for row in read_csv(Path("o.csv"))]
    assert statuses == (["404", "200"] if words else ["200", "404"])


def late_step(server: Server, requests: int) -> Step:
    """Wait until so many requests came, and a little longer, so that the others' answers are read."""

    def run(connection: object) -> None:
        server.wait_until(lambda: len(server.log) >= requests)
        server.stopping.wait(0.5)

    return Step(run)


@pytest.mark.parametrize(
    ("words", "statuses", "expected"),
    [
        ("", (200, 404), 0),
        ("--fail", (200, 301), 0),
        ("--fail", (200, 404), 1),
        ("--fail --accept 200,404", (200, 404), 0),
        ("--accept 200", (200, 204), 1),
    ],
)
def test_unaccepted_statuses_decide_the_exit_status(
    probe: Main, server: Server, words: str, statuses: tuple[int, ...], expected: int
) -> None:
    """--fail, and --accept with it or alone, make 1 of what is not accepted."""
    assert probe("-q", *words.split(), given=listed(server, *statuses).encode()).status == expected


def test_a_failure_is_never_accepted(probe: Main) -> None:
    """A URL without an answer fails --fail, whatever is accepted, and so does a redirect that leads nowhere."""
    with closed_port() as (address, port), Server(redirect("ftp://a.test/")) as server:
        for url in (f"http://{address}:{port}/", server.url()):
            assert probe("-q", "--fail", "--accept", "100-999", given=url.encode()).status == 1


def test_a_refused_file_is_left_as_it_is(probe: Main, server: Server) -> None:
    """An output that is there is refused with exit status 2 before the first request, and --overwrite replaces it."""
    Path("u.txt").write_text(listed(server, 200))
    Path("o.csv").write_text("mine")
    before = len(server.log)
    ended = probe("u.txt", "-o", "o.csv")
    assert (ended.status, Path("o.csv").read_text(), len(server.log)) == (2, "mine", before)
    assert ended.err.startswith("status-probe: error: ")
    assert probe("u.txt", "-o", "o.csv", "--overwrite").status == 0


@pytest.mark.parametrize(
    "words",
    [
        "missing.txt", "u.txt -o missing/o.csv", "u.txt -o .", "u.txt -o u.txt --overwrite", "u.txt --columns none",
        "u.txt --columns ",
        "u.txt --output-encoding none", "u.txt --input-encoding none", "u.txt --column x", "u.txt -w 0",
        "u.txt -w 1001", "u.txt --per-host 0", "u.txt --rate 0", "u.txt --max-time 0", "u.txt --retries -1",
        "u.txt --hosts missing", "u.txt --ca-bundle missing", "u.txt --client-cert missing", "u.txt --client-key x",
        "u.txt -x ftp://p/", "u.txt -H no\tname:x", "u.txt --public-only -x http://127.0.0.1:9", "--explain nothing",
        "--explain 1000", "- -", "u.txt ", "u.txt -o o.csv --resume --columns url,status",
        "u.txt http://127.0.0.1:9/ -o o.csv --resume --columns row,url",
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_before_the_first_request(probe: Main, server: Server, words: str) -> None:
    """One line, exit status 2, and no server was asked."""
    Path("u.txt").write_text(listed(server, 200))
    before = len(server.log)
    ended = probe(*words.split(" "))
    assert (ended.status, len(server.log)) == (2, before)
    assert ended.err.startswith("status-probe: error: ")
    assert ended.err.count("\n") == 1


def test_an_output_of_text_only_is_refused(probe: Main, server: Server) -> None:
    """A program that calls main() may have put an object of its own there, which cannot hold bytes."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        ended = probe(server.url("/status/200"))
    assert (ended.status, out.getvalue()) == (2, "")
    assert "-o FILE" in ended.err


def test_quiet_says_nothing(probe: Main, server: Server) -> None:
    """With -q nothing is on standard error of a run that went well."""
    assert probe(server.url("/status/500"), "-q", "--retries", "0").err == ""


def test_the_summary_is_on_standard_error(probe: Main, server: Server, tmp_path: Path) -> None:
    """Without -q a summary says what came and where the rows are; standard output stays empty."""
    ended = probe(server.url("/status/404"), "-o", "o.csv")
    assert "404 ×1" in ended.err
    assert str(tmp_path / "o.csv") in ended.err.replace("\n", "")
    assert ended.out == ""


def test_verbose_tells_each_failure_in_one_line(probe: Main, server: Server) -> None:
    """-v names what failed as it comes; control characters of a list stay out of the terminal, successes too."""
    given = (listed(server, 200, 404) + "http://a\x1b[31m/\n").encode()
    lines = probe("-q", "-v", given=given).err.splitlines()
    assert sorted(line.split()[0] for line in lines) == ["---", "404"]
    assert not any("\x1b" in line for line in lines)


def test_a_password_is_in_no_output(probe: Main, server: Server) -> None:
    """Of a URL with a password neither the CSV nor a message shows it."""
    url = server.url("/status/404").replace("//", "//me:geheim@")
    ended = probe(url, "-v")
    assert "geheim" not in ended.out + ended.err
    assert "me:***@" in ended.out


@pytest.mark.parametrize("words", [
    "us:geheim@127.0.0.1:1/x", "//us:geheim@a.test", "http:us:geheim@a.test", "--explain us:geheim@a.test",
    "list.txt --poxy http://us:geheim@p.test:1", "-w http://us:geheim@p.test:1", "-x http://us:ge/heim@p.test:1",
])  # fmt: skip
def test_a_password_is_in_no_usage_error(probe: Main, words: str) -> None:
    """A word that is not understood may hold one; standard error is often appended to a file."""
    ended = probe(*words.split())
    assert ended.status == 2
    assert ended.err.startswith("status-probe: error: ")
    assert "heim" not in ended.err


def test_a_usage_error_names_what_it_is_about(probe: Main) -> None:
    """An ``@`` alone is no secret."""
    assert "unrecognized arguments: --bogus" in probe("list.txt", "--bogus", "me@x.test").err


def test_the_language_is_that_of_the_locale(probe: Main, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanings follow LANG where --lang does not say otherwise; names of outcomes and columns do not change."""
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setattr("sys.argv", ["status-probe"])
    main([server.url("/status/404"), "-q", "-o", "zh.csv"])
    (row,) = read_csv(Path("zh.csv"))
    assert (row["outcome"], row["meaning"].isascii()) == ("client_error", False)
    assert probe(server.url("/status/404"), "-q", "--lang", "en").rows[0]["meaning"].isascii()


def test_a_line_without_a_scheme_is_asked_by_http_where_there_is_no_tls(probe: Main, server: Server) -> None:
    """auto comes to what --default-scheme http asks at once."""
    line = server.url("/status/200").removeprefix("http://").encode()
    for words in (["--default-scheme", "http"], []):
        assert probe("-q", *words, given=line).rows[0]["status"] == "200"


def test_a_list_that_breaks_off_keeps_its_rows(probe: Main, server: Server) -> None:
    """A damaged gzip file gives the rows of what could be read, exit status 3, and one line that says why."""
    whole = gzip.compress("".join(server.url(f"/status/200?{n * n}") + "\n" for n in range(500)).encode())
    Path("u.txt.gz").write_bytes(whole[:-30])
    ended = probe("u.txt.gz", "-o", "o.csv", "-q")
    assert ended.status == 3
    assert 0 < len(read_csv(Path("o.csv"))) <= 500
    assert sum("error: " in line for line in ended.err.splitlines()) == 1
    assert "u.txt.gz" in ended.err


def test_the_demo_needs_no_network_and_no_environment() -> None:
    """--demo asks its own server only, whatever proxies and bundles the environment names."""
    nowhere = "http://127.0.0.1:9"
    environ = {"HTTP_PROXY": nowhere, "http_proxy": nowhere, "ALL_PROXY": nowhere, "SSL_CERT_FILE": "/missing"}
    ended = run_command("--demo", "-o", os.devnull, "-v", environ=environ)
    assert ended.status == 0
    assert "proxy" not in ended.err
    assert " URLs in " in ended.err


def test_5000_urls_on_40_hosts_get_their_own_status(probe: Main, server: Server, tmp_path: Path) -> None:
    """Every row of a long list holds the status that its own URL encodes."""
    statuses = (200, 204, 301, 403, 404, 410, 451, 501)
    urls = [server.url(f"/status/{n}/{statuses[n * 7 % 8]}", host=f"127.0.1.{n % 40 + 1}") for n in range(5000)]
    Path("u.txt").write_text("\n".join(urls))
    assert probe("u.txt", "-o", "o.csv", "-q").status == 0
    rows = read_csv(tmp_path / "o.csv")
    assert [row["url"] for row in rows] == urls
    assert all(row["url"].endswith("/" + row["status"]) for row in rows)


def test_no_bar_where_standard_error_is_no_terminal(probe: Main, server: Server) -> None:
    """In a log file there is no carriage return."""
    assert "\r" not in probe(given=listed(server, 200, 404).encode()).err


def test_a_run_goes_on_where_no_thread_is_left_to_count(
    probe: Main, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the machine starts no more threads, the bar does without a total and the rows come all the same."""
    start = threading.Thread.start

    def scarce(thread: threading.Thread) -> None:
        if thread.name == "counter":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    monkeypatch.setattr("status_probe.console.is_terminal", lambda _: True)
    assert probe("-o", "out.csv", given=listed(server, 200).encode()).status == 0


@pytest.mark.skipif(os.name == "nt", reason="a pseudo-terminal is POSIX'")
def test_the_bar_in_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    """On a terminal there is a bar with total and counts, failures stand above it, and a note near the end."""
    import pty

    def slow(request: Request) -> Script:
        return [until_forgotten(server), answer(200)]

    with Server({"/slow": slow, "/status/*": by_path}) as server:
        (tmp_path / "u.txt").write_text(listed(server, *[200] * 20, 404) + server.url("/slow"))
        ours, theirs = pty.openpty()
        with start_command("u.txt", "-o", "o.csv", "-v", "--no-dedupe", cwd=tmp_path, stderr=theirs) as process:
            os.close(theirs)
            shown = _read_terminal(ours, until=b"waiting for ")
            server.log.clear()  # now it answers
            shown += _read_terminal(ours)
            assert finish(process).status == 0
    text = shown.decode()
    assert "22/22" in text
    assert "4xx 1" in text
    assert "/slow" in text.partition("waiting for ")[2]
    assert f"404 client_error {server.url('/status/404')}: " in text


def until_forgotten(server: Server) -> Step:
    """Wait until the server's log is empty."""

    def run(connection: object) -> None:
        while server.log and not server.stopping.wait(0.02):
            pass

    return Step(run)


def _read_terminal(number: int, until: bytes = b"\0") -> bytes:
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while until not in shown and (some := os.read(number, 4096)):
            shown += some
    return shown


def test_verbose_tells_what_a_run_waits_for() -> None:
    """Without a terminal -v says what the last answers are awaited from, what is done there, and for how long."""
    with Server(hang()) as server, Server({}, on_connect=hang()) as mute, deaf_address() as (host, port):
        urls = [server.url("/1"), mute.url("/2", scheme="https"), f"http://{host}:{port}/3"]
        words = [*urls, "-v", "--max-time", "1.6", "--retries", "0", "--proxy="]
        with (
            start_command(*words, "--lang", "en") as english,
            start_command(*words, "--lang", "zh", environ={"PYTHONUTF8": "1"}) as chinese,
        ):
            told = [finish(english).err, finish(chinese).err]
    phases = [
        ("waiting for the answer for ", "in the TLS handshake for ", "connecting for "),
        ("等待响应已 ", "TLS 握手已 ", "建立连接已 "),
    ]
    for err, of_lang in zip(told, phases, strict=True):
        for url, phase in zip(urls, of_lang, strict=True):
            assert re.search(rf"^{phase}\d (s: |秒：){re.escape(url)}\r?$", err, re.MULTILINE), err


def test_verbose_tells_of_a_host_that_is_held_back() -> None:
    """Also where many more URLs are left than there are workers, but nothing can be asked for a while."""
    statuses = itertools.chain([429], itertools.repeat(200))

    def limited(_: Request) -> Script:
        return answer(next(statuses), headers=[("Retry-After", "30")])

    with Server(limited) as server:
        urls = "".join(server.url(f"/{n}\n") for n in range(20)).encode()
        ended = run_command("-w", 2, "-v", "--max-retry-wait", "1.4", "--proxy=", given=urls)
    assert [row["status"] for row in ended.rows] == ["200"] * 20
    assert f"127.0.0.1:{server.port} is held back for 1 s more" in ended.err
