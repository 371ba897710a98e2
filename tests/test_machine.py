"""This machine's own limits are no fault of the sites'."""

from __future__ import annotations

import collections
import csv
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from status_probe import machine, names
from status_probe.machine import ask_name_servers_soon, fit_to_limits
from status_probe.records import Outcome
from tests.asking import ask, ask_one
from tests.server import Server, answer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")

ROOT = Path(__file__).parent.parent


def run_limited(limits: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command under the *limits* of a shell, for half a minute at most."""
    command = ["sh", "-c", f'{limits} && exec "$@"', "sh", sys.executable, "-m", "status_probe", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_few_files_are_enough_for_many_hosts(tmp_path):
    """Two thousand hosts, fifty workers and 128 files: each row is right, and one message tells of the workers."""
    with Server(answer(410), address="0.0.0.0") as server:
        hosts = [f"127.{1 + number // 250}.1.{1 + number % 250}" for number in range(2000)]
        (tmp_path / "list.txt").write_text("".join(f"{server.url(host=host)}\n" for host in hosts))
        out = tmp_path / "rows.csv"
        options = ["-w", "50", "-o", str(out), "--lang", "en", "--proxy", ""]
        ended = run_limited("ulimit -n 128", str(tmp_path / "list.txt"), *options)
    assert ended.returncode == 0, ended.stderr
    with out.open(encoding="utf-8-sig", newline="") as file:
        outcomes = collections.Counter(row["outcome"] for row in csv.DictReader(file))
    assert outcomes == {"client_error": 2000}
    assert ended.stderr.count("workers fit") == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
@pytest.mark.parametrize("megabytes", [200, 600, 2000])
def test_little_memory_is_enough_for_many_hosts(tmp_path, megabytes):
    """As few workers begin as there are addresses for: each host has its row, and one message tells of the workers."""
    with Server(answer(410), address="0.0.0.0") as server:
        hosts = [f"127.{1 + number // 250}.1.{1 + number % 250}" for number in range(500)]
        (tmp_path / "list.txt").write_text("".join(f"{server.url(host=host)}\n" for host in hosts))
        options = ["-w", "600", "-o", str(tmp_path / "rows.csv"), "--lang", "en", "--proxy", ""]
        ended = run_limited(f"ulimit -v {megabytes}000", str(tmp_path / "list.txt"), *options)
    assert ended.returncode == 0, ended.stderr
    with (tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        outcomes = collections.Counter(row["outcome"] for row in csv.DictReader(file))
    assert outcomes == {"client_error": 500}
    assert ended.stderr.count("workers fit") == 1
    assert "Traceback" not in ended.stderr


def test_out_of_files_is_our_own_fault():
    """Where no file is left even for one connection the row is local_error, and no later row suffers."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Server(answer(200)) as server:
        hosts = {"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1", "127.0.0.2"]}
        urls = [server.url(), server.url(host="a.test"), server.url(host="b.test"), "http://c.invalid/"]
        ask_one(server.url())  # so that all modules are loaded
        with Path("/dev/null").open() as lowest:
            limit = lowest.fileno()
        from status_probe.options import Options
        from status_probe.records import Target
        from status_probe.run import open_probe

        probe, session = open_probe(Options(proxy="", hosts=hosts, connect_timeout=2.0))
        with session:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            try:
                rows = [probe(Target(0, 1, url)) for url in urls]
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert probe(Target(0, 1, urls[0])).result.status == 200
    assert [row.result.outcome for row in rows] == [Outcome.LOCAL_ERROR] * 4
    assert all(row.passing for row in rows)


def test_there_is_room_for_the_look_ups_of_silent_names():
    """Each is left after 5 s and goes on for 30: those of all workers leave room for live names."""
    for workers in (1, 32, 64):
        assert fit_to_limits(workers).look_ups >= workers * 30 / 5 + workers


def test_few_files_leave_room_for_look_ups():
    """Where files are few, few workers have more look-ups than two each all the same."""
    print_fit = "from status_probe.machine import fit_to_limits as fit; print(fit(1).look_ups, fit(500).look_ups)"
    command = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", sys.executable, "-c", print_fit]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    few, many = map(int, told.split())
    assert few >= 64
    assert many <= 200


def test_out_of_threads_for_look_ups_is_our_own_fault(monkeypatch):
    """A look-up for which no thread can be started is local_error, not dns_error."""
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(names.threading.Thread, "start", refuse)
    assert ask("http://unknown.invalid/")[0].outcome is Outcome.LOCAL_ERROR


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc reads it")
@pytest.mark.parametrize("argv", ["None", "['-q', 'no-url']"])
def test_only_a_process_of_its_own_is_tuned(argv):
    """The command has name servers asked again; a program that calls it keeps its environment."""
    script = (
        "import os, sys\nfrom status_probe import cli, machine\nmachine.RESOLVER = machine.Path(os.devnull)\n"
        f"sys.argv[1:] = ['-q', '-']\ncli.main({argv})\nprint('RES_OPTIONS' in os.environ)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, input="", capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.stdout.splitlines()[-1] == str(argv == "None")


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc reads it")
@pytest.mark.parametrize(("file", "variable", "expected"), [
    ("nameserver 127.0.0.1\n", None, "timeout:2 attempts:5"),
    ("options rotate\n# timeout:1\n", None, "timeout:2 attempts:5"),
    ("options ndots:1 timeout:3\n", None, None),
    ("options attempts:3\n", None, None),
    ("nameserver 127.0.0.1\n", "ndots:2", "ndots:2"),
    (None, None, None),
])  # fmt: skip
def test_name_servers_are_asked_again_within_the_connect_timeout(tmp_path, monkeypatch, file, variable, expected):
    """Times that somebody has set stay, and where there is no such file nothing is known of the resolver."""
    monkeypatch.setattr(machine, "RESOLVER", tmp_path / "resolv.conf")
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    if variable:
        monkeypatch.setenv("RES_OPTIONS", variable)
    if file:
        (tmp_path / "resolv.conf").write_text(file)
    ask_name_servers_soon(7.5)
    assert os.environ.get("RES_OPTIONS") == expected
