"""What HTTP statuses and outcomes mean, what to do about them, and what becomes of the link.

In English and simplified Chinese.  What a row needs is a look-up in tables: ``statuses`` and ``outcomes`` for the
meanings, ``outcomes`` and ``hints`` for the next step, ``verdicts`` and ``bots`` for the verdict.  The long texts lie
in ``explain_en.txt`` and ``explain_zh.txt`` and are read only when `explain` is called.

Adding a code is a line in ``statuses`` and a section in each of the two texts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from status_probe.codes.bots import bot_filtered
from status_probe.codes.hints import BOT_HINT, CLASS_HINTS, MOVED_HINT, STATUS_HINTS
from status_probe.codes.outcomes import CAUSE_HINTS, FAILURE_HINTS, FAILURE_MEANINGS
from status_probe.codes.statuses import BY_CLASS, STANDARD, STATUSES, Status
from status_probe.codes.text import LANGUAGES, Text, default_language
from status_probe.codes.verdicts import ANSWERS, VERDICTS, verdict, verdict_meaning, verdict_name

__all__ = [
    "LANGUAGES",
    "VERDICTS",
    "Explanation",
    "bot_filtered",
    "default_language",
    "explain",
    "hint",
    "hosts_file",
    "known_codes",
    "meaning",
    "verdict",
    "verdict_meaning",
    "verdict_name",
]


class Explanation(NamedTuple):
    """All that is known of one code, in one language."""

    phrase: str  # empty where nobody gave it one
    meaning: str  # as in the column of that name
    text: str  # two or three sentences: what the server means, what a client may do, what the owner checks
    source: str  # "RFC 9110 §15.5.5", or the vendor
    standard: bool  # whether the IANA registry has it as a code of HTTP; False for 104 and 418, see ``statuses``


def meaning(status: int | None, outcome: str, lang: str) -> str:
    """Return what a row's status means, or its failure where *outcome* is no answer, in some 60 characters.

    A code that is not known is explained by its class.

    Raises ValueError for a language that is not one of LANGUAGES.
    """
    if outcome in ANSWERS:
        return _status(status or 0).meaning.say(lang)
    return FAILURE_MEANINGS[outcome].say(lang)


def hint(
    status: int | None, outcome: str, lang: str, *, cause: str = "", bot: bool = False, permanent_redirect: bool = False
) -> str:
    """Return the next step for a row, or "" where nothing need be done.

    *cause* tells apart what went wrong, for "tls_error" and "dns_error" only; one that is not known gives the general
    hint.  *bot* says that the answer bears marks of a bot filter, *permanent_redirect* that a 301 or 308 was followed
    on the way.

    Raises ValueError for a language that is not one of LANGUAGES.
    """
    if outcome in ANSWERS:
        found = BOT_HINT if bot else _answer_hint(status or 0, outcome, permanent_redirect)
    else:
        found = CAUSE_HINTS.get(outcome, {}).get(cause) or FAILURE_HINTS[outcome]
    return found.say(lang).replace("{hosts}", hosts_file()) if found else ""


def _answer_hint(status: int, outcome: str, permanent_redirect: bool) -> Text | None:
    if outcome == "ok" and permanent_redirect:
        return MOVED_HINT
    return STATUS_HINTS.get(status) or CLASS_HINTS.get(outcome)


def hosts_file(platform: str = sys.platform, environ: Mapping[str, str] | None = None) -> str:
    """Return the path of the system's hosts file; *environ*, os.environ if None, tells where Windows lies."""
    if platform != "win32":
        return "/etc/hosts"
    root = (os.environ if environ is None else environ).get("SystemRoot") or r"C:\Windows"
    return root + r"\System32\drivers\etc\hosts"


def known_codes() -> tuple[int, ...]:
    """Return the codes that have a text of their own, in order."""
    return tuple(STATUSES)


def explain(status: int, lang: str) -> Explanation:
    """Return all that is known of *status*; of a code that is not known, what its class says.

    Raises ValueError if *status* has not three digits (100 to 999), or *lang* is not one of LANGUAGES.
    """
    if not 100 <= status <= 999:
        raise ValueError(f"no status code: '{status}', which should be 100 to 999")
    known = _status(status)
    # Here, since a run that explains nothing does without it, and importlib.resources is slow to import.
    from status_probe.codes.explanations import long_text

    short = known.meaning.say(lang)
    text = long_text(str(status) if status in STATUSES else _class_of(status), lang)
    text = text.replace("{code}", str(status))
    return Explanation(known.phrase, short, text, known.source, status in STANDARD)


def _status(status: int) -> Status:
    return STATUSES.get(status) or BY_CLASS[_class_of(status)]


def _class_of(status: int) -> str:
    return f"{status // 100}xx" if 100 <= status <= 599 else "other"
