"""Lists of URLs alone: a text list, and the URLs of a command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from status_probe.sources.lines import Content, read_lines
from status_probe.urls import BLANKS, redact

__all__ = ["Arguments", "Entry", "TextList", "checked"]

LINE_LIMIT = 65_536  # characters; eight times what servers take as a URL
URL_KEPT = 2_000  # characters kept of a URL that is too long to be one

_TOO_LONG = f"longer than {LINE_LIMIT:,} characters"

Entry = tuple[int, str, Sequence[str], str]  # row, url, own cells and fault, as in Target


class Arguments:
    """URLs given one by one; their rows are 1, 2, 3, ..."""

    name = "arguments"
    headings: Sequence[str] = ()

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls

    def entries(self) -> Iterator[Entry]:
        for row, text in enumerate(self._urls, 1):
            url, fault = checked(text.strip(BLANKS))
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
            url = line.strip(BLANKS)
            if not url or url[0] == "#":
                continue
            if len(line) <= LINE_LIMIT:
                yield row, url, (), ""
            else:
                yield row, redact(url)[:URL_KEPT], (), _TOO_LONG

    def count(self) -> int:
        """Return how many entries a pass will yield."""
        return sum(1 for line in self._lines() if (url := line.strip(BLANKS)) and url[0] != "#")

    def _lines(self) -> Iterator[str]:
        return read_lines(self._content, self._encoding, LINE_LIMIT)


def checked(url: str) -> tuple[str, str]:
    """Return *url* and no fault; or its beginning and why it is none, where it is too long."""
    return (url, "") if len(url) <= LINE_LIMIT else (redact(url)[:URL_KEPT], _TOO_LONG)
