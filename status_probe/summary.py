"""The summary at the end of a run, sized to the terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TextIO

from . import codes, console
from .tally import Tally

__all__ = ["print_summary"]

TROUBLES = 5  # kinds of failure that are shown
PERCENTILES = (50, 90, 99)

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "none": "no rows",
        "one": "1 URL in {time}",
        "many": "{rows:,} URLs in {time}, {speed} a second",
        "more": "{rows:,} URLs, {new:,} of them in {time}, {speed} a second",
        "known": "{rows:,} URLs, all asked before",
        "seconds": "{:.1f} s",
        "minutes": "{} min {:02} s",
        "hours": "{} h {:02} min",
        "statuses": "status",
        "outcomes": "outcome",
        "times": "answered in",
        "slowest": "slowest",
        "troubles": "commonest failures, each with an example",
        "where": "rows are in ",
    },
    "zh": {
        "none": "没有结果",
        "one": "共检查 1 个网址，用时 {time}",
        "many": "共检查 {rows:,} 个网址，用时 {time}，平均每秒 {speed} 个",
        "more": "共检查 {rows:,} 个网址，其中本次 {new:,} 个，用时 {time}，平均每秒 {speed} 个",
        "known": "共 {rows:,} 个网址，此前均已检查",
        "seconds": "{:.1f} 秒",
        "minutes": "{} 分 {:02} 秒",
        "hours": "{} 小时 {:02} 分",
        "statuses": "状态码",
        "outcomes": "结果",
        "times": "响应时间",
        "slowest": "最慢主机",
        "troubles": "最常见的问题及示例",
        "where": "结果已保存到 ",
    },
}


class _Page(NamedTuple):
    """How a summary is to be written."""

    lang: str
    width: int  # columns
    block: str  # what bars are made of
    times: str  # the sign for "so many times"

    def word(self, name: str) -> str:
        """Return the words that stand under *name* in WORDS."""
        return WORDS[self.lang][name]

    def counted(self, counts: Iterable[tuple[object, int]]) -> list[str]:
        """Return each name with its count, as ``404 ×12``."""
        return [f"{name} {self.times}{count:,}" for name, count in counts]


def print_summary(
    tally: Tally,
    stream: TextIO | None,
    *,
    lang: str,
    seconds: float,
    where: str,
    earlier: int = 0,
    width: int | None = None,
) -> None:
    """Write what a run of *seconds* found, in at most *width* columns (None: what the terminal has).

    *earlier* of the rows are those of an earlier run.  *where* names the file that holds the rows; nothing is said of
    it where it is empty.  The names of outcomes and the statuses are those of the CSV in each language, so that one can
    filter by them.
    """
    signs = ("█", "×") if console.has_blocks(stream) else ("#", "x")
    page = _Page(console.language_for(stream, lang), width or console.terminal_width(stream), *signs)
    for line in _sections(tally, page, seconds, earlier):
        console.say(stream, console.cut(console.encodable(console.plain(line), stream), page.width).rstrip())
    if where:  # a path is folded rather than cut, since one wants to copy it
        for line in console.fold(console.encodable(page.word("where") + console.plain(where), stream), page.width):
            console.say(stream, line)


def _sections(tally: Tally, page: _Page, seconds: float, earlier: int) -> Iterator[str]:
    yield from console.fold(_headline(tally.rows, page, seconds, earlier), page.width)
    if tally.rows:
        yield from _verdicts(tally, page)
        yield from _facts(tally, page)
        yield from _troubles(tally, page)


def _headline(rows: int, page: _Page, seconds: float, earlier: int) -> str:
    new = rows - earlier
    form = ("none", "one")[rows] if rows < 2 else "many" if not earlier else "more" if new else "known"
    speed = f"{new / max(seconds, 0.001):,.1f}"
    return page.word(form).format(rows=rows, new=new, time=_duration(seconds, page), speed=speed)


def _duration(seconds: float, page: _Page) -> str:
    if round(seconds, 1) < 60:
        return page.word("seconds").format(seconds)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return page.word("minutes").format(minutes, rest)
    return page.word("hours").format(*divmod(minutes, 60))


def _verdicts(tally: Tally, page: _Page) -> Iterator[str]:
    """Yield a bar for each verdict; where there is no room for bars, the counts and shares alone."""
    counts = tally.verdicts
    names = [codes.verdict_name(verdict, page.lang) for verdict in codes.VERDICTS]
    label = max(map(console.columns, names))
    digits = len(f"{max(counts.values()):,}")
    room = page.width - label - digits - len("     100.0%")
    for verdict, name in zip(codes.VERDICTS, names, strict=True):
        count = counts[verdict]
        share = count / tally.rows
        bar = console.pad(page.block * _length(share, room), room) + "  " if room > 0 else ""
        yield f"{console.pad(name, label)}  {bar}{count:{digits},} {share:6.1%}"


def _length(share: float, room: int) -> int:
    return max(round(share * room), 1) if share else 0  # a dead link among thousands is seen all the same


def _facts(tally: Tally, page: _Page) -> Iterator[str]:
    """Yield the lines of counts and times, each fact's name in front of the first."""
    percentiles = [(share, tally.percentile(share / 100)) for share in PERCENTILES]
    facts = {
        "statuses": page.counted(sorted(tally.statuses.items())),
        "outcomes": page.counted(tally.outcomes.most_common()),
        "times": [f"p{share} {ms:,} ms" for share, ms in percentiles if ms is not None],
        "slowest": [f"{host} {ms:,} ms" for host, ms in tally.slowest],
    }
    label = max(console.columns(page.word(name)) for name in facts)
    for name, items in facts.items():
        if items:
            yield from _filled(console.pad(page.word(name), label) + "  ", items, page.width)


def _filled(label: str, items: Iterable[str], width: int) -> Iterator[str]:
    """Yield lines of *items* two blanks apart, the first after *label*, the others as far in."""
    line, indent = label, " " * min(console.columns(label), width // 3)
    for item in items:
        if line != label and console.columns(line + item) > width:
            yield line.rstrip()
            line = label = indent
        line += item + "  "
    yield line.rstrip()


def _troubles(tally: Tally, page: _Page) -> Iterator[str]:
    """Yield the commonest failures: how often, what, what it means, and below it an example."""
    troubles = tally.troubles[:TROUBLES]
    if troubles:
        yield page.word("troubles")
    for trouble in troubles:
        meaning = codes.meaning(trouble.status, trouble.outcome, page.lang)
        (what,) = page.counted([(trouble.status or trouble.outcome, trouble.rows)])
        yield f"  {what}  {meaning}"
        yield f"    {trouble.example}"
