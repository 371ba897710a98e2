"""``--explain``: codes in words, and a URL asked as whom."""

from __future__ import annotations

import pytest

from status_probe.codes import known_codes
from status_probe.console import columns
from status_probe.explain import BROWSER, explain
from status_probe.options import USER_AGENT, Options
from tests.command import run_command
from tests.server import Request, Script, Server, answer, closed_port

DIRECT = Options(proxy="")
CHINESE = Options(lang="zh", proxy="")


def text(*items: str, options: Options = DIRECT, width: int = 79) -> str:
    return "\n".join(explain(items, options, width))


def test_a_code_is_told_with_both_texts_and_its_source() -> None:
    """Phrase, short meaning, sentences, source."""
    lines = text("404").splitlines()
    assert lines[0] == "404 Not Found"
    assert lines[1] == "    no such page"
    assert lines[-1] == "    source: RFC 9110 §15.5.5"


def test_without_a_code_all_are_told() -> None:
    """Each known code is the head of a paragraph, in order."""
    heads = [line.split()[0] for line in text().splitlines() if line and not line.startswith(" ")]
    assert heads == [str(code) for code in known_codes()]


@pytest.mark.parametrize("width", [40, 79, 200])
@pytest.mark.parametrize("options", [DIRECT, CHINESE], ids=["en", "zh"])
def test_lines_fit_and_break_between_words(options: Options, width: int) -> None:
    """No line is wider than told, or than reads well; no word is broken, and no line begins with a mark."""
    lines = text(options=options, width=width).splitlines()
    assert max(map(columns, lines)) <= min(width + 2, 102)  # a closing mark may stand out
    assert not any(line.strip()[:1] in tuple("，。、；：？！）”,.;") for line in lines if line)
    whole = "".join("".join(text(options=options, width=10_000).split()))
    assert "".join("".join(lines).split()) == whole
    words = {word for line in lines for word in line.split() if word.isascii()}
    if options is DIRECT:
        assert words <= {*text(width=10_000).split()}


def test_a_code_of_no_registry_is_told_as_such() -> None:
    """In each language with its own brackets."""
    assert text("999").splitlines()[-1].endswith(" (not in the IANA registry)")
    assert text("999", options=CHINESE).splitlines()[-1].endswith("（未列入 IANA 注册表）")


def test_an_unknown_code_is_told_by_its_class() -> None:
    """A code that nobody defined is explained all the same."""
    assert text("299").startswith("299")
    assert len(text("299").splitlines()) >= 3


@pytest.mark.parametrize("item", ["99", "1000", "40x", "foo", "", "²00", "404,503"])
def test_what_is_neither_code_nor_url_is_refused(item: str) -> None:
    """A slip is told before anything is printed, though codes came before it."""
    with pytest.raises(ValueError, match="--explain: "):
        explain(["404", item], DIRECT, 79)
    ended = run_command("--explain", "404", item) if item == "foo" else None
    assert ended is None or (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)


def by_agent(request: Request) -> Script:
    """Let in only a browser, and only by GET."""
    return answer(200 if request.method == "GET" and request.header("User-Agent") == BROWSER else 403)


def test_a_url_is_asked_in_four_ways() -> None:
    """By HEAD and GET, as ourselves and as a browser; what works is named as options to type."""
    with Server(by_agent) as server:
        lines = text(server.url("/x"), width=200).splitlines()
        asked = [(request.method, request.header("User-Agent")) for request in server.log]
    assert asked == [(method, agent) for method in ("HEAD", "GET") for agent in (USER_AGENT, BROWSER)]
    assert [line.split()[0] for line in lines[2:6]] == ["HEAD", "HEAD", "GET", "GET"]
    assert lines[-1] == f'what works: --method get --user-agent "{BROWSER}"'


def test_where_all_agree_nothing_is_advised() -> None:
    """The defaults are right, and it says so."""
    with Server(answer(200)) as server:
        assert text(server.url("/")).splitlines()[-1].startswith("all four agree")


def test_a_dead_url_gets_its_hint() -> None:
    """Where nothing answers the outcome stands in the table, and the next step below; no password is shown."""
    with closed_port() as (address, port):
        lines = text(f"http://me:geheim@{address}:{port}/").splitlines()
    assert lines[0] == f"http://me:***@{address}:{port}/"
    assert sum("connect_refused" in line for line in lines) == 4
    assert "geheim" not in "".join(lines)


def test_a_failure_is_told_in_chinese() -> None:
    """The column says what it means, not the English error."""
    with closed_port() as (address, port):
        lines = text(f"http://{address}:{port}/", options=CHINESE).splitlines()
    assert all(line.endswith("主机拒绝连接") for line in lines[2:6])


@pytest.mark.parametrize("words", ["--explain 404", "--plan http://127.0.0.1:9/"])
def test_chinese_that_cannot_be_written_is_english(words: str) -> None:
    """Where standard output has no Chinese there are no escapes in its place."""
    ended = run_command(*words.split(), "--lang", "zh", environ={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (ended.status, ended.err) == (0, "")
    assert "\\u" not in ended.out
    assert ended.out.splitlines()[0] in ("404 Not Found", "targets: 1")
