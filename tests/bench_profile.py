"""Where the CPU of a run goes, by room: the part of the benchmark behind --profile.

Three views of the same work.  cProfile over one thread that asks all URLs is exact in calls and about twice too slow;
py-spy samples all threads of the whole process, wherever they do not sleep; strace counts system calls, and its
``futex`` how often threads waited for one another, mostly for the interpreter's lock.
The last two are used where they are installed.
"""

from __future__ import annotations

import cProfile
import pstats
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

__all__ = ["print_profile"]

MOST = 14  # lines of a table
SAMPLES_A_SECOND = 500


def print_profile(title: str, command: Sequence[str], urls: int, folder: Path, root: Path) -> None:
    """Print the tables for *command*, a run of ours that asks so many *urls*."""
    print(f"### {title}: {urls:,} URLs\n")
    words = [str(folder / "profile.csv") if word == "OUTPUT" else word for word in command] + ["--overwrite"]
    place = words.index("-m")
    python = [*words[:place], "-m", "tests.bench_profile", *words[place + 2 :]]
    subprocess.run(python, cwd=root, check=True)
    if shutil.which("py-spy"):
        _print_samples(words, folder / "samples", root)
    if shutil.which("strace"):
        _print_calls(words, urls, folder / "calls", root)
    print(flush=True)


def _print_samples(command: Sequence[str], output: Path, root: Path) -> None:
    """Print where threads were seen at work, waits for the interpreter's lock in a system call included."""
    spy = ["py-spy", "record", "--format=raw", f"--rate={SAMPLES_A_SECOND}", f"--output={output}", "--nonblocking"]
    subprocess.run([*spy, "--", *command], cwd=root, check=True, capture_output=True)
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in output.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        ours = [frame for frame in stack.split(";") if "status_probe" in frame]
        frame = ours[-1] if ours else stack.split(";")[-1]
        functions[re.sub(r":\d+\)", ")", frame)] += int(count)
        rooms[_room(frame)] += int(count)
    total = rooms.total()
    print("| room | share of the samples |\n|---|---|")
    for name, count in rooms.most_common(MOST):
        print(f"| {name} | {count / total:.0%} |")
    print("\n| function, what it calls elsewhere included | share |\n|---|---|")
    for name, count in functions.most_common(MOST):
        print(f"| {name} | {count / total:.1%} |")
    print()


def _print_calls(command: Sequence[str], urls: int, output: Path, root: Path) -> None:
    subprocess.run(["strace", "-f", "-c", "-o", str(output), *command], cwd=root, check=True, capture_output=True)
    print("| system call | a URL |\n|---|---|")
    for line in output.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and int(words[3]) >= urls / 100 and words[-1] != "total":
            print(f"| {words[-1]} | {int(words[3]) / urls:.2f} |")
    print()


def _room(place: str) -> str:
    found = re.search(r"status_probe/(\w+)", place)
    return found[1] if found else "libraries"


# In a process of its own


def main() -> None:
    """Ask all URLs of a list in this one thread under cProfile, and print microseconds a URL by room."""
    from status_probe.arguments import parse_arguments
    from status_probe.options import Options
    from status_probe.run import open_probe
    from status_probe.sources import TargetList

    arguments = parse_arguments()
    known = Options.__dataclass_fields__
    options = Options(**{name: value for name, value in vars(arguments).items() if name in known})
    probe, session = open_probe(options)
    targets = list(TargetList(arguments.sources))
    warm = targets[:1] if targets[0].url.startswith("https:") else targets[:400]
    for target in warm:
        probe(target)
    profiler = cProfile.Profile()
    began, cpu = time.perf_counter(), time.process_time()
    profiler.enable()
    for target in targets:
        probe(target)
    profiler.disable()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    session.close()
    took, cpu = (value / len(targets) * 1e6 for value in (seconds, cpu))
    print(f"one thread under cProfile: {took:.0f} us a URL, {cpu:.0f} of CPU\n")
    _print_rooms(pstats.Stats(profiler), len(targets))


def _print_rooms(stats: pstats.Stats, urls: int) -> None:
    """Print own time by room; what is built in counts for the room that calls it."""
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if file != "~":
            rooms[_room(file)] += own
            functions[f"{_room(file)}.{name}"] += own
            continue
        for (caller, _, _), (_, _, part, _) in callers.items():
            rooms[_room(caller)] += part
            functions[f"{_room(caller)}: {name.strip('<>')}"] += part
    print("| room | us a URL |\n|---|---|")
    for name, seconds in rooms.most_common(MOST):
        print(f"| {name} | {seconds / urls * 1e6:.1f} |")
    print("\n| function | us a URL, its own |\n|---|---|")
    for name, seconds in functions.most_common(2 * MOST):
        print(f"| {name} | {seconds / urls * 1e6:.1f} |")
    print()


if __name__ == "__main__":
    sys.exit(main())
