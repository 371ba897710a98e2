"""The laws of the texts and tables in status_probe.codes."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from status_probe import codes
from status_probe.cells import safe_text
from status_probe.codes import explanations, hints, outcomes, statuses, verdicts
from status_probe.codes.text import Text
from status_probe.records import Outcome

# Written out here once more, so that a code lost from the tables is missed.
REGISTERED = {
    *range(100, 104), *range(200, 209), 226, *range(300, 309), *range(400, 418), *range(421, 427), 428, 429, 431, 451,
    *range(500, 509), 510, 511,
}  # fmt: skip
OTHERS = {
    104, 418, 419, 420, 430, 440, 444, 449, 450, 460, 463, *range(494, 500), 509, *range(520, 528), 529, 530, 561, 598,
    599, 999,
}  # fmt: skip
TLS_CAUSES = (
    "expired", "not_yet_valid", "self_signed", "unknown_issuer", "wrong_host", "wrong_address", "handshake_refused",
    "handshake_ended", "plain_http", "client_certificate", "other",
)  # fmt: skip
OPTIONS = {
    "--method", "--header", "--user-agent", "--max-redirects", "--proxy", "--hosts", "--public-only", "--ca-bundle",
    "--client-cert", "--client-key", "--insecure", "--workers", "--per-host", "--delay", "--rate", "--connect-timeout",
    "--read-timeout", "--max-time", "--retries", "--max-retry-wait", "--resume", "--retry-failed",
}  # fmt: skip

ANSWERS = [outcome for outcome in Outcome if outcome.is_answer]
FAILURES = [outcome for outcome in Outcome if not outcome.is_answer]

each_language = pytest.mark.parametrize("lang", codes.LANGUAGES)


def outcome_of(status: int) -> Outcome:
    by_class = {2: Outcome.OK, 3: Outcome.REDIRECT, 4: Outcome.CLIENT_ERROR, 5: Outcome.SERVER_ERROR}
    return by_class.get(status // 100, Outcome.NONSTANDARD)


def all_hints() -> Iterator[Text]:
    yield hints.BOT_HINT
    yield hints.MOVED_HINT
    yield from hints.STATUS_HINTS.values()
    for table in (hints.CLASS_HINTS, outcomes.FAILURE_HINTS, *outcomes.CAUSE_HINTS.values()):
        yield from table.values()


def width(text: str) -> int:
    """The columns that *text* takes in a terminal, where a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def is_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


# Completeness


def test_every_code_people_meet_is_known() -> None:
    """The codes that have a text are those of the registry and the unofficial ones, in order."""
    assert codes.known_codes() == tuple(sorted(REGISTERED | OTHERS))


def test_standard_means_registered() -> None:
    """Exactly the codes that the registry gives to HTTP are called standard."""
    assert {code for code in codes.known_codes() if codes.explain(code, "en").standard} == REGISTERED


@each_language
def test_every_code_is_explained_in_two_or_three_sentences(lang: str) -> None:
    """No code is without its text, and no text is without its code."""
    sections = explanations.sections(lang)
    assert set(sections) == {str(code) for code in codes.known_codes()} | set(statuses.BY_CLASS)
    assert all(2 <= len(sentences) <= 3 for sentences in sections.values())
    end = "." if lang == "en" else "。"
    assert all(sentence.endswith(end) for sentences in sections.values() for sentence in sentences)


@each_language
def test_texts_are_written_in_their_language(lang: str) -> None:
    """Chinese texts hold Chinese, with its own punctuation; English texts hold none of it."""
    for code in codes.known_codes():
        told = codes.explain(code, lang)
        for text in (told.meaning, told.text):
            assert is_chinese(text) is (lang == "zh"), text
            assert not re.search(r"[\u4e00-\u9fff][,;:.!?()]|[,;:!?(][\u4e00-\u9fff]", text), text


@each_language
def test_no_text_is_shared_between_codes(lang: str) -> None:
    """Neither a meaning nor a sentence of an explanation is said of two codes."""
    told = [codes.explain(code, lang) for code in codes.known_codes()]
    assert len({one.meaning for one in told}) == len(told)
    sentences = [sentence for section in explanations.sections(lang).values() for sentence in section]
    assert {sentence for sentence in sentences if sentences.count(sentence) > 1} == set()


@each_language
def test_meaning_fits_a_cell(lang: str) -> None:
    """A meaning is at most 60 columns wide, in one line, and no formula to a spreadsheet."""
    meanings = [codes.meaning(code, outcome_of(code), lang) for code in (*codes.known_codes(), 199, 299, 399, 499, 777)]
    meanings += [codes.meaning(None, failure, lang) for failure in FAILURES]
    for text in meanings:
        assert 0 < width(text) <= 60
        assert re.match(r"[^\s=+\-@]", text)
        assert text[-1] not in ".。"


@pytest.mark.parametrize("code", sorted(REGISTERED))
def test_sources_name_an_rfc_and_its_section(code: int) -> None:
    """A registered code cites the section that defines it."""
    assert re.fullmatch(r"RFC \d{4} §\d+(\.\d+)*", codes.explain(code, "en").source)


def test_sections_of_rfc_9110_follow_the_codes() -> None:
    """RFC 9110 takes the codes of a class in order, so their sections are 15.x.1, 15.x.2, ... without a gap."""
    sections = [
        (int(match[1]), int(match[2]))
        for status in statuses.STATUSES.values()
        if (match := re.search(r"RFC 9110 §15\.(\d)\.(\d+)", status.source))
    ]
    assert len(sections) == 2 + 7 + 9 + 22 + 6
    assert all(second in ((part, number + 1), (part + 1, 1)) for (part, number), second in pairwise(sections))


# Facts

FACTS: dict[int, tuple[str, str]] = {  # patterns that the English and the Chinese text must match
    100: (r"interim.*HTTP/1\.0 has no", r"临时响应.*HTTP/1\.0 中没有"),
    102: ("interim", "临时响应"),
    103: ("interim.*Link", "临时响应.*Link"),
    204: ("has no body", "不带正文"),
    205: ("no body", "不带正文"),
    206: ("Content-Range", "Range"),
    301: ("POST into GET", "POST 改成 GET"),
    302: ("POST may become a GET", "POST 可能因此变成 GET"),
    303: ("with GET, whatever", "改用 GET"),
    304: ("has no body", "不带正文"),
    305: ("No client obeys.*security", "安全.*不执行"),
    306: ("unused", "不用"),
    307: ("POST stays a POST", "POST 仍是 POST"),
    308: ("for good.*same method", "永久.*方法和正文都保持不变"),
    401: ("WWW-Authenticate", "WWW-Authenticate"),
    404: ("does not say whether that is for ever", "并未表明"),
    405: ("list the allowed ones in Allow", "Allow 头"),
    407: ("Proxy-Authenticate", "Proxy-Authenticate"),
    408: ("repeat the same request unchanged", "原样重发"),
    410: ("for good", "永久"),
    413: ("Retry-After", "Retry-After"),
    416: ("Range.*Content-Range", "Range.*Content-Range"),
    421: ("connection opened for another name", "复用"),
    423: ("WebDAV.*locked", "WebDAV.*锁定"),
    424: ("WebDAV.*depends on failed", "WebDAV.*依赖"),
    425: ("early data.*replay", "早期数据.*重放"),
    426: ("Upgrade", "Upgrade"),
    428: ("If-Match", "If-Match"),
    429: ("Retry-After", "Retry-After"),
    449: ("Microsoft", "微软"),
    451: ("blocked-by", "blocked-by"),
    502: ("invalid answer.*504", "无效响应.*504"),
    503: ("Retry-After", "Retry-After"),
    504: ("in time.*502", "等不到.*502"),
    506: ("transparent negotiation", "透明内容协商"),
    507: ("WebDAV.*store", "WebDAV.*空间"),
    508: ("endless loop.*Depth: infinity", "Depth: infinity.*死循环"),
    509: ("Nobody's standard", "不属于任何标准"),
    510: ("extension", "扩展"),
    511: ("network in between", "所在的网络"),
    999: ("Nobody's standard.*LinkedIn", "不属于任何标准.*LinkedIn"),
}


@pytest.mark.parametrize("code", FACTS)
def test_facts_of_the_standards_are_told(code: int) -> None:
    """What a code's source lays down is said in both languages."""
    for lang, pattern in zip(codes.LANGUAGES, FACTS[code], strict=True):
        assert re.search(pattern, codes.explain(code, lang).text)


@each_language
@pytest.mark.parametrize("code", sorted(OTHERS - {104, 418}))
def test_inventions_are_called_so(code: int, lang: str) -> None:
    """No vendor's code is explained without a word that it is the vendor's own."""
    own = (
        r"[Nn]ot a standard|Nobody's|inside nginx|extension"
        if lang == "en"
        else "非标准|不属于任何标准|nginx 内部|扩展"
    )
    assert re.search(own, codes.explain(code, lang).text)


@each_language
@pytest.mark.parametrize(("code", "kind"), [(199, "1xx"), (299, "2xx"), (399, "3xx"), (492, "4xx"), (555, "5xx")])
def test_unknown_code_is_explained_by_its_class(code: int, kind: str, lang: str) -> None:
    """Of a code that nobody registered the class is told, and that it is unknown."""
    told = codes.explain(code, lang)
    assert told.meaning == codes.meaning(code, outcome_of(code), lang) == statuses.BY_CLASS[kind].meaning.say(lang)
    assert told.text.startswith(str(code))
    assert ("no register" if lang == "en" else "没有登记") in told.text
    assert (told.phrase, told.standard) == ("", False)


@pytest.mark.parametrize("code", range(100, 1000, 7))
def test_any_three_digits_can_be_explained(code: int) -> None:
    """No code from 100 to 999 is refused, and no placeholder is left in a text."""
    assert "{" not in codes.explain(code, "en").text + codes.explain(code, "zh").text


@pytest.mark.parametrize("code", [-404, 0, 99, 1000])
def test_other_numbers_are_refused(code: int) -> None:
    """What has not three digits is no status code, and the message names it."""
    with pytest.raises(ValueError, match=f"'{code}'"):
        codes.explain(code, "en")


def test_unknown_language_is_refused() -> None:
    """A language that is not one of LANGUAGES is a ValueError, never another language's text."""
    for ask in (
        lambda: codes.meaning(200, "ok", "fr"),
        lambda: codes.hint(404, "client_error", "fr"),
        lambda: codes.explain(404, "fr"),
    ):
        with pytest.raises(ValueError, match="'fr'"):
            ask()


# Hints


@each_language
def test_every_failure_has_a_meaning_and_a_hint_of_its_own(lang: str) -> None:
    """Each kind of failure is told from all others, in the meaning as in the hint."""
    assert len({codes.meaning(None, failure, lang) for failure in FAILURES}) == len(FAILURES)
    assert len({codes.hint(None, failure, lang) for failure in FAILURES}) == len(FAILURES)
    assert set(outcomes.FAILURE_MEANINGS) == set(outcomes.FAILURE_HINTS) == {failure.value for failure in FAILURES}


@each_language
@pytest.mark.parametrize(
    ("outcome", "causes"), [("tls_error", TLS_CAUSES), ("dns_error", ("unknown", "try_again", "timeout", ""))]
)
def test_each_cause_has_its_own_hint(outcome: str, causes: tuple[str, ...], lang: str) -> None:
    """Causes of one failure are told apart."""
    assert len({codes.hint(None, outcome, lang, cause=cause) for cause in causes}) == len(causes)


@each_language
@pytest.mark.parametrize("cause", ["unknown", "try_again", "timeout", ""])
def test_dns_hint_names_the_hosts_file_and_the_option(cause: str, lang: str) -> None:
    """Whatever failed at the name, the real path of the hosts file and --hosts are offered."""
    told = codes.hint(None, "dns_error", lang, cause=cause)
    assert codes.hosts_file() in told
    assert "--hosts FILE" in told


def test_hosts_file_of_windows_lies_in_the_system_root() -> None:
    """SystemRoot decides where the hosts file is on Windows; elsewhere it is in /etc."""
    assert codes.hosts_file("win32", {"SystemRoot": r"D:\Win"}) == r"D:\Win\System32\drivers\etc\hosts"
    assert codes.hosts_file("win32", {}) == r"C:\Windows\System32\drivers\etc\hosts"
    assert codes.hosts_file("linux", {}) == codes.hosts_file("darwin", {}) == "/etc/hosts"


@each_language
def test_what_went_well_needs_no_hint(lang: str) -> None:
    """A plain success says nothing; one after a permanent redirect says to update the link."""
    assert [codes.hint(code, "ok", lang) for code in (200, 201, 204)] == ["", "", ""]
    assert "final_url" in codes.hint(200, "ok", lang, permanent_redirect=True)


@each_language
@pytest.mark.parametrize(
    "code", [code for code in (*range(300, 1000, 9), 404, 503, 101, 999) if outcome_of(code) != "ok"]
)
def test_whatever_went_otherwise_has_a_hint(code: int, lang: str) -> None:
    """No answer but a success is left without a next step, known or unknown."""
    assert codes.hint(code, outcome_of(code), lang)


@each_language
@pytest.mark.parametrize("code", [403, 429, 503, 999])
def test_bot_marks_make_the_hint_speak_of_a_browser(code: int, lang: str) -> None:
    """Where a filter answered, the reader is told that a browser may be let in."""
    told = codes.hint(code, outcome_of(code), lang, bot=True)
    assert ("browser" if lang == "en" else "浏览器") in told
    assert told != codes.hint(code, outcome_of(code), lang)


def test_hints_name_only_options_that_exist() -> None:
    """An option in a hint is one of the command's, and the same in both languages."""
    for text in all_hints():
        named = [set(re.findall(r"--[a-z][a-z-]+", said)) for said in text]
        assert named[0] <= OPTIONS
        assert named[0] == named[1], text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_text_looks_like_a_formula(delimiter: str) -> None:
    """A cell shows a text as it is written here, without an apostrophe in front of an option's name."""
    for text in all_hints():
        for lang in codes.LANGUAGES:
            assert safe_text(text.say(lang), delimiter) == text.say(lang)


def test_hints_fit_a_cell() -> None:
    """A hint is one line in its language, at most 160 columns wide, and no formula to a spreadsheet."""
    for text in all_hints():
        assert is_chinese(text.zh)
        assert not is_chinese(text.en)
        for said in text:
            assert 0 < width(said) <= 160, said
            assert re.match(r"[^\s=+\-@]", said), said
            assert "\n" not in said


# Verdicts

VERDICTS_OF_STATUSES = {
    "alive": (200, 204, 206, 300, 302, 304),
    "moved": (301, 308),
    "dead": (404, 410),
    "blocked": (401, 402, 403, 407, 418, 423, 429, 430, 451, 999),
    "broken": (101, 400, 405, 409, 414, 421, 500, 502, 503, 504, 520, 526, 599, 777),
    "unsure": (408, 425, 499, 511),
}
VERDICTS_OF_FAILURES = {
    "dead": {"dns_error"},
    "broken": {"invalid_url", "connect_refused", "tls_error", "protocol_error", "redirect_loop", "bad_redirect"},
    "unsure": {
        "blocked_address", "connect_timeout", "connect_error", "proxy_error", "connection_lost", "read_timeout",
        "deadline_exceeded", "too_many_redirects", "local_error", "internal_error",
    },
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "code"), [(name, code) for name, of in VERDICTS_OF_STATUSES.items() for code in of])
def test_status_decides_an_answers_verdict(wanted: str, code: int) -> None:
    """A final answer is judged by its status, an unlisted one by its class."""
    assert codes.verdict(code, outcome_of(code)) == wanted


@pytest.mark.parametrize("status", [None, 302, 404])
def test_outcome_decides_a_failures_verdict(status: int | None) -> None:
    """A failure is judged by its kind, whatever status was received before it, and no kind is forgotten."""
    wanted = {failure: name for name, kinds in VERDICTS_OF_FAILURES.items() for failure in kinds}
    assert {failure.value: codes.verdict(status, failure, bot=True) for failure in FAILURES} == wanted


def test_permanent_redirect_moves_only_what_ends_well() -> None:
    """A dead end stays dead, though a permanent redirect led there."""
    assert codes.verdict(200, "ok", permanent_redirect=True) == "moved"
    assert codes.verdict(404, "client_error", permanent_redirect=True) == "dead"
    assert codes.verdict(503, "server_error", permanent_redirect=True) == "broken"


@pytest.mark.parametrize("code", [202, 403, 404, 405, 503])
def test_bot_marks_block_any_answer(code: int) -> None:
    """What a filter answered says nothing of the page, whichever status it chose."""
    assert codes.verdict(code, outcome_of(code), bot=True) == "blocked"


def test_cause_tells_a_name_unknown_from_a_resolver_in_trouble() -> None:
    """A name is dead only if the resolver said so; a site that wants a client's certificate blocks."""
    assert codes.verdict(None, "dns_error", cause="unknown") == "dead"
    assert codes.verdict(None, "dns_error", cause="failed") == "unsure"
    assert codes.verdict(None, "dns_error", cause="try_again") == "unsure"
    assert codes.verdict(None, "dns_error", cause="timeout") == "unsure"
    assert codes.verdict(None, "tls_error", cause="client_certificate") == "blocked"
    assert codes.verdict(None, "tls_error", cause="expired") == "broken"


def test_tables_lead_to_known_verdicts_and_all_are_reached() -> None:
    """Every verdict is one that the summary shows, and each is the fate of something."""
    tables: tuple[Mapping[object, str], ...] = (verdicts._BY_OUTCOME, verdicts._BY_STATUS, verdicts._BY_CAUSE)  # type: ignore[assignment]
    assert {name for table in tables for name in table.values()} == set(codes.VERDICTS)
    assert set(verdicts._BY_OUTCOME) == {outcome.value for outcome in Outcome}
    assert {outcome.value for outcome in ANSWERS} == verdicts.ANSWERS


@each_language
def test_verdicts_are_named_in_both_languages(lang: str) -> None:
    """Each verdict has a short name and a meaning, in one language as in the other."""
    names = {codes.verdict_name(verdict, lang) for verdict in codes.VERDICTS}
    meanings = {codes.verdict_meaning(verdict, lang) for verdict in codes.VERDICTS}
    assert len(names) == len(meanings) == len(codes.VERDICTS)
    assert all(is_chinese(text) is (lang == "zh") for text in names | meanings)
    assert all(width(name) <= 8 for name in names)


# Bot filters


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"cf-mitigated": "challenge"}),
        (403, {"server": "cloudflare"}),
        (429, {"server": "cloudflare"}),
        (503, {"server": "cloudflare"}),
        (202, {"x-amzn-waf-action": "challenge"}),
        (405, {"x-amzn-waf-action": "captcha"}),
        (403, {"server": "AkamaiGHost"}),
        (403, {"x-datadome": "protected"}),
        (403, {"x-iinfo": "9-1-1 NNNN"}),
        (403, {"set-cookie": "lang=en, visid_incap_1=x; path=/"}),
        (403, {"set-cookie": "_pxhd=x"}),
        (429, {"x-kpsdk-ct": "x"}),
        (429, {"x-vercel-mitigated": "challenge"}),
        (999, {"x-some-challenge": "1"}),
    ],
)
def test_marks_of_bot_filters_are_seen(status: int, headers: dict[str, str]) -> None:
    """A header that filters are known by marks a refusal as theirs."""
    assert codes.bot_filtered(status, headers)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"server": "cloudflare", "cf-mitigated": "challenge"}),
        (202, {"server": "cloudflare"}),
        (404, {"server": "cloudflare", "x-datadome": "protected"}),
        (503, {"server": "AkamaiGHost", "x-iinfo": "1"}),
        (403, {"server": "nginx", "set-cookie": "sid=1"}),
        (401, {"www-authenticate": "Basic"}),
        (429, {}),
    ],
)
def test_other_answers_bear_no_marks(status: int, headers: dict[str, str]) -> None:
    """A success, a missing page, or a refusal without such headers is the site's own answer."""
    assert not codes.bot_filtered(status, headers)


# Language


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "Chinese_China.936"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "en_GB.UTF-8", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ({"LC_CTYPE": "zh_CN"}, "en"),
    ],
)
def test_language_is_the_first_locale_variable_set(environ: dict[str, str], wanted: str) -> None:
    """LC_ALL precedes LC_MESSAGES, and that LANG; an empty one counts as not set."""
    assert codes.default_language(environ, system_is_chinese=lambda: False) == wanted


def test_system_is_asked_only_where_no_variable_is_set() -> None:
    """Windows' language decides in the absence of locale variables, and yields to any of them."""
    assert codes.default_language({}, system_is_chinese=lambda: True) == "zh"
    assert codes.default_language({"LANG": "en_US"}, system_is_chinese=lambda: True) == "en"


def test_language_of_an_empty_environment_is_a_known_one() -> None:
    """The real system can be asked anywhere without an error."""
    assert codes.default_language() in codes.LANGUAGES


# Cost


def test_import_leaves_the_long_texts_alone() -> None:
    """Importing the room and asking for a row's cells loads neither the long texts nor anything slow.

    The package's own __init__ is kept out of it, for that may load whatever it likes.
    """
    program = (
        "import sys, types, typing, enum, collections.abc\n"
        "package = sys.modules['status_probe'] = types.ModuleType('status_probe')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "before = set(sys.modules)\n"
        "from status_probe import codes\n"
        "codes.meaning(404, 'client_error', 'zh'), codes.hint(None, 'dns_error', 'zh'), codes.verdict(200, 'ok')\n"
        "codes.bot_filtered(403, {}), codes.default_language({})\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    command = [sys.executable, "-c", program, str(Path(codes.__file__).parents[1])]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    loaded = {name.removeprefix("status_probe.codes") for name in run.stdout.split()}
    loaded -= {"annotationlib", "ast", "_ast"}  # which a NamedTuple loads since 3.14
    if sys.platform == "win32":  # what asks it for its language
        loaded -= {"ctypes", "_ctypes", "ctypes._endian", "struct", "_struct"}
    assert loaded == {"__future__", "", ".bots", ".hints", ".outcomes", ".statuses", ".text", ".verdicts"}
