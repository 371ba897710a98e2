"""What to do about a status: the next step for those where there is one."""

from __future__ import annotations

from status_probe.codes.text import Text

__all__ = ["BOT_HINT", "CLASS_HINTS", "MOVED_HINT", "STATUS_HINTS"]

BOT_HINT = Text(
    "most likely a bot filter's answer, and a browser may well be let in: open it by hand, or slow down with --delay",
    "多半是反爬系统的响应，用浏览器很可能可以打开：请人工核对，或用 --delay 放慢速度",
)
MOVED_HINT = Text(
    "the page has moved for good: put final_url in the place of this link",
    "页面已永久迁移：请把链接更新为 final_url 中的地址",
)

_NOT_FOLLOWED = Text(
    "not followed: --max-redirects forbids it, or the server sent no Location",
    "未跟随跳转：受 --max-redirects 限制，或服务器没有给出 Location",
)
_NOT_FOLLOWED_FOR_GOOD = Text(
    "moved for good, but not followed: raise --max-redirects to learn where to, unless the server sent no Location",
    "已永久迁移，但未跟随跳转：请调大 --max-redirects 查明新地址，除非服务器没有给出 Location",
)
_CONDITIONAL = Text(
    "leave conditions such as If-None-Match out of --header",
    "请从 --header 中去掉 If-None-Match 之类的条件",
)
_RANGE = Text("leave Range out of --header to get the whole", "请从 --header 中去掉 Range，以获取完整内容")
_SHORTER_HEADERS = Text(
    "send less with --header, cookies above all, or shorten the URL",
    "请精简 --header（尤其是 Cookie）或缩短网址",
)
_LOG_IN = Text(
    'log in with a browser and send what it got: --header "Cookie: ..." or --header "Authorization: ..."',
    '请先用浏览器登录，再用 --header "Cookie: ..." 或 --header "Authorization: ..." 带上凭据',
)
_CLIENT_CERTIFICATE = Text(
    "give a certificate the server trusts by --client-cert FILE and --client-key FILE",
    "请用 --client-cert FILE 和 --client-key FILE 提供服务器信任的证书",
)
_SLOWER = Text(
    "ask more slowly: --per-host 1, a --delay, a --rate; and wait as long as Retry-After says",
    "请放慢速度：使用 --per-host 1、--delay 或 --rate，并按 Retry-After 的要求等待",
)
_ANOTHER_CLIENT = Text(
    "open it in a browser: if that is let in, try --user-agent and a --delay",
    "请用浏览器打开对照：如果能打开，可试试 --user-agent 和 --delay",
)
_GET = Text(
    "ask with --method get; if that is what was asked, the address is not meant for readers",
    "请改用 --method get；如果用的就是 GET，说明该地址不是供人浏览的",
)
_AGAIN = Text("ask again, or raise --retries", "请重新检测，或调大 --retries")
_LATER = Text(
    "try again later; if it stays so, tell the site's owner",
    "请稍后再试；如果一直如此，请告知网站维护者",
)
_ORIGIN_DOWN = Text(
    "the site's own server behind the CDN is at fault: try again later, else only its owner can mend it",
    "故障出在 CDN 后面的源站：请稍后再试，否则只能由网站维护者修复",
)
_PATIENCE = Text(
    "try again later, with a longer --read-timeout and --max-time",
    "请稍后再试，并调大 --read-timeout 和 --max-time",
)

STATUS_HINTS: dict[int, Text] = {
    101: Text("leave Upgrade out of --header", "请从 --header 中去掉 Upgrade"),
    206: _RANGE,
    300: Text(
        "open it in a browser and put the version you want into the list", "请用浏览器打开，把所需版本的地址填入列表"
    ),
    301: _NOT_FOLLOWED_FOR_GOOD,
    302: _NOT_FOLLOWED,
    303: _NOT_FOLLOWED,
    304: _CONDITIONAL,
    305: Text("if you trust that proxy, give it by --proxy", "如果信任该代理，请用 --proxy 指定"),
    307: _NOT_FOLLOWED,
    308: _NOT_FOLLOWED_FOR_GOOD,
    400: Text(
        "check the URL for stray characters, and what --header adds",
        "请检查网址中有无多余字符，以及 --header 添加的内容",
    ),
    401: _LOG_IN,
    402: Text("open it in a browser to see who wants to be paid", "请用浏览器打开，看看是谁要求付费"),
    403: Text(
        "open it in a browser: if that is let in, try --user-agent; if it asks for a login, use --header",
        "请用浏览器打开对照：如果能打开，可试试 --user-agent；如果需要登录，请用 --header 带上凭据",
    ),
    404: Text(
        "check the spelling, find the page's new address, or drop the link", "请检查拼写、查找页面的新地址，或删除链接"
    ),
    405: _GET,
    406: _ANOTHER_CLIENT,
    407: Text(
        "give name and password for the proxy: --proxy http://name:password@host:port",
        "请提供代理的用户名和密码：--proxy http://用户名:密码@主机:端口",
    ),
    408: _AGAIN,
    410: Text("drop the link, or put another page in its place", "请删除链接，或换成其他页面"),
    412: _CONDITIONAL,
    414: Text(
        "shorten the URL; redirect_chain shows whether redirects make it grow",
        "请缩短网址；重定向是否使它变长，见 redirect_chain 列",
    ),
    416: _RANGE,
    417: Text("leave Expect out of --header", "请从 --header 中去掉 Expect"),
    418: _ANOTHER_CLIENT,
    419: _LOG_IN,
    420: _SLOWER,
    421: Text(
        "see whether --proxy or --hosts leads to the wrong server", "请检查 --proxy 或 --hosts 是否指向了错误的服务器"
    ),
    425: _AGAIN,
    426: Text(
        "try https:// in place of http://; this program speaks HTTP/1.1 only",
        "请把 http:// 改为 https://；本程序只支持 HTTP/1.1",
    ),
    429: _SLOWER,
    430: _ANOTHER_CLIENT,
    431: _SHORTER_HEADERS,
    440: _LOG_IN,
    444: _ANOTHER_CLIENT,
    450: Text("ask whoever administers this computer", "请联系这台电脑的管理员"),
    451: Text("keep the link: elsewhere it may be open to readers", "可保留链接：其他国家或地区的读者也许能够访问"),
    460: _PATIENCE,
    463: Text(
        "leave X-Forwarded-For out of --header, and look at --proxy",
        "请从 --header 中去掉 X-Forwarded-For，并检查 --proxy",
    ),
    494: _SHORTER_HEADERS,
    495: _CLIENT_CERTIFICATE,
    496: _CLIENT_CERTIFICATE,
    497: Text("put https:// in place of http:// in the list", "请在列表中把 http:// 改为 https://"),
    498: _LOG_IN,
    499: _PATIENCE,
    501: _GET,
    503: Text(
        "try again later; with more --retries it is asked again as Retry-After says, up to --max-retry-wait",
        "请稍后再试；调大 --retries 后会按 Retry-After 自动重试，最长等待 --max-retry-wait",
    ),
    504: _PATIENCE,
    509: Text("try again next month, or tell the site's owner", "请下个月再试，或告知网站维护者"),
    511: Text(
        "log in to this network with a browser, then run again: what came so far may not be the sites' own",
        "请先用浏览器登录所在网络再重新检测：此前的结果可能不是网站自身的响应",
    ),
    520: _ORIGIN_DOWN,
    521: _ORIGIN_DOWN,
    522: _ORIGIN_DOWN,
    523: _ORIGIN_DOWN,
    524: _ORIGIN_DOWN,
    525: _ORIGIN_DOWN,
    526: _ORIGIN_DOWN,
    527: _ORIGIN_DOWN,
    529: Text("wait some minutes, then ask with a lower --rate", "请等几分钟，再用较低的 --rate 检测"),
    530: _ORIGIN_DOWN,
    999: Text(
        "this site lets no program in: open the link in a browser, its status here says nothing",
        "该网站不允许程序访问：请用浏览器打开链接，这里的状态不说明问题",
    ),
}

# For the statuses that are not above, by the outcome; what is ok needs nothing.
CLASS_HINTS: dict[str, Text] = {
    "redirect": Text("open it in a browser to see whether it leads anywhere", "请用浏览器打开，看看能否到达页面"),
    "client_error": Text(
        "open it in a browser: if it works there, try --method get or --user-agent or --header",
        "请用浏览器打开对照：如果正常，可试试 --method get、--user-agent 或 --header",
    ),
    "server_error": _LATER,
    "nonstandard": Text(
        "open it in a browser, since this answer is not of HTTP's making",
        "请用浏览器打开对照，这不是 HTTP 规定的响应",
    ),
}
