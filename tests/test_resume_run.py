"""Runs that are killed and gone on with end in the file of an unbroken run."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Ended, finish, read_csv, run_command, same_row, start_command, wait_for
from tests.server import Request, Script, Server, answer, hang, pause

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent to POSIX processes")

LINES = 1200
WORKERS = 8
STATUSES = (200, 204, 301, 403, 404, 410, 451, 501)


def by_path(request: Request) -> Script:
    return [pause(0.002), answer(int(request.path.rpartition("/")[2]))]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(by_path, address="0.0.0.0") as server:
        yield server


def write_list(folder: Path, server: Server) -> None:
    """Write a CSV list with columns of its own: repeats, lines that are no URL, cells that a sheet would run."""
    chance = random.Random(1)
    lines = ["name,url,status"]
    for number in range(LINES):
        url = server.url(f"/{number}/{chance.choice(STATUSES)}", host=f"127.0.2.{chance.randrange(40) + 1}")
        if number % 50 == 7:
            url = lines[chance.randrange(1, len(lines))].split(",")[1]
        elif number % 90 == 8:
            url = f"no url {number}"
        lines.append(f"=n{number},{url},ä{number}")
    (folder / "urls.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def go_on(folder: Path, *words: str) -> Ended:
    return run_command("urls.csv", "-o", "out.csv", "-w", WORKERS, "-q", *words, cwd=folder)


def killed(folder: Path, server: Server, number: int, after: int) -> int:
    """Run until *after* more requests came, then send a signal; return the exit status."""
    seen = len(server.log)
    with start_command("urls.csv", "-o", "out.csv", "-w", WORKERS, "-q", "--resume", cwd=folder) as process:
        server.wait_until(lambda: len(server.log) - seen >= after, 20)
        process.send_signal(number)
        return finish(process).status


@pytest.mark.parametrize("seed", [1])
def test_a_run_killed_nine_times_ends_as_an_unbroken_one(server: Server, tmp_path: Path, seed: int) -> None:
    """Three times each by -9, TERM and INT, at any moments: the same rows in the same order, each asked once or so."""
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    for folder in (broken, whole):
        folder.mkdir()
        write_list(folder, server)
    before = len(server.log)
    assert go_on(whole).status == 0
    unbroken = len(server.log) - before

    chance = random.Random(seed)
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT] * 3
    chance.shuffle(signals)
    before = len(server.log)
    for number in signals:
        status = killed(broken, server, number, after=chance.randrange(1, 110))
        assert status == (-9 if number is signal.SIGKILL else 130)
    assert go_on(broken, "--resume").status == 0

    rows = [same_row(row) for row in read_csv(broken / "out.csv")]
    assert rows == [same_row(row) for row in read_csv(whole / "out.csv")]
    assert len(rows) == LINES
    assert len(server.log) - before <= unbroken + len(signals) * 4 * WORKERS
    assert {path.name for path in broken.iterdir()} == {"urls.csv", "out.csv"}


def test_a_finished_run_asks_nothing_again(server: Server, tmp_path: Path) -> None:
    """--resume on a whole file leaves it byte for byte, and no server is asked."""
    write_list(tmp_path, server)
    assert go_on(tmp_path).status == 0
    before, content = len(server.log), (tmp_path / "out.csv").read_bytes()
    ended = go_on(tmp_path, "--resume", "--fail")
    assert (ended.status, len(server.log)) == (1, before)  # rows of before count for --fail
    assert (tmp_path / "out.csv").read_bytes() == content


def test_rows_without_a_status_are_asked_again_when_wanted(server: Server, tmp_path: Path) -> None:
    """--retry-failed replaces what failed, in its place, and asks nothing else."""
    ok, dead = server.url("/1/200"), server.url("/2/204", host="gone.test")
    (tmp_path / "urls.csv").write_text(f"url\n{dead}\n{ok}\n")
    (tmp_path / "hosts").write_text("127.0.0.1 gone.test\n")
    words = ["--connect-timeout", "1", "--retries", "0", "--hosts"]
    (tmp_path / "wrong").write_text("::1 gone.test\n")  # where the server does not listen
    assert go_on(tmp_path, *words, "wrong", "--max-time", "2").status == 0
    assert [row["status"] for row in read_csv(tmp_path / "out.csv")] == ["", "200"]
    before = len(server.log)
    assert go_on(tmp_path, *words, "hosts", "--resume", "--retry-failed").status == 0
    assert [row["status"] for row in read_csv(tmp_path / "out.csv")] == ["204", "200"]
    assert server.targets[before:] == ["/2/204"]


def test_a_list_on_standard_input_can_be_gone_on_with(server: Server, tmp_path: Path) -> None:
    """The same list given again on standard input is matched with the rows there are."""
    urls = "".join(server.url(f"/{n}/200") + "\n" for n in range(20))
    words = ["-o", "out.csv", "-q"]
    assert run_command(*words, given=urls[: len(urls) // 2].rpartition("\n")[0].encode(), cwd=tmp_path).status == 0
    before = len(server.log)
    assert run_command(*words, "--resume", given=urls.encode(), cwd=tmp_path).status == 0
    assert len(read_csv(tmp_path / "out.csv")) == 20
    assert len(server.log) - before < 20


@pytest.mark.parametrize("columns", ["row,url", "row,url,status", "url,row,verdict,error"])
def test_a_narrow_report_can_be_gone_on_with(server: Server, tmp_path: Path, columns: str) -> None:
    """Where columns were left out --resume knows the lines by row and url, also those listed twice."""
    first, second = server.url("/1/200"), server.url("/2/404")
    (tmp_path / "urls.csv").write_text(f"url\n{first}\n")
    assert go_on(tmp_path, "--columns", columns).status == 0
    (tmp_path / "urls.csv").write_text(f"url\n{first}\n{second}\n{first}\n")
    before = len(server.log)
    ended = go_on(tmp_path, "--columns", columns, "--resume")
    assert (ended.status, ended.err) == (0, "")
    assert [row["url"] for row in read_csv(tmp_path / "out.csv")] == [first, second, first]
    assert "/2/404" in server.targets[before:]


def test_a_changed_cell_that_the_run_meets_ends_it(server: Server, tmp_path: Path) -> None:
    """Requests may have been made by then, so the exit status is that of a run that could not be completed."""
    first, second = server.url("/1/200"), server.url("/2/404")
    (tmp_path / "urls.csv").write_text(f"url\n{first}\n")
    words = ["--columns", "url,row,elapsed_ms"]
    assert go_on(tmp_path, *words).status == 0
    output = tmp_path / "out.csv"
    output.write_bytes(re.sub(rb",2,[0-9]+,", b",2,soon,", output.read_bytes()))
    (tmp_path / "urls.csv").write_text(f"url\n{first}\n{second}\n")
    ended = go_on(tmp_path, *words, "--resume")
    assert ended.status == 3
    assert "'soon' stands under elapsed_ms" in ended.err
    assert "1 rows are kept" in ended.err


@pytest.mark.parametrize("how", ["--resume", "--overwrite"])
def test_two_runs_do_not_write_one_file(tmp_path: Path, how: str) -> None:
    """A second run on the file of one that lasts is refused before it asks; when that one is killed it may go on."""
    output = tmp_path / "out.csv"
    with Server({"/1": answer(204), "/2": hang()}) as server:
        urls = [server.url("/1"), server.url("/2")]
        with start_command(*urls, "-o", output, "-q") as first:
            try:
                wait_for(lambda: output.exists() and b",204,ok," in output.read_bytes())
                server.wait_until(lambda: len(server.log) == 2)
                content = output.read_bytes()
                second = run_command(*urls, "-o", output, "-q", how)
            finally:
                first.kill()
        assert (second.status, second.err.count("\n"), output.read_bytes()) == (2, 1, content)
        assert "another run" in second.err
        assert len(server.log) == 2
    with Server(answer(204), port=server.port):
        assert run_command(*urls, "-o", output, "-q", how).status == 0
    assert [row["status"] for row in read_csv(output)] == ["204", "204"]
