"""What becomes of a link: alive, moved, dead, blocked, broken or unsure, by tables."""

from __future__ import annotations

from status_probe.codes.text import Text

__all__ = ["ANSWERS", "VERDICTS", "verdict", "verdict_meaning", "verdict_name"]

VERDICTS = ("alive", "moved", "dead", "blocked", "broken", "unsure")  # in the order in which they are shown

ANSWERS = frozenset({"ok", "redirect", "client_error", "server_error", "nonstandard"})

_NAMES: dict[str, Text] = {
    "alive": Text("alive", "正常"),
    "moved": Text("moved", "已迁移"),
    "dead": Text("dead", "失效"),
    "blocked": Text("blocked", "受阻"),
    "broken": Text("broken", "故障"),
    "unsure": Text("unsure", "待定"),
}
_MEANINGS: dict[str, Text] = {
    "alive": Text("it works", "可以访问"),
    "moved": Text("it works after a permanent redirect: update the link", "永久重定向后可以访问：请更新链接"),
    "dead": Text("the page or its host does not exist: drop the link", "页面或域名不存在：请删除链接"),
    "blocked": Text(
        "refused to this program, perhaps not to a reader: look by hand", "拒绝本程序访问，读者未必受限：请人工核对"
    ),
    "broken": Text("the site is at fault: tell its owner, or try later", "网站有故障：请告知维护者，或稍后再试"),
    "unsure": Text("nothing certain came of it: check again", "未能得出结论：请重新检测"),
}

_BY_OUTCOME: dict[str, str] = {
    "ok": "alive",
    "redirect": "alive",  # the server gave the answer it meant to give; --accept takes a 3xx for good, too
    "client_error": "broken",  # what is listed below apart, the address cannot be opened as it stands
    "server_error": "broken",
    "nonstandard": "broken",  # RFC 9110 §15 has a client treat an invalid code as a server error
    "invalid_url": "broken",  # not dead: there may be a page behind a mistyped line, and it is the line to mend
    "dns_error": "dead",
    "blocked_address": "unsure",  # our own rule, so nobody was asked
    "connect_refused": "broken",  # the host is there and says that the service is not, which may be mended
    "connect_timeout": "unsure",
    "connect_error": "unsure",  # no route may as well be this machine's fault
    "proxy_error": "unsure",  # our proxy, not the site
    "tls_error": "broken",
    "connection_lost": "unsure",
    "read_timeout": "unsure",
    "deadline_exceeded": "unsure",
    "protocol_error": "broken",
    "redirect_loop": "broken",  # cookies are kept along a chain, so a browser would mostly go round, too
    "too_many_redirects": "unsure",  # the limit is ours: one more might have led to the page
    "bad_redirect": "broken",
    "local_error": "unsure",
    "internal_error": "unsure",
}

_BY_STATUS: dict[int, str] = {
    301: "moved",  # not followed, but the server itself says so
    308: "moved",
    401: "blocked",
    402: "blocked",  # whoever pays is let in
    403: "blocked",
    404: "dead",
    406: "blocked",  # by firewalls mostly: whatever is asked, we accept it
    407: "blocked",
    408: "unsure",  # a time-out like any other
    410: "dead",
    418: "blocked",  # no teapots answer but filters do
    420: "blocked",
    423: "blocked",
    425: "unsure",  # to be repeated after the handshake
    429: "blocked",
    430: "blocked",
    440: "blocked",
    444: "blocked",
    450: "blocked",
    451: "blocked",
    460: "unsure",  # these two say that the client hung up
    495: "blocked",
    496: "blocked",
    498: "blocked",
    499: "unsure",
    511: "unsure",  # it comes from the network in between and says nothing of the site
    561: "blocked",
    999: "blocked",
}

_BY_CAUSE: dict[tuple[str, str], str] = {
    ("dns_error", "failed"): "unsure",
    ("dns_error", "try_again"): "unsure",
    ("dns_error", "timeout"): "unsure",
    ("tls_error", "client_certificate"): "blocked",
}


def verdict(
    status: int | None, outcome: str, *, permanent_redirect: bool = False, bot: bool = False, cause: str = ""
) -> str:
    """Return which of VERDICTS a row gets.

    *permanent_redirect* says that a 301 or 308 was followed on the way, *bot* that the answer bears marks of a bot
    filter; *cause* is as for a hint.
    """
    if outcome not in ANSWERS:
        return _BY_CAUSE.get((outcome, cause)) or _BY_OUTCOME[outcome]
    if bot:
        return "blocked"
    if outcome == "ok":
        return "moved" if permanent_redirect else "alive"
    return _BY_STATUS.get(status or 0) or _BY_OUTCOME[outcome]


def verdict_name(verdict: str, lang: str) -> str:
    """Return the word for *verdict* that the summary shows."""
    return _NAMES[verdict].say(lang)


def verdict_meaning(verdict: str, lang: str) -> str:
    """Return in a few words what *verdict* means and calls for."""
    return _MEANINGS[verdict].say(lang)
