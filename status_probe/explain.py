"""``--explain``: what codes mean; and what a URL answers, by which method and to whom."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple, TextIO

from . import codes
from .console import columns, cut, fold, pad, plain, say, terminal_width
from .options import USER_AGENT, Options
from .records import Result, Target

__all__ = ["explain"]

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)

_WORDS = {
    "en": {
        "source": "source: {source}", "nonstandard": "not in the IANA registry", "ours": "status-probe",
        "browser": "a browser", "heads": ("method", "asked as", "status", "ms", "what it is"),
        "same": "all four agree: the defaults are right for this URL",
        "works": "what works: {options}", "none": "nothing of this gets a good answer; {hint}",
    },
    "zh": {
        "source": "来源：{source}", "nonstandard": "未列入 IANA 注册表", "ours": "status-probe",
        "browser": "浏览器", "heads": ("方法", "身份", "状态", "毫秒", "含义"),
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


def explain(items: Sequence[str], options: Options, stream: TextIO) -> int:
    """Write what each of *items*, codes and URLs, is about; all known codes where there is none.

    Raises ValueError if an item is neither.
    """
    for item in items:
        if "://" not in item and not (item.isascii() and item.isdigit() and 100 <= int(item[:9]) <= 999):
            raise ValueError(f"--explain: '{item}', expected a status code from 100 to 999, or a URL")
    for place, item in enumerate(items or [str(code) for code in codes.known_codes()]):
        if place:
            say(stream, "")
        if "://" in item:
            _explain_url(item, options, stream)
        else:
            _explain_code(int(item), options.lang, stream)
    return 0


def _explain_code(status: int, lang: str, stream: TextIO) -> None:
    words, width = _WORDS[lang], min(terminal_width(stream), 100)
    known = codes.explain(status, lang)
    say(stream, f"{status} {known.phrase}".rstrip())
    for paragraph in (known.meaning, known.text):
        for line in fold(paragraph, width - 4):
            say(stream, "    " + line)
    source = str(words["source"]).format(source=known.source)
    say(stream, textwrap.indent(source if known.standard else f"{source} ({words['nonstandard']})", "    "))


def _explain_url(text: str, options: Options, stream: TextIO) -> None:
    """Ask by HEAD and GET, each as ourselves and as a browser, and show what answered."""
    words = _WORDS[options.lang]
    tries = [
        _Try(method, agent, agent == BROWSER, _ask(text, options, method, agent))
        for method in ("head", "get")
        for agent in (USER_AGENT, BROWSER)
    ]
    rows = [tuple(str(head) for head in words["heads"])]
    rows += [_row(attempt, str(words["browser" if attempt.is_browser else "ours"])) for attempt in tries]
    widths = [max(columns(row[place]) for row in rows) for place in range(4)]
    say(stream, plain(tries[0].result.url))
    for row in rows:
        cells = [pad(cell, width) for cell, width in zip(row, widths, strict=False)]
        say(stream, cut(plain("  ".join(["  ", *cells, row[4]])).rstrip(), terminal_width(stream)))
    say(stream, _advice(tries, options.lang))


def _ask(text: str, options: Options, method: str, agent: str) -> Result:
    from dataclasses import replace

    from .run import open_probe

    probe, session = open_probe(replace(options, method=method, user_agent=agent))
    try:
        return probe(Target(0, 1, text)).result
    finally:
        session.close()


def _row(attempt: _Try, who: str) -> tuple[str, ...]:
    result = attempt.result
    elapsed = "" if result.elapsed_ms is None else str(result.elapsed_ms)
    status = str(result.status) if result.status else str(result.outcome)
    return attempt.method.upper(), who, status, elapsed, result.error or result.meaning


def _advice(tries: Sequence[_Try], lang: str) -> str:
    words = _WORDS[lang]
    good = [attempt for attempt in tries if attempt.result.outcome.is_answer and (attempt.result.status or 999) < 400]
    if not good:
        return plain(str(words["none"]).format(hint=tries[2].result.hint))
    if len({(attempt.result.status, attempt.result.outcome) for attempt in tries}) == 1:
        return str(words["same"])
    best = min(good, key=lambda attempt: (attempt.is_browser, attempt.method != "get"))
    return str(words["works"]).format(options=best.options)
