"""The bar: when it is drawn, what it says, and that it never breaks a line."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from status_probe import console
from status_probe.progress import REFRESH, Bar
from status_probe.records import Outcome, Result
from status_probe.tally import Tally

EVERY_CLASS = (
    [(Outcome.OK, 200)] * 7
    + [(Outcome.REDIRECT, 304), (Outcome.CLIENT_ERROR, 404), (Outcome.SERVER_ERROR, 500), (Outcome.DNS_ERROR, None)]
)  # fmt: skip


class Terminal(io.TextIOWrapper):
    """A terminal that only remembers what was written."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, newline="")

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)

    @property
    def lines(self) -> list[str]:
        """All that was drawn, each drawing over another being a line."""
        return [line.rstrip() for line in self.written.replace("\n", "\r").split("\r") if line.strip()]


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "121")


def tally_of(*kinds: tuple[Outcome, int | None]) -> Tally:
    tally = Tally()
    for outcome, status in kinds:
        tally.add(Result(1, "http://h/", status, outcome), "h")
    return tally


@pytest.mark.usefixtures("wide")
def test_the_bar_shows_total_time_speed_and_counts(clock: Clock) -> None:
    """With a known total: share, rows of total, time passed and left, rows a second, and each class that came."""
    terminal = Terminal()
    bar = Bar(terminal, total=44, clock=clock)
    bar.advance(0, Tally())
    clock.now += 11
    bar.advance(11, tally_of(*EVERY_CLASS))

    line = terminal.lines[-1]
    assert line.startswith(" 25%|█")
    assert line.endswith("| 11/44 [00:11<00:33,  1.00 URL/s, ok 7 redirect 1 4xx 1 5xx 1 failed 1]")


@pytest.mark.usefixtures("wide")
def test_the_bar_of_an_unknown_total_shows_what_is_known(clock: Clock) -> None:
    """Without a total there is no bar and no time left, but rows, speed and counts; a total may come later."""
    terminal = Terminal()
    bar = Bar(terminal, total=None, clock=clock)
    bar.advance(0, Tally())
    clock.now += 2
    bar.advance(1, tally_of((Outcome.OK, 200)))
    clock.now += 2
    bar.set_total(4)
    bar.advance(1, tally_of((Outcome.OK, 200)))

    assert terminal.lines[-2] == "1 [00:02,  0.50 URL/s, ok 1]"
    assert "| 2/4 [" in terminal.lines[-1]


@pytest.mark.usefixtures("wide")
def test_rows_done_before_count_as_done_but_not_as_speed(clock: Clock) -> None:
    """A resumed run starts where the last one ended, and its time left is by what it does itself."""
    terminal = Terminal()
    bar = Bar(terminal, total=100, initial=80, clock=clock)
    bar.advance(0, Tally())
    clock.now += 10
    bar.advance(10, tally_of((Outcome.OK, 200)))

    assert "| 90/100 [00:10<00:10,  1.00 URL/s" in terminal.lines[-1]
    bar.close()
    assert "| 90/100 [00:10<00:10,  1.00 URL/s" in terminal.lines[-1]


def test_a_list_that_grows_is_no_more_than_whole(clock: Clock) -> None:
    """Rows beyond the total that was counted before raise the total, and the bar stays a bar."""
    terminal = Terminal()
    bar = Bar(terminal, total=2, clock=clock)
    bar.advance(3, Tally())

    assert terminal.lines[-1].startswith("100%|█")
    assert "| 3/3 " in terminal.lines[-1]


def test_drawing_is_rare(clock: Clock) -> None:
    """However often rows come, the bar is drawn once each REFRESH seconds, and every row is counted."""
    terminal = Terminal()
    bar = Bar(terminal, total=5000, clock=clock)
    tally = tally_of((Outcome.OK, 200))
    for _ in range(1000):
        clock.now += REFRESH / 100
        bar.advance(1, tally)

    assert 9 <= len(terminal.lines) <= 11
    assert "/5000" in terminal.lines[-1]
    bar.close()
    assert "| 1000/5000 " in terminal.lines[-1]


@pytest.mark.usefixtures("wide")
def test_speed_is_that_of_late_and_falls_when_nothing_comes(clock: Clock) -> None:
    """After a fast start the time left follows the slow rows of the end, yet a standstill does not make it absurd."""
    terminal = Terminal()
    bar = Bar(terminal, total=10_100, clock=clock)
    tally = tally_of((Outcome.OK, 200))
    for rows, seconds in [(100, 100), (1, 100), (0, 1000)]:
        for _ in range(seconds):
            clock.now += 1
            bar.advance(rows, tally)
    speeds = [float(line.rsplit(",", 2)[1].removesuffix(" URL/s")) for line in terminal.lines[1:]]

    assert speeds[98] == pytest.approx(100)
    assert 1 < speeds[198] < 10
    assert speeds[-1] == pytest.approx(10_100 / 1200 / 10, abs=0.01)


@pytest.mark.usefixtures("wide")
def test_the_last_state_is_left_on_the_screen_with_the_mean_speed(clock: Clock) -> None:
    """Closing draws what the throttle held back, ends the line, and may be done twice."""
    terminal = Terminal()
    bar = Bar(terminal, total=20, clock=clock)
    tally = tally_of((Outcome.OK, 200))
    bar.advance(1, tally)
    clock.now += 10
    bar.advance(1, tally)
    bar.advance(18, tally, "waiting")
    bar.close()
    bar.close()

    assert terminal.written.endswith("\n")
    assert terminal.written.count("\n") == 1
    assert "| 20/20 [00:10<00:00,  2.00 URL/s, ok 1]" in terminal.lines[-1]


@pytest.mark.parametrize(("total", "start"), [(10, "  0% 0/10, "), (None, "0, ")])
def test_a_note_takes_the_place_of_the_counts(clock: Clock, total: int | None, start: str) -> None:
    """What the run waits for is told in the line, without control characters, and cut to fit."""
    terminal = Terminal()
    bar = Bar(terminal, total=total, clock=clock)
    bar.advance(0, Tally(), "waiting for http://h/\x1b[2J 12 s")
    clock.now += 1
    bar.advance(0, Tally(), "waiting for http://h/" + "x" * 100)

    assert terminal.lines[0] == start + r"waiting for http://h/\x1b[2J 12 s"
    assert terminal.lines[1].startswith(start + "waiting for http://h/xxx")
    assert terminal.lines[1].endswith("...")
    assert console.columns(terminal.lines[1]) == 79


def test_a_line_is_written_above_the_bar(clock: Clock) -> None:
    """The bar is blanked, the line takes its place whole and without control characters, and the bar comes back."""
    terminal = Terminal()
    bar = Bar(terminal, total=2, clock=clock)
    bar.advance(1, Tally())
    before = terminal.written
    bar.write("404 http://h/\x07")
    bar.write("second")
    after = terminal.written.removeprefix(before)
    bar.advance(0, Tally())

    assert after == "\r" + " " * 79 + "\r404 http://h/\\x07\nsecond\n"
    assert "| 1/2 " in terminal.lines[-1]


@pytest.mark.parametrize("enabled", [True, False])
def test_no_bar_where_nobody_looks(clock: Clock, enabled: bool) -> None:
    """A stream that is no terminal, or a run told to be quiet, gets lines but no bar; no stream gets nothing."""
    stream = Terminal() if not enabled else io.StringIO()
    for target in (stream, None):
        bar = Bar(target, total=2, enabled=enabled, clock=clock)
        bar.advance(1, Tally())
        bar.write("a line")
        bar.close()

    assert (stream.written if isinstance(stream, Terminal) else stream.getvalue()) == "a line\n"


@given(
    st.sampled_from(["utf-8", "gbk", "cp1252", "ascii"]),
    st.sampled_from(["en", "zh"]),
    st.integers(1, 130),
    st.sampled_from([None, 0, 3, 5_000, 10_000_000]),
    st.sampled_from(["", "等待 https://例子.测试/ 12 秒"]) | st.text(st.characters()),
)
def test_no_line_is_wider_than_the_terminal(encoding: str, lang: str, width: int, total: int | None, note: str) -> None:
    """Whatever the encoding, language, width, total and note: one line, of no more than its columns, and no error."""
    clock, terminal = Clock(), Terminal(encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width + 1))
        bar = Bar(terminal, total=total, lang=lang, clock=clock)
        tally = tally_of(*EVERY_CLASS * 3)
        for rows in (0, 33, 4000):
            clock.now += 3000
            bar.advance(rows, tally, note if rows else "")
        bar.close()

    lines = terminal.written.removesuffix("\n").split("\r")[1:]
    assert len(lines) == 4
    assert {console.columns(line) for line in lines} == {width}


@pytest.mark.parametrize(("encoding", "filled"), [("utf-8", "|█████"), ("gbk", "|#####"), ("cp1252", "|#####")])
def test_the_bar_is_of_blocks_only_where_they_are_one_column(clock: Clock, encoding: str, filled: str) -> None:
    """Windows' code pages lack the blocks or draw them two columns wide, so the bar is of # there."""
    terminal = Terminal(encoding)
    bar = Bar(terminal, total=2, clock=clock)
    bar.advance(1, Tally())

    assert filled in terminal.lines[-1]


@pytest.mark.parametrize(("encoding", "words"), [("gbk", "正常 7 重定向 1"), ("cp1252", "ok 7 redirect 1")])
def test_the_counts_follow_the_language_where_the_stream_can(clock: Clock, encoding: str, words: str) -> None:
    """Chinese words are shown where the terminal has them, English ones instead of escapes where not."""
    terminal = Terminal(encoding)
    bar = Bar(terminal, total=20, lang="zh", clock=clock)
    bar.advance(11, tally_of(*EVERY_CLASS))

    assert words in terminal.lines[-1]


@pytest.mark.parametrize(
    ("width", "shown"), [(120, "URL/s, ok 7"), (79, ", ok 7"), (39, "[00:00<"), (24, "|"), (12, "5/5000")]
)
def test_a_narrow_terminal_keeps_what_matters_most(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, width: int, shown: str
) -> None:
    """The narrower it is, the more is left out: first the speed, then the counts, the times, and last the bar."""
    monkeypatch.setenv("COLUMNS", str(width + 1))
    terminal = Terminal()
    bar = Bar(terminal, total=5000, clock=clock)
    bar.advance(5, tally_of(*EVERY_CLASS))

    assert shown in terminal.lines[-1]
    assert "5/5000" in terminal.lines[-1]


def test_a_closed_terminal_ends_no_run(clock: Clock) -> None:
    """A terminal that goes away in the middle is no error."""
    terminal = Terminal()
    bar = Bar(terminal, total=2, clock=clock)
    bar.advance(1, Tally())
    terminal.close()
    clock.now += 1
    bar.advance(1, Tally())
    bar.write("a line")
    bar.close()


def test_the_bar_starts_no_thread(clock: Clock) -> None:
    """tqdm's monitor is never started."""
    before = threading.active_count()
    bar = Bar(Terminal(), total=2, clock=clock)
    bar.advance(1, tally_of((Outcome.OK, 200)))

    assert threading.active_count() == before


def test_tqdm_is_loaded_when_a_bar_is_drawn_and_not_before() -> None:
    """A run without a bar, or --help, does not pay for it."""
    script = (
        "import io, sys; from status_probe.progress import Bar; from status_probe.tally import Tally\n"
        "Bar(io.StringIO(), total=1).advance(1, Tally()); assert 'tqdm' not in sys.modules\n"
        "sys.stdout.isatty = lambda: True\n"
        "Bar(sys.stdout, total=1).advance(1, Tally()); assert 'tqdm' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_the_bar_follows_a_window_that_is_resized(clock: Clock) -> None:
    """On a real terminal each drawing fits the width of its moment, and fills it: nothing of the last one stays."""
    import pty

    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w", encoding="utf-8") as stream:
        bar = Bar(stream, total=5000, lang="zh", clock=clock)
        for columns in (100, 40, 20, 60):
            set_window_size(follower, columns)
            clock.now += 1
            bar.advance(1, tally_of(*EVERY_CLASS), "等待 https://例子.测试/" if columns == 20 else "")
            line = drawn(screen)
            assert line.startswith("\r")
            assert console.columns(line[1:]) == columns - 1


def set_window_size(descriptor: int, columns: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def drawn(screen: io.FileIO) -> str:
    """Return what a pseudo-terminal got, up to a silence; the wait has a limit."""
    data = b""
    while select.select([screen], [], [], 0.05 if data else 5)[0]:
        data += screen.read(4096)
    return data.decode()
