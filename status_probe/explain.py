"""``--explain``: what codes mean; and what a URL answers, by which method and to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from . import codes
from .console import columns, cut, pad, plain
from .options import USER_AGENT, Options
from .records import Result, Target
from .urls import redact

__all__ = ["explain"]

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)

WIDEST = 100  # columns: longer lines are hard to read
INDENT = "    "
PLACES = (6, 12, 17, 6)  # columns of the table but the last; the longest outcome has 17
# A word, or a character of Chinese, with the blanks before it and the marks that must not be parted from it.
_PIECES = re.compile(r" *[“（《]*(?:[^ “”（）《》\u2e80-\uffff]+|.)[，。、；：？！”）》]*")

_HEADS = {
    "en": ("method", "asked as", "status", "ms", "what it is"),
    "zh": ("方法", "身份", "状态", "毫秒", "含义"),
}
_WORDS = {
    "en": {
        "source": "source: {source}", "nonstandard": "source: {source} (not in the IANA registry)",
        "browser": "a browser",
        "same": "all four agree: the defaults are right for this URL",
        "works": "what works: {options}", "none": "nothing of this gets a good answer; {hint}",
    },
    "zh": {
        "source": "来源：{source}", "nonstandard": "来源：{source}（未列入 IANA 注册表）",
        "browser": "浏览器",
        "same": "四次结果一致：默认选项即适用于此网址",
        "works": "可用的选项：{options}", "none": "以上方式均未得到正常应答；{hint}",
    },
}  # fmt: skip


class _Try(NamedTuple):
    method: str
    agent: str
    is_browser: bool
    result: Result

    @property
    def options(self) -> str:
        """What to type for it, in the order of what costs least."""
        return f"--method {self.method}" + (f' --user-agent "{self.agent}"' if self.is_browser else "")


def explain(items: Sequence[str], options: Options, width: int) -> Iterator[str]:
    """Return lines, of *width* columns at most, on what each of *items*, codes and URLs, is about.

    All known codes where there is none.  URLs are asked while the lines are taken.

    Raises ValueError if an item is neither.
    """
    for item in items:
        if "://" not in item and not (item.isascii() and item.isdigit() and 100 <= int(item[:9]) <= 999):
            raise ValueError(f"--explain: '{item}', expected a status code from 100 to 999, or a URL with its scheme")
    return _all_lines(items or [str(code) for code in codes.known_codes()], options, width)


def _all_lines(items: Sequence[str], options: Options, width: int) -> Iterator[str]:
    for place, item in enumerate(items):
        if place:
            yield ""
        if "://" in item:
            yield from _on_url(item, options, width)
        else:
            yield from _on_code(int(item), options.lang, min(width, WIDEST))


def _on_code(status: int, lang: str, width: int) -> Iterator[str]:
    known = codes.explain(status, lang)
    source = _WORDS[lang]["source" if known.standard else "nonstandard"].format(source=known.source)
    yield f"{status} {known.phrase}".rstrip()
    for paragraph in (known.meaning, known.text, source):
        for line in _wrapped(paragraph, width - len(INDENT)):
            yield INDENT + line


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield *text* in lines of *width* columns; between Chinese characters a line may end anywhere."""
    line = ""
    for piece in _PIECES.findall(text):
        if line and columns(line + piece) > width:
            yield line
            line = ""
        line += piece if line else piece.lstrip()
    yield line


def _on_url(text: str, options: Options, width: int) -> Iterator[str]:
    """Ask by HEAD and GET, each as ourselves and as a browser, and tell what answered."""
    yield plain(redact(text))
    yield _table_row(_HEADS[options.lang], width)
    tries = []
    for method in ("head", "get"):
        for agent in (USER_AGENT, BROWSER):
            attempt = _Try(method, agent, agent == BROWSER, _ask(text, options, method, agent))
            yield _table_row(_cells(attempt, options.lang), width)
            tries.append(attempt)
    yield _advice(tries, options.lang)


def _table_row(cells: Sequence[str], width: int) -> str:
    padded = [pad(cell, places) for cell, places in zip(cells, PLACES, strict=False)]
    return cut(plain("  ".join(["  ", *padded, cells[-1]])).rstrip(), width)


def _ask(text: str, options: Options, method: str, agent: str) -> Result:
    """Ask once, on a worker's thread: on Windows no signal is heard by one that waits for a server."""
    from .run import Run

    chosen = replace(options, method=method, user_agent=agent, workers=1, retries=0)
    with Run([Target(0, 1, text)], chosen) as run:
        return next(result for batch in run.batches() for _, result in batch)


def _cells(attempt: _Try, lang: str) -> list[str]:
    result = attempt.result
    who = _WORDS[lang]["browser"] if attempt.is_browser else "status-probe"
    elapsed = "" if result.elapsed_ms is None else str(result.elapsed_ms)
    status = str(result.status) if result.status else str(result.outcome)
    told = result.meaning if lang == "zh" else result.error or result.meaning  # an error tells more, in English
    return [attempt.method.upper(), who, status, elapsed, told]


def _advice(tries: Sequence[_Try], lang: str) -> str:
    words = _WORDS[lang]
    good = [attempt for attempt in tries if attempt.result.outcome.is_answer and (attempt.result.status or 999) < 400]
    if not good:
        return plain(words["none"].format(hint=tries[2].result.hint))
    if len({(attempt.result.status, attempt.result.outcome) for attempt in tries}) == 1:
        return words["same"]
    best = min(good, key=lambda attempt: (attempt.is_browser, attempt.method != "get"))
    return words["works"].format(options=best.options)
