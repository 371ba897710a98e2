"""A run that is stopped: by signals, a pipe that nobody reads, a full disk; it ends soon and says how to go on."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from status_probe.again import command_to_resume, quoted_for_windows
from status_probe.stops import Interrupted, Stop, reader_watch
from tests.command import Ended, finish, read_csv, run_command, start_command, wait_for
from tests.server import Server, answer, hang

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent to POSIX processes")

SECONDS = 2.0  # within which a stopped command ends
WORKERS = 500
FULL = Path("/dev/full")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that answers quickly on the path /ok and never on /hang."""
    with Server({"/ok": answer(200), "/hang": hang()}, address="0.0.0.0") as server:
        yield server


def write_list(folder: Path, server: Server, *, ok: int, stuck: int) -> Path:
    """Write a list whose hanging URLs are of many hosts."""
    urls = [server.url(f"/ok?{n}", host=f"127.0.0.{n % 50 + 1}") for n in range(ok)]
    urls += [server.url(f"/hang?{n}", host=f"127.0.{n % 250 + 1}.1") for n in range(stuck)]
    path = folder / "my urls.txt"
    path.write_text("\n".join(urls) + "\n")
    return path


def stop(process: subprocess.Popen[bytes], number: int, times: int = 1) -> Ended:
    """Send a signal, so many times, and return what the command did; it ends in time, or that fails the test."""
    began = time.monotonic()
    for place in range(times):
        if place:
            time.sleep(0.05)  # a person's impatience
        if process.poll() is None:
            process.send_signal(number)
    ended = finish(process)
    assert time.monotonic() - began < SECONDS
    return ended


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stuck_run_ends_in_time_with_its_rows(server: Server, tmp_path: Path, name: str) -> None:
    """500 workers that wait for silent servers do not hold the end up; what was answered is in the file."""
    write_list(tmp_path, server, ok=20, stuck=2 * WORKERS)
    before = len(server.log)
    with start_command("my urls.txt", "-o", "o.csv", "-w", WORKERS, cwd=tmp_path) as process:
        server.wait_until(lambda: len(server.log) - before >= 20 + 400, 15)
        ended = stop(process, getattr(signal, name))
    assert ended.status == 130
    assert [row["status"] for row in read_csv(tmp_path / "o.csv")] == ["200"] * 20
    assert "interrupted: 20 rows are kept" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_that_nobody_reads_ends_in_time(server: Server, tmp_path: Path, stream: str) -> None:
    """What is written to a full pipe, by a pager at rest, say, does not hold the end up; rows in a file are kept."""
    urls = [server.url(f"/none?{number}", host=f"127.0.0.{number % 50 + 1}") for number in range(1500)]
    (tmp_path / "u.txt").write_text("\n".join(urls))
    words = ["-q"] if stream == "stdout" else ["-v", "-o", "o.csv"]
    readable, writable = os.pipe()
    before = len(server.log)
    with start_command("u.txt", *words, cwd=tmp_path, **{stream: writable}) as process:
        os.close(writable)
        try:
            # More, where requests of the test before come late: its command is gone by then.
            server.wait_until(lambda: len(server.log) - before >= len(urls), 15)
            ended = stop(process, signal.SIGTERM)
        finally:
            process.kill()
            os.close(readable)
    assert ended.status == 130
    if stream == "stderr":
        assert read_csv(tmp_path / "o.csv")


def test_what_a_stopped_run_waited_for_is_told(tmp_path: Path) -> None:
    """The oldest of what is asked are named, each with its phase and age, and hosts that are held back."""
    limited = answer(429, headers=[("Retry-After", "30")])
    with Server({"/limited": limited, "/*": hang()}, address="0.0.0.0") as server:
        urls = [server.url(path, host=f"127.0.0.{n}") for n, path in enumerate(["/slow", "/limited", "/later"], 1)]
        with start_command(*urls, "-o", "o.csv", "-w", 2, "--proxy=", cwd=tmp_path) as process:
            server.wait_until(lambda: len(server.log) == 3)  # two workers: what was limited is put back by then
            ended = stop(process, signal.SIGINT)
    assert re.search(rf"waiting for the answer for \d s: {re.escape(urls[0])}", ended.err)
    assert re.search(r"127\.0\.0\.2:\d+ is held back for (2\d|30) s more", ended.err)


def test_impatience_changes_nothing(server: Server, tmp_path: Path) -> None:
    """Ctrl-C again and again, also while the command ends, is no traceback and no other exit status."""
    write_list(tmp_path, server, ok=20, stuck=50)
    before = len(server.log)
    with start_command("my urls.txt", "-o", "o.csv", cwd=tmp_path) as process:
        server.wait_until(lambda: len(server.log) - before >= 40)
        ended = stop(process, signal.SIGINT, times=30)
    assert ended.status == 130
    assert "Traceback" not in ended.err
    assert len(read_csv(tmp_path / "o.csv")) == 20


def test_what_nohup_wants_is_kept(server: Server, tmp_path: Path) -> None:
    """A signal that is ignored when the command starts does not stop it."""
    write_list(tmp_path, server, ok=1, stuck=1)
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    words = ["my urls.txt", "-q", "--max-time", "0.5", "--retries", "0"]
    before = len(server.log)
    with start_command(*words, cwd=tmp_path, **ignored) as process:
        server.wait_until(lambda: len(server.log) - before >= 2)
        process.send_signal(signal.SIGHUP)
        ended = finish(process)
    assert (ended.status, len(ended.rows)) == (0, 2)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("words", [["-"], ["-", "--plan"], ["-", "-o", "o.csv", "--resume"]])
def test_a_stop_while_the_list_is_awaited(tmp_path: Path, name: str, words: list[str]) -> None:
    """Where standard input gives nothing, a signal ends the command as ever: 130 and one line."""
    with start_command(*words, stdin=subprocess.PIPE, cwd=tmp_path) as process:
        status = Path(f"/proc/{process.pid}/status")
        wait_for(lambda: _hears(status, signal.SIGTERM))  # SIGINT is heard by Python itself from its start
        ended = stop(process, getattr(signal, name))
    assert ended.status == 130
    assert ended.err.count("\n") == 1


def _hears(status: Path, number: int) -> bool:
    """Whether the process catches the signal, where the system tells."""
    if not status.exists():
        time.sleep(1)
        return True
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_a_stop_while_more_of_the_list_may_come(server: Server) -> None:
    """A feeder that is stuck in reading standard input does not keep the interpreter from ending."""
    before = len(server.log)
    with start_command("-q", stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write((server.url("/ok") + "\n").encode())
        process.stdin.flush()
        server.wait_until(lambda: len(server.log) > before)
        time.sleep(0.3)  # for its row to be written
        ended = stop(process, signal.SIGINT)
    assert (ended.status, len(ended.rows)) == (130, 1)
    assert "Fatal" not in ended.err


def test_a_reader_that_leaves_ends_the_run(server: Server, tmp_path: Path) -> None:
    """A closed pipe is noticed within the time of a stop, though all workers are stuck and no row comes."""
    write_list(tmp_path, server, ok=1, stuck=100)
    with start_command("my urls.txt", "-q", "-w", "100", cwd=tmp_path) as process:
        assert process.stdout
        assert b",200," in process.stdout.readline() + process.stdout.readline()
        process.stdout.close()
        began = time.monotonic()
        assert process.wait(20) == 130
        assert process.stderr
        assert process.stderr.read() == b"interrupted: 1 rows are kept\n"
    assert time.monotonic() - began < SECONDS


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["/ok", "-q"], ["/ok", "-q", "-o", "/dev/full"], ["/ok", "--plan"], ["--explain"]])
def test_a_full_disk_is_told_once(server: Server, words: list[str]) -> None:
    """What cannot be written ends with exit status 3 and one line."""
    words = [server.url(word) if word == "/ok" else word for word in words]
    with FULL.open("wb") as full:
        ended = run_command(*words, stdout=full)
    assert ended.status == 3
    assert ended.err.count("\n") == 1
    assert "no space left" in ended.err.lower()


def test_a_disk_that_fills_up_keeps_whole_rows(server: Server, tmp_path: Path) -> None:
    """Where a file may not grow any more the run ends with 3, its rows are whole, and it says how to go on."""
    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    write_list(tmp_path, server, ok=500, stuck=0)
    ended = run_command("my urls.txt", "-q", "-o", "o.csv", "--no-dedupe", cwd=tmp_path, preexec_fn=limit)
    assert ended.status == 3
    assert 50 < len(read_csv(tmp_path / "o.csv")) < 500
    assert sum("error" in line for line in ended.err.splitlines()) == 1
    assert "to go on: " in ended.err


def test_a_file_that_is_removed_ends_the_run(server: Server, tmp_path: Path) -> None:
    """Rows are not written where nobody can find them."""
    write_list(tmp_path, server, ok=0, stuck=1)
    urls = tmp_path / "my urls.txt"
    before = len(server.log)
    with start_command(urls, "-q", "-o", "o.csv", "--max-time", "0.5", "--retries", "0", cwd=tmp_path) as process:
        server.wait_until(lambda: len(server.log) > before)
        wait_for((tmp_path / "o.csv").exists)  # a request of an earlier test's run may come late
        (tmp_path / "o.csv").unlink()
        ended = finish(process)
    assert ended.status == 3
    assert "it was removed" in ended.err


def test_a_file_that_another_program_saves_ends_the_run(server: Server, tmp_path: Path) -> None:
    """Rows that an editor's save has taken away are not passed over: the exit status tells, and how to go on."""
    write_list(tmp_path, server, ok=5, stuck=1)
    output = tmp_path / "o.csv"
    with start_command("my urls.txt", "-q", "-o", "o.csv", "--max-time=1", "--retries=0", cwd=tmp_path) as process:
        wait_for(lambda: output.exists() and output.read_bytes().count(b"\r\n") > 1)
        save = tmp_path / "save.csv"
        save.write_bytes(output.read_bytes())
        save.replace(output)
        ended = finish(process)
    assert ended.status == 3
    assert "another program has changed it" in ended.err
    ended = run_command("my urls.txt", "-q", "-o", "o.csv", "--max-time=1", "--retries=0", "--resume", cwd=tmp_path)
    assert (ended.status, len(read_csv(output))) == (0, 6)


def test_what_cannot_be_gone_on_with_is_not_said_to_be(server: Server, tmp_path: Path) -> None:
    """Without the columns row and url no line tells how to go on."""
    write_list(tmp_path, server, ok=1, stuck=8)
    before = len(server.log)
    with start_command("my urls.txt", "-o", "o.csv", "--columns", "url,status", cwd=tmp_path) as process:
        server.wait_until(lambda: len(server.log) - before >= 9)
        ended = stop(process, signal.SIGINT)
    assert "are kept" in ended.err
    assert "to go on" not in ended.err


def test_the_line_to_go_on_is_right_when_pasted(server: Server, tmp_path: Path) -> None:
    """The command that a stopped run names goes on with it, with blanks and quotes in names, whatever started it."""
    write_list(tmp_path, server, ok=5, stuck=3)
    before = len(server.log)
    words = ["my urls.txt", "--max-time", "0.2", "--retries", "0", "-o", "it's mine.csv", "--overwrite"]
    with start_command("--max-time", "60", *words[:1], *words[5:], cwd=tmp_path) as process:
        server.wait_until(lambda: len(server.log) - before >= 8)
        ended = stop(process, signal.SIGINT)
    pasted = ended.err.partition("to go on: ")[2].strip().replace("--max-time 60", "--max-time 0.2 --retries 0")
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    subprocess.run(pasted, shell=True, cwd=tmp_path, env=environ, timeout=20, check=True, capture_output=True)
    rows = read_csv(tmp_path / "it's mine.csv")
    assert [row["status"] for row in rows] == ["200"] * 5 + [""] * 3
    assert len(server.log) - before == 5 + 3 + 3


def test_the_line_to_go_on_keeps_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords and the values of own headers are not shown, in whatever way the option was typed."""
    monkeypatch.setattr("sys.argv", ["/somewhere/status-probe"])
    words = ["-H", "X: s3cret", "-kHX: s3cret", "--header=X: s3cret", "-H", "X :s3cret  ", "-H", "Y: 1", "-w", "1"]
    words += ["-x", "http://me:pass@p:1", "-o", "o", "u1"]
    line = command_to_resume(words, [("X", "s3cret"), ("Y", "1")])
    assert "s3cret" not in line
    assert "pass" not in line
    assert shlex.split(line)[:2] == ["/somewhere/status-probe", "--resume"]
    assert "--header=X: ***" in shlex.split(line)
    assert shlex.split(line)[-8:] == ["Y: ***", "-w", "1", "-x", "http://me:***@p:1", "-o", "o", "u1"]


def test_the_line_to_go_on_asks_again_what_failed() -> None:
    """A stopped --retry-failed has rows yet to ask again, which --resume alone would leave as they are."""
    words = ["u1", "--resume", "-o", "o", "--retry-failed"]
    assert shlex.split(command_to_resume(words))[-5:] == ["--resume", "u1", "-o", "o", "--retry-failed"]


@pytest.mark.parametrize(("word", "quoted"), [
    ("urls.txt", "urls.txt"),
    (r"C:\lists\urls.txt", r"C:\lists\urls.txt"),
    ("https://a/?x=1&y=2%20", '"https://a/?x=1&y=2%20"'),
    ("my list.txt", '"my list.txt"'), ("C:\\a&b\\", r'"C:\a&b\\"'),
    ("X: ***", '"X: ***"'),
    ('a"b', r'"a\"b"'),
    ("", '""'),
])  # fmt: skip
def test_the_line_to_go_on_is_quoted_for_windows(word: str, quoted: str) -> None:
    """What cmd.exe or PowerShell would act on stands in quotation marks."""
    assert quoted_for_windows(word) == quoted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells of a reader only when it is written to")
def test_a_reader_that_has_left_is_seen() -> None:
    """Only a pipe's reader can leave; a file that is none, or one that cannot be polled, has no reader."""
    readable, writable = os.pipe()
    with os.fdopen(writable, "w") as stream, Path(os.devnull).open("w", encoding="ascii") as nowhere:
        has_left = reader_watch(stream)
        assert not has_left()
        os.close(readable)
        assert has_left()
        assert not reader_watch(nowhere)()
        gone = os.dup(nowhere.fileno())
        with os.fdopen(gone, "w") as lost:
            has_left = reader_watch(lost)
        assert not has_left()  # POLLNVAL, as macOS says of a terminal
    assert not reader_watch(None)()


def test_a_signal_is_heard_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of threads the run is stopped all the same."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with Stop(for_good=True) as stop:
            stop.only_note()
            signal.raise_signal(signal.SIGTERM)
            assert stop.asked
    finally:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
        signal.signal(signal.SIGTERM, before)


def test_a_first_signal_raises_and_later_ones_are_noted() -> None:
    """Only what waits at the start is broken off; signals are restored behind."""
    before = signal.getsignal(signal.SIGTERM)
    with Stop(for_good=False) as stop:
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
    with Stop(for_good=False) as stop:
        stop.only_note()
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def _break_off_what_cannot_clean_up() -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        raise LookupError


def test_a_signal_is_one_whatever_the_clean_up_of_others_makes_of_it() -> None:
    """A library that is broken off may fail in its own finally: that is no fault of ours to be told of."""
    with Stop(for_good=False) as stop:
        with pytest.raises(LookupError), stop.as_raised():
            raise LookupError
        with pytest.raises(Interrupted), stop.as_raised():
            _break_off_what_cannot_clean_up()
