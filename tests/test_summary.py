"""The summary at the end of a run."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from status_probe import codes, console
from status_probe.records import Outcome, Result
from status_probe.summary import WORDS, print_summary
from status_probe.tally import Tally

ENCODINGS = ["utf-8", "gbk", "cp1252", "ascii"]


def tally_of(*results: tuple[str, int | None, Outcome, int | None, str]) -> Tally:
    """Return a tally of (url, status, outcome, milliseconds, verdict) each, the URL's host being "h" and its number."""
    tally = Tally()
    for n, (url, status, outcome, ms, verdict) in enumerate(results):
        tally.add(Result(n, url, status, outcome, elapsed_ms=ms, verdict=verdict), f"h{n}.example")
    return tally


MIXED = (
    ("http://h/1", 200, Outcome.OK, 10, "alive"),
    ("http://h/2", 200, Outcome.OK, 20, "alive"),
    ("http://h/3", 404, Outcome.CLIENT_ERROR, 30, "dead"),
    ("http://h/4", None, Outcome.CONNECT_TIMEOUT, None, "unsure"),
)


def summary(
    tally: Tally,
    *,
    lang: str = "en",
    width: int | None = 60,
    encoding: str = "utf-8",
    seconds: float = 2.0,
    where: str = "",
    earlier: int = 0,
) -> list[str]:
    """Return the lines of a summary written to a stream of *encoding*."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    print_summary(tally, stream, lang=lang, seconds=seconds, where=where, width=width, earlier=earlier)
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding).split("\n")[:-1]


def test_the_summary_in_english() -> None:
    """An English reader gets rows and time, a bar per verdict, counts, times, hosts, failures, and the file."""
    assert summary(tally_of(*MIXED), where="status.csv") == [
        "4 URLs in 2.0 s, 2.0 a second",
        "alive    ████████████████████                       2  50.0%",
        "moved                                               0   0.0%",
        "dead     ██████████                                 1  25.0%",
        "blocked                                             0   0.0%",
        "broken                                              0   0.0%",
        "unsure   ██████████                                 1  25.0%",
        "status       200 ×2  404 ×1",
        "outcome      ok ×2  client_error ×1  connect_timeout ×1",
        "answered in  p50 20 ms  p90 30 ms  p99 30 ms",
        "slowest      h2.example 30 ms  h1.example 20 ms",
        "             h0.example 10 ms",
        "commonest failures, each with an example",
        f"  404 ×1  {codes.meaning(404, 'client_error', 'en')}",
        "    http://h/3",
        f"  connect_timeout ×1  {codes.meaning(None, 'connect_timeout', 'en')}",
        "    http://h/4",
        "rows are in status.csv",
    ]


def test_rows_of_an_earlier_run_are_not_taken_for_speed() -> None:
    """What was there before counts as a row, but not for rows a second."""
    assert summary(tally_of(*MIXED), earlier=3)[0] == "4 URLs, 1 of them in 2.0 s, 0.5 a second"
    assert summary(tally_of(*MIXED), earlier=4)[0] == "4 URLs, all asked before"
    in_chinese = "共检查 4 个网址，其中本次 1 个，用时 2.0 秒，平均每秒 0.5 个"
    assert summary(tally_of(*MIXED), earlier=3, lang="zh")[0] == in_chinese
    assert summary(tally_of(*MIXED), earlier=4, lang="zh")[0] == "共 4 个网址，此前均已检查"


def test_the_summary_in_chinese() -> None:
    """A Chinese reader gets the same in Chinese, columns straight, with outcomes as they are in the CSV."""
    lines = summary(tally_of(*MIXED), lang="zh", where="status.csv")

    assert lines[0] == "共检查 4 个网址，用时 2.0 秒，平均每秒 2.0 个"
    assert {console.columns(line) for line in lines[1:7]} == {60}
    assert lines[1].startswith(codes.verdict_name("alive", "zh"))
    assert "结果      ok ×2  client_error ×1  connect_timeout ×1" in lines
    assert f"  404 ×1  {codes.meaning(404, 'client_error', 'zh')}" in lines
    assert lines[-1] == "结果已保存到 status.csv"


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (0.04, "0.0 s", "0.0 秒"),
        (59.94, "59.9 s", "59.9 秒"),
        (59.97, "1 min 00 s", "1 分 00 秒"),
        (754.2, "12 min 34 s", "12 分 34 秒"),
        (3599.7, "1 h 00 min", "1 小时 00 分"),
        (11_520, "3 h 12 min", "3 小时 12 分"),
    ],
)
def test_time_is_told_as_people_do(seconds: float, en: str, zh: str) -> None:
    """Seconds, then minutes, then hours; never 60 of a smaller unit."""
    assert f"4 URLs in {en}, " in summary(tally_of(*MIXED), seconds=seconds)[0]
    assert f"用时 {zh}，" in summary(tally_of(*MIXED), seconds=seconds, lang="zh")[0]


@pytest.mark.parametrize(("rows", "line"), [(0, "no rows"), (1, "1 URL in 2.0 s")])
def test_none_and_one_are_said_properly(rows: int, line: str) -> None:
    """Nothing is divided by no rows, and one is no plural."""
    assert summary(tally_of(*MIXED[:rows]))[0] == line


def test_a_rare_verdict_is_seen() -> None:
    """One dead link among ten thousand still has a mark."""
    tally = tally_of(*[MIXED[0]] * 9_999, MIXED[2])

    assert summary(tally)[3].startswith("dead     █  ")


def test_the_five_commonest_failures_are_shown() -> None:
    """A list with every fault there is gets a short summary all the same: the commonest, each with its first URL."""
    rows = [(f"http://h/{status}-{n}", status, Outcome.CLIENT_ERROR, 1, "dead") for status in range(400, 408)
            for n in range(status - 399)]  # fmt: skip
    lines = summary(tally_of(*rows))

    shown = [line.split()[0] for line in lines[lines.index(WORDS["en"]["troubles"]) + 1 :]]
    assert shown == ["407", "http://h/407-0", "406", "http://h/406-0", "405", "http://h/405-0",
                     "404", "http://h/404-0", "403", "http://h/403-0"]  # fmt: skip


def test_a_path_is_never_cut() -> None:
    """On a narrow terminal the place of the CSV goes over several lines, whole."""
    where = "/some/where/" + "long/" * 20 + "status.csv"

    lines = summary(tally_of(), where=where, width=30)

    assert "".join(lines).endswith(where)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_code_page_lacks_is_replaced(encoding: str) -> None:
    """Bars and signs are ASCII where the encoding is no Unicode, and Chinese gives way to English where it must."""
    lines = summary(tally_of(*MIXED), lang="zh", encoding=encoding)
    text = "\n".join(lines)

    assert ("#####" in text) == (encoding != "utf-8") == ("200 x2" in text)
    assert lines[0].startswith("共检查" if encoding in ("utf-8", "gbk") else "4 URLs")
    assert "\\" not in text


@given(
    st.lists(st.tuples(st.text(st.characters()), st.sampled_from([None, 200, 404, 999]), st.sampled_from(Outcome),
                       st.none() | st.integers(0, 10**9), st.sampled_from([*codes.VERDICTS, ""])), max_size=12),
    st.integers(2, 130), st.sampled_from(ENCODINGS), st.sampled_from(["en", "zh"]),
)  # fmt: skip
def test_no_line_is_wider_than_it_may_be(
    results: list[tuple[str, int | None, Outcome, int | None, str]], width: int, encoding: str, lang: str
) -> None:
    """Whatever URLs, hosts, counts, encoding and language: every line fits, is printable, and nothing raises."""
    tally = Tally()
    for n, (url, status, outcome, ms, verdict) in enumerate(results):
        tally.add(Result(n, url, status, outcome, elapsed_ms=ms, verdict=verdict), url)

    lines = summary(tally, lang=lang, width=width, encoding=encoding, where="例子.csv")

    assert all(console.columns(line) <= width and line.isprintable() for line in lines)


def test_the_width_is_the_terminals_if_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars end one column before the edge."""
    monkeypatch.setenv("COLUMNS", "50")

    assert console.columns(summary(tally_of(*MIXED), width=None)[1]) == 49


def test_both_languages_have_the_same_words() -> None:
    """No message is missing, or untranslated, in either language."""
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    assert not {*WORDS["en"].values()} & {*WORDS["zh"].values()}


@pytest.mark.parametrize("width", range(40, 90))
def test_no_fact_is_cut_where_there_is_room(width: int) -> None:
    """A line that is filled to its end has nothing behind its last item that would have it cut."""
    facts = [line for line in summary(tally_of(*MIXED * 7), width=width) if "×" in line or " ms" in line]
    assert not [line for line in facts if line.endswith("...") and line[0] != " "]
