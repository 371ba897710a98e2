"""Lists of URLs alone: a text list, and the URLs of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from status_probe.sources.lines import Content, read_lines
from status_probe.urls import BLANKS, LONGEST, redact_cut

__all__ = ["Arguments", "Entry", "TextList", "checked"]

URL_KEPT = 2_000  # characters kept of a URL that is too long to be one

_TOO_LONG = f"longer than {LONGEST:,} characters"
_MORE_THAN_A_URL = "it holds a tab or a line end, so more than a URL; a list with columns is to be named .tsv or .csv"
_PARTS = re.compile(r"[\t\r\n]").search

Entry = tuple[int, str, Sequence[str], str]  # row, url, own cells and fault, as in Target


class Arguments:
    """URLs given one by one; their rows are 1, 2, 3, ..."""

    name = "arguments"
    headings: Sequence[str] = ()

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls

    def entries(self) -> Iterator[Entry]:
        for row, text in enumerate(self._urls, 1):
            url, fault = checked(text)
            yield row, url, (), fault

    def count(self) -> int:
        return len(self._urls)


class TextList:
    """One URL a line; blank lines and lines that begin with # are comments, every other is an entry."""

    headings: Sequence[str] = ()

    def __init__(self, content: Content, encoding: str | None) -> None:
        self.name = content.name
        self._content = content
        self._encoding = encoding

    def entries(self) -> Iterator[Entry]:
        for row, line in enumerate(self._lines(), 1):
            url, fault = checked(line)
            if url and url[0] != "#":
                yield row, url, (), fault

    def count(self) -> int:
        """Return how many entries a pass will yield."""
        return sum(1 for line in self._lines() if (url := line.strip(BLANKS)) and url[0] != "#")

    def _lines(self) -> Iterator[str]:
        return read_lines(self._content, self._encoding, LONGEST)


def checked(text: str) -> tuple[str, str]:
    """Return the URL in *text*, blanks around it dropped, and no fault; or its beginning, and why it is none.

    Browsers pass over tabs and line ends within a URL.  In a list they part it from something else: to ask for both in
    one would be to ask for another page.
    """
    url = text.strip(BLANKS)
    if len(text) > LONGEST:
        return redact_cut(url, URL_KEPT), _TOO_LONG
    return url, _MORE_THAN_A_URL if _PARTS(url) else ""
