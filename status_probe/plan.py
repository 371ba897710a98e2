"""``--plan``: what a list holds and the least time that the limits allow, without asking anything."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .console import plain
from .options import Options
from .records import Target
from .urls import InvalidURL, has_scheme, parse_url, show_host

__all__ = ["Plan", "make_plan", "plan_lines"]

_LARGEST = 10

_LABELS = {
    "en": ("targets: ", "distinct URLs: ", "hosts: ", "bad lines: ", "least time: ", "largest hosts:"),
    "zh": ("目标：", "不同的网址：", "主机：", "无效行：", "最短用时：", "网址最多的主机："),
}
_SECONDS = {"en": "{} s", "zh": "{} 秒"}


class Plan(NamedTuple):
    """What a run would do."""

    targets: int
    distinct: int  # URLs
    hosts: int
    bad_lines: int
    largest: tuple[tuple[str, int], ...]  # host and its requests, the largest first
    least_seconds: float  # that --delay and --rate allow, redirects and retries aside


def make_plan(targets: Iterable[Target], options: Options) -> Plan:
    """Read *targets* to their end."""
    seen: set[int] = set()  # hashes: a few million URLs fit into memory
    hosts: Counter[str] = Counter()
    count = bad = 0
    for target in targets:
        count += 1
        try:
            url = None if target.fault else parse_url(target.url, options.first_scheme)
        except InvalidURL:
            url = None
        if url is None:
            bad += 1
            continue
        key = hash((has_scheme(target.url), url))  # as a run has it: a scheme that is listed is not one that is tried
        is_new = key not in seen
        seen.add(key)
        if is_new or not options.dedupe:
            hosts[url.host_key] += 1
    most = max(hosts.values(), default=0)
    least = max(options.delay * max(0, most - 1), max(0, hosts.total() - 1) / options.rate if options.rate else 0.0)
    return Plan(count, len(seen), len(hosts), bad, tuple(hosts.most_common(_LARGEST)), least)


def plan_lines(plan: Plan, lang: str) -> Iterator[str]:
    """Yield *plan* as text, one line a fact."""
    facts = [f"{number:,}" for number in plan[:4]] + [_duration(plan.least_seconds, lang), ""]
    for label, fact in zip(_LABELS[lang], facts, strict=True):
        yield label + fact
    for host, number in plan.largest:
        yield f"  {number:>9,}  {plain(show_host(host))}"


def _duration(seconds: float, lang: str) -> str:
    whole = math.ceil(seconds)
    return _SECONDS[lang].format(whole) if whole < 120 else f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
