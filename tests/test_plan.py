"""What a list holds, told without a request."""

from __future__ import annotations

import pytest

from status_probe.options import Options
from status_probe.plan import make_plan, plan_lines
from status_probe.records import Target
from tests.command import run_command

URLS = ["http://a/1", "http://a/2", "http://a/1", "https://b/", "HTTP://A/1", "http://b/", "not a url", "a"]


def targets(urls: list[str]) -> list[Target]:
    return [Target(number, number + 1, url) for number, url in enumerate(urls)]


def test_lines_urls_and_hosts_are_counted() -> None:
    """Repeats count as targets, once as URLs; a host is a name and a port; what is no URL is a bad line."""
    plan = make_plan(targets(URLS), Options())
    assert plan[:4] == (8, 5, 4, 1)
    assert plan.largest[0] == ("a:80", 2)
    assert make_plan(targets(URLS), Options(dedupe=False)).largest[0] == ("a:80", 4)


def test_a_url_without_its_scheme_is_another_one() -> None:
    """The plan counts what a run asks: a host that is listed with and without a scheme is asked twice."""
    plan = make_plan(targets(["https://a/", "a", "a/", "HTTPS://a"]), Options())
    assert plan.distinct == 2
    assert plan.largest == (("a:443", 2),)
    assert make_plan(targets(["https://a/?u=http://x", "a/?u=http://x"]), Options()).distinct == 2


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, 0.0), ({"delay": 3.0}, 3.0), ({"rate": 0.5}, 8.0), ({"delay": 3.0, "rate": 0.5}, 8.0), ({"delay": 9.0}, 9.0)],
)
def test_the_least_time_is_what_the_limits_allow(options: dict[str, float], seconds: float) -> None:
    """The delay counts between the requests of the largest host, the rate between all of them."""
    assert make_plan(targets(URLS), Options(**options)).least_seconds == seconds


def test_an_ipv6_host_stands_in_brackets() -> None:
    """As one writes it in a URL."""
    lines = list(plan_lines(make_plan(targets(["http://[::1]:81/", "http://a/"]), Options()), "en"))
    assert lines[6:] == ["          1  [::1]:81", "          1  a:80"]


def test_an_empty_list_has_a_plan() -> None:
    """Nothing at all is counted as such."""
    assert list(plan_lines(make_plan([], Options()), "en")) == [
        "targets: 0", "distinct URLs: 0", "hosts: 0", "bad lines: 0", "least time: 0 s", "largest hosts:",
    ]  # fmt: skip


def test_only_the_ten_largest_hosts_are_named() -> None:
    """The largest first, and no more than ten."""
    urls = [f"http://host{n}/{k}" for n in range(20) for k in range(n + 1)]
    lines = list(plan_lines(make_plan(targets(urls), Options()), "en"))
    assert lines[6:] == [f"  {n + 1:>9,}  host{n}:80" for n in range(19, 9, -1)]


def test_both_languages_tell_the_same() -> None:
    """The facts are equal, the words are not."""
    plan = make_plan(targets(URLS), Options(delay=200.0))
    english, chinese = list(plan_lines(plan, "en")), list(plan_lines(plan, "zh"))
    assert [line.partition(": ")[2] for line in english[:5]] == [line.partition("：")[2] for line in chinese[:5]]
    assert not {*english[:6]} & {*chinese[:6]}
    assert "0:03:20" in english[4]


def test_the_command_prints_the_plan() -> None:
    """--plan writes to standard output, asks nobody, and needs no output file."""
    ended = run_command("--plan", "--lang", "en", given=b"http://127.0.0.1:9/\nhttp://127.0.0.1:9/x\n")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "targets: 2"
