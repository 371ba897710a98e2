"""What a run costs, beside other clients: python -m tests.bench_run [--quick] [SCENARIO ...]

Each contender is a command in a process of its own, start-up and a CSV of its own included, and all take their turns
in each round, so that whatever else the machine does hits them alike.  A figure is the median of the rounds; a run in
which one row is not 200 counts for nothing and ends the benchmark.  CPU is that of the process, user and system.

Servers are on this machine and share its cores with the client: only ratios within one table mean something.
Needs Unix, and trustme for the certificates; peers are measured where they are installed:
pip install trustme aiohttp uvloop httpx.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shlex
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .bench_peers import PEERS, is_installed
from .bench_process import ROOT, Usage, check, ours, run, started
from .bench_profile import print_profile
from .bench_servers import Sites, address, host_name, make_certificates, open_sites, python_server, silent_port

OURS = "status-probe"
ANSWER_SECONDS = 0.2
MAX_TIME = 5.0
EVERY = 33  # of so many URLs one is on a host that never answers
FULL_SIZES = {"https": 2_000, "http": 20_000, "slow100": 4_000, "slow400": 16_000, "silent": 2_000, "memory": 20_000}


class Work(NamedTuple):
    """What is to be asked, and by how many at once."""

    title: str
    urls: Sequence[str]
    workers: int
    peers: Sequence[str] = tuple(PEERS)
    options: Sequence[str] = ()  # for ours
    goals: Mapping[str, float] = {}  # by peer: how many times as fast ours is to be
    bound: float | None = None  # URLs a second that can be reached at most


class Bench:
    """The machine's part: folder, servers, contenders, rounds."""

    def __init__(self, wanted: argparse.Namespace, folder: Path, sites: Sites) -> None:
        self.wanted = wanted
        self.folder = folder
        self.sites = sites
        self.size = {name: max(100, int(size * wanted.scale)) for name, size in FULL_SIZES.items()}
        self.trees = {OURS: ROOT, **{Path(tree).name: Path(tree) for tree in wanted.against}}
        self.hosts = folder / "hosts"
        lines = [f"{address(n, one_address=sites.one_address)} {host_name(n)}\n" for n in range(self.size["https"])]
        self.hosts.write_text("".join(lines))

    def urls(self, count: int, hosts: int, port: int, scheme: str = "http") -> list[str]:
        """Return URLs of so many hosts, in turn, or host by host where that is wanted."""
        places = [n * hosts // count if self.wanted.grouped else n % hosts for n in range(count)]
        return [f"{scheme}://{host_name(place)}:{port}/bytes/500?n={n}" for n, place in enumerate(places)]

    def contenders(self, work: Work) -> dict[str, list[str]]:
        """Return a command for each, by name; OUTPUT stands for its file."""
        listed = self.folder / "list.txt"
        listed.write_text("\n".join(work.urls))
        given = (f"-w{work.workers}", "--per-host=4", f"--ca-bundle={self.folder}/authority.pem",
                 f"--hosts={self.hosts}", "--proxy=", "-q", *work.options)  # fmt: skip
        commands = {name: ours(str(listed), "-o", "OUTPUT", *given) for name in self.trees}
        for name in self.wanted.peers:
            if name in work.peers and is_installed(name):
                commands[name] = [
                    sys.executable, "-m", "tests.bench_peers", name, str(listed), "OUTPUT", f"--tasks={work.workers}",
                    f"--ca={self.folder}/authority.pem", f"--hosts={self.hosts}",
                ]  # fmt: skip
        return commands

    def measure(self, work: Work) -> dict[str, list[Usage]]:
        """Run all contenders in turn, round after round, there and back: a machine that slows down wrongs none."""
        commands = self.contenders(work)
        usages: dict[str, list[Usage]] = {name: [] for name in commands}
        for number in range(self.wanted.rounds):
            for name in [*commands][:: -1 if number % 2 else 1]:
                output = self.folder / f"{name.replace('/', '-')}.csv"
                output.unlink(missing_ok=True)
                words = [str(output) if word == "OUTPUT" else word for word in commands[name]]
                usages[name].append(run(words, self.trees.get(name, ROOT)))
                check(output, work.urls, name, may_fail="silent" in work.title)
        return usages


# The scenarios


def https(bench: Bench) -> None:
    """HTTPS, many hosts, one handshake each."""
    count = bench.size["https"]
    urls = bench.urls(count, count, bench.sites.https, "https")
    goals = {"aiohttp": 1.7, "aiohttp+uvloop": 1.5, "httpx": 3, "requests": 12}
    bench_table(bench, Work(f"HTTPS, {count:,} hosts, one handshake each", urls, 64, goals=goals))


def http(bench: Bench) -> None:
    """HTTP over kept connections, 200 hosts."""
    count = bench.size["http"]
    goals = {"aiohttp": 1.2, "aiohttp+uvloop": 1.1, "httpx": 8, "requests": 7}
    urls = bench.urls(count, 200, bench.sites.http)
    how = ", the list sorted by host" if bench.wanted.grouped else ""
    bench_table(bench, Work(f"HTTP kept alive, {count:,} URLs on 200 hosts{how}", urls, 64, goals=goals))


def slow100(bench: Bench) -> None:
    """Answers after 0.2 s, 100 workers."""
    _slow(bench, bench.size["slow100"], 100)


def slow400(bench: Bench) -> None:
    """Answers after 0.2 s, 400 workers."""
    _slow(bench, bench.size["slow400"], 400)


def _slow(bench: Bench, count: int, workers: int) -> None:
    with python_server("delayed", str(ANSWER_SECONDS)) as port:
        urls = bench.urls(count, min(200, bench.size["https"]), port)
        title = f"answers after {ANSWER_SECONDS} s, {count:,} URLs, {workers} workers"
        bench_table(bench, Work(title, urls, workers, ["aiohttp"], bound=workers / ANSWER_SECONDS))


def silent(bench: Bench) -> None:
    """Some hosts never answer."""
    count = bench.size["silent"]
    with silent_port() as port:
        hosts = min(count, bench.size["https"])
        urls = bench.urls(count, hosts, bench.sites.http)
        dead = urls[EVERY - 1 :: EVERY]
        for place, url in zip(range(EVERY - 1, count, EVERY), dead, strict=True):
            urls[place] = url.replace(f":{bench.sites.http}/", f":{port}/")
        title = f"{count:,} URLs, {len(dead)} of them on silent hosts, `--max-time {MAX_TIME:g}`"
        work = Work(title, urls, 64, [], options=[f"--max-time={MAX_TIME:g}"])
        usages = bench.measure(work)
        least = -(-len(dead) // work.workers) * MAX_TIME
        took = statistics.median(usage.seconds for usage in usages[OURS])
        print(f"### {title}\n\n{took:.2f} s; {least:g} s is the least with {work.workers} workers\n", flush=True)


def memory(bench: Bench) -> None:
    """Peak of memory by workers."""
    count = bench.size["memory"]
    print(f"### memory, {count:,} URLs on 200 hosts\n\n| workers | peak RSS |\n|---|---|")
    for workers in (32, 400):
        with python_server("delayed", "0.05") as port:
            usages = bench.measure(Work("memory", bench.urls(count, 200, port), workers, []))
        print(f"| {workers} | {max(usage.memory for usage in usages[OURS]) / 1e6:.0f} MB |", flush=True)
    print()


def start(bench: Bench) -> None:
    """What comes before the first request."""
    bare = _median_time([sys.executable, "-c", "pass"])
    print("### start-up\n\n| what | ms |\n|---|---|")
    print(f"| a bare interpreter | {bare * 1000:.0f} |")
    for option in ("--version", "--help"):
        print(f"| `{option}`, above that | {(_median_time(ours(option)) - bare) * 1000:.0f} |")
    firsts = [_first_request() for _ in range(max(5, bench.wanted.rounds))]
    print(f"| from the start to the first request at a server | {statistics.median(firsts) * 1000:.0f} |\n", flush=True)


def _median_time(command: Sequence[str]) -> float:
    return statistics.median(run(command).seconds for _ in range(11))


def _first_request() -> float:
    """Return the seconds from the start of a run until a server reads its request."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(30)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        began = time.perf_counter()
        with started(ours(url, "-q", "--proxy=")) as process:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                took = time.perf_counter() - began
                connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            process.wait(30)
    return took


SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "https": https, "http": http, "slow100": slow100, "slow400": slow400, "silent": silent, "start": start,
    "memory": memory,
}  # fmt: skip


# The tables


def bench_table(bench: Bench, work: Work) -> None:
    """Measure, and print a Markdown table; 'ours' is how many times as fast ours is, and what it is to be."""
    usages = bench.measure(work)
    count = len(work.urls)
    own = statistics.median(usage.seconds for usage in usages[OURS])
    print(f"### {work.title}\n")
    print("| client | URL/s | from - to | CPU a URL | peak RSS | ours is | goal |\n|---|---|---|---|---|---|---|")
    for name, of_rounds in usages.items():
        speeds = sorted(count / usage.seconds for usage in of_rounds)
        cpu = statistics.median(usage.cpu for usage in of_rounds) / count
        rss = max(usage.memory for usage in of_rounds)
        ratio = statistics.median(usage.seconds for usage in of_rounds) / own
        goal = f"{work.goals[name]:g} x" if name in work.goals else ""
        print(
            f"| {name} | {statistics.median(speeds):,.0f} | {speeds[0]:,.0f} - {speeds[-1]:,.0f} | {cpu * 1e6:,.0f} us "
            f"| {rss / 1e6:.0f} MB | {ratio:.2f} x | {goal} |"
        )
    if work.bound:
        print(f"\n{count / own / work.bound:.2f} of the {work.bound:,.0f} URL/s that so many workers can reach")
    print(flush=True)


def heading(wanted: argparse.Namespace, sites: Sites) -> str:
    """Return what was measured where."""
    load = f"load {os.getloadavg()[0]:.1f} before"
    machine = f"{_processor()}, {os.cpu_count()} cores shared with the server ({sites.what}), {load}"
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.release()}"
    command = shlex.join(["python", "-m", "tests.bench_run", *sys.argv[1:]])
    return f"`{command}`: medians of {wanted.rounds} rounds in turn\n\n{machine}; {python}\n"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        Path(name).chmod(0o755)  # nginx drops its rights
        yield Path(name)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_run", description=__doc__.partition("\n\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of URLs and hosts")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth: whether it works, no more")
    parser.add_argument("--grouped", action="store_true", help="lists are sorted by host, not hosts in turn")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS), help="default: %(default)s")
    parser.add_argument("--against", action="append", default=[], metavar="FOLDER", help="another checkout of ours")
    parser.add_argument("--nginx-workers", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="where our CPU goes, in place of the tables")
    wanted = parser.parse_args(argv)
    unknown = {*wanted.scenarios} - {*SCENARIOS}
    if unknown:
        parser.error(f"no scenario: {', '.join(unknown)}")
    if wanted.quick:
        wanted.rounds, wanted.scale = 1, 0.1
    return wanted


def main(argv: Sequence[str] | None = None) -> int:
    """Start the servers, measure what is wanted, print it."""
    wanted = parse(argv)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so servers end as on Ctrl-C
    with _folder() as folder:
        make_certificates(folder)
        with open_sites(folder, wanted.nginx_workers) as sites:
            bench = Bench(wanted, folder, sites)
            print(heading(wanted, sites), flush=True)
            if wanted.profile:
                profile(bench)
                return 0
            for name in wanted.scenarios or SCENARIOS:
                SCENARIOS[name](bench)
    return 0


def profile(bench: Bench) -> None:
    """Print where the CPU of our process goes."""
    count, hosts = bench.size["http"], bench.size["https"]
    kept = bench.urls(count, 200, bench.sites.http)
    cold = bench.urls(hosts, hosts, bench.sites.https, "https")
    for title, urls in (("HTTP kept alive", kept), ("HTTPS cold", cold)):
        command = bench.contenders(Work(title, urls, 64, []))[OURS]
        print_profile(title, command, len(urls), bench.folder, ROOT)


if __name__ == "__main__":
    sys.exit(main())
