"""The README's tables that are made from data: ``python -m tests.readme`` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from status_probe import codes
from status_probe.records import Outcome

README = Path(__file__).parent.parent / "README.md"

ANSWERS = {
    Outcome.OK: ("2xx", "2xx"),
    Outcome.REDIRECT: ("a 3xx that ends there", "止于 3xx"),
    Outcome.CLIENT_ERROR: ("4xx", "4xx"),
    Outcome.SERVER_ERROR: ("5xx", "5xx"),
    Outcome.NONSTANDARD: ("any other status", "其他状态码"),
}


def outcomes(lang: str, heads: str) -> str:
    """Return the table of outcomes in one language."""
    lines = [f"| outcome | {heads} |", "|---|---|---|"]
    for outcome in Outcome:
        if outcome in ANSWERS:
            lines.append(f"| `{outcome}` | {ANSWERS[outcome][lang == 'zh']} | |")
        else:
            meaning, hint = codes.meaning(None, outcome, lang), codes.hint(None, outcome, lang)
            lines.append(f"| `{outcome}` | {meaning} | {hint} |")
    return "\n".join(lines)


def verdicts() -> str:
    """Return the table of verdicts."""
    lines = ["| verdict | | meaning | 含义 |", "|---|---|---|---|"]
    for verdict in codes.VERDICTS:
        name, english = codes.verdict_name(verdict, "zh"), codes.verdict_meaning(verdict, "en")
        lines.append(f"| `{verdict}` | {name} | {english} | {codes.verdict_meaning(verdict, 'zh')} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "outcomes": lambda: outcomes("en", "meaning | what to do"),
    "verdicts": verdicts,
    "outcomes-zh": lambda: outcomes("zh", "含义 | 处理建议"),
}


def with_tables(text: str) -> str:
    """Return the README's *text* with each table as the data has it now."""
    for name, make in TABLES.items():
        begin = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)"
        table = make()
        text = re.sub(begin, lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    README.write_bytes(with_tables(README.read_text("utf-8")).encode())
