"""The long texts, read from the files beside this module.

A file holds sections: a line with the key (a code, or a class such as "4xx"), a line for each sentence, a blank line.
Lines that begin with "#" are comments.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["long_text", "sections"]

_BETWEEN_SENTENCES = {"en": " ", "zh": ""}


def long_text(key: str, lang: str) -> str:
    """Return the section *key* as one paragraph.

    Raises KeyError for a key without a section, or a language without a file.
    """
    return _BETWEEN_SENTENCES[lang].join(sections(lang)[key])


@cache
def sections(lang: str) -> dict[str, list[str]]:
    """Return the sentences of each section of a language's file, by the section's key."""
    content = files(__package__).joinpath(f"explain_{lang}.txt").read_text(encoding="utf-8")
    lines = "\n".join(line for line in content.splitlines() if not line.startswith("#"))
    blocks = (block.splitlines() for block in lines.strip().split("\n\n"))
    return {key: sentences for key, *sentences in blocks}
