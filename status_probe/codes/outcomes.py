"""What failures mean and what to do about them, and the causes that a few of them tell apart.

``{hosts}`` in a hint becomes the path of this system's hosts file.
"""

from __future__ import annotations

from status_probe.codes.text import Text

__all__ = ["CAUSE_HINTS", "FAILURE_HINTS", "FAILURE_MEANINGS"]

FAILURE_MEANINGS: dict[str, Text] = {
    "invalid_url": Text("this is no URL that can be asked", "不是有效的网址"),
    "dns_error": Text("the host name could not be resolved", "域名解析失败"),
    "blocked_address": Text("not asked, since its address is not public", "未访问：目标不是公网地址"),
    "connect_refused": Text("the host refused the connection", "主机拒绝连接"),
    "connect_timeout": Text("no connection came about in time", "建立连接超时"),
    "connect_error": Text("the host could not be reached", "无法连接到主机"),
    "proxy_error": Text("the proxy failed", "代理出错"),
    "tls_error": Text("no secure connection came about", "无法建立 TLS 安全连接"),
    "connection_lost": Text("the connection broke before the answer", "连接中断，未收到响应"),
    "read_timeout": Text("connected, but the answer did not come in time", "已连接，但等待响应超时"),
    "deadline_exceeded": Text("not finished within the time allowed", "超过了总时限"),
    "protocol_error": Text("what came back is not HTTP", "返回的不是有效的 HTTP 响应"),
    "redirect_loop": Text("its redirects go round in a circle", "重定向陷入循环"),
    "too_many_redirects": Text("more redirects than allowed", "重定向次数过多"),
    "bad_redirect": Text("redirects to where nobody can follow", "重定向目标无效"),
    "local_error": Text("this machine ran into a limit of its own", "本机资源不足，与网站无关"),
    "internal_error": Text("a fault of this program", "本程序自身出错"),
}

FAILURE_HINTS: dict[str, Text] = {
    "invalid_url": Text(
        "correct the line in the list: a URL looks like https://host/path",
        "请修改列表中的这一行，网址应形如 https://主机名/路径",
    ),
    "dns_error": Text(
        "check the spelling, the entries in {hosts} and this system's resolver; or give an address by --hosts FILE",
        "请检查域名拼写、{hosts} 中的记录和本机的 DNS 设置；也可用 --hosts FILE 直接指定地址",
    ),
    "blocked_address": Text(
        "leave out --public-only, which forbids this address, if an internal host is meant",
        "该地址被 --public-only 禁止；如果确实要访问内网，请去掉这个选项",
    ),
    "connect_refused": Text(
        "nothing listens there, or a firewall says no: check port and scheme; if they are right, the service is down",
        "该端口没有服务，或被防火墙拒绝：请检查端口和协议；如果都没错，就是服务已停止",
    ),
    "connect_timeout": Text(
        "a firewall that drops packets, or a slow line: raise --connect-timeout and lower --workers, or try from "
        "another network",
        "可能是防火墙丢弃了数据包，也可能只是线路慢：请调大 --connect-timeout、调小 --workers，或换个网络再试",
    ),
    "connect_error": Text(
        "there is no way to the host from here: check this machine's network, VPN and IPv6, then try again",
        "从本机到不了该主机：请检查本机网络、VPN 和 IPv6，然后再试",
    ),
    "proxy_error": Text(
        "check address, name and password in --proxy, HTTP_PROXY or HTTPS_PROXY; NO_PROXY lists hosts that need none",
        "请检查 --proxy、HTTP_PROXY 或 HTTPS_PROXY 中的地址、用户名和密码；可用 NO_PROXY 指定直连的主机",
    ),
    "tls_error": Text(
        "see the error column, and what a browser says of the site; or ask all the same by --insecure",
        "具体原因见 error 列，也可用浏览器打开对照；--insecure 可跳过证书校验",
    ),
    "connection_lost": Text(
        "the server or something on the way hung up: try again with a lower --per-host; if it recurs, try --user-agent",
        "服务器或中途的设备断开了连接：请调小 --per-host 再试；如果反复出现，可试试 --user-agent",
    ),
    "read_timeout": Text(
        "a slow page: raise --read-timeout and lower --per-host; or only a slow line: lower --workers",
        "可能是页面响应慢：请调大 --read-timeout、调小 --per-host；也可能只是线路慢：请调小 --workers",
    ),
    "deadline_exceeded": Text(
        "the error column says what used up the time; raise --max-time if it is worth the wait",
        "时间耗在哪一步见 error 列；如果值得等，请调大 --max-time",
    ),
    "protocol_error": Text(
        "perhaps no web server listens there: check port and scheme, and whether a browser can open it",
        "该端口可能不是 Web 服务：请检查端口和协议，并看看浏览器能否打开",
    ),
    "redirect_loop": Text(
        "often a rule about cookies, or http and https that point at each other: open it in a browser, tell the owner",
        "常见原因是 Cookie 规则，或 http 与 https 互相跳转：请用浏览器打开对照，并告知网站维护者",
    ),
    "too_many_redirects": Text(
        "see redirect_chain; raise --max-redirects if it seems to lead anywhere",
        "请查看 redirect_chain 列；如果看起来会有终点，可调大 --max-redirects",
    ),
    "bad_redirect": Text(
        "the error column shows the Location that is malformed or not http(s); only the site's owner can correct it",
        "error 列给出了有误或不属于 http(s) 的 Location，只能由网站维护者修正",
    ),
    "local_error": Text(
        "it says nothing of the site: lower --workers or raise this system's limit of open files, "
        "then --resume --retry-failed",
        "这与网站无关：请调小 --workers，或提高系统的打开文件数上限，再用 --resume --retry-failed 重测",
    ),
    "internal_error": Text(
        "please report it, with what the error column says; the other rows are not concerned",
        "请把 error 列的内容反馈给开发者；其他行不受影响",
    ),
}

CAUSE_HINTS: dict[str, dict[str, Text]] = {
    "dns_error": {
        "unknown": Text(
            "no such name: check the spelling; a name known only in-house needs a line in {hosts} or --hosts FILE, "
            "or its own resolver",
            "域名不存在：请检查拼写；如果是内部域名，请在 {hosts} 中添加记录或用 --hosts FILE 指定，也可改用内部 DNS",
        ),
        "try_again": Text(
            "the resolver failed for the moment: try again later or set another one; "
            "a line in {hosts} or --hosts FILE does without",
            "DNS 服务器暂时出错：请稍后再试或更换 DNS；在 {hosts} 中添加记录或用 --hosts FILE 可以绕过它",
        ),
        "timeout": Text(
            "the resolver did not answer in time: raise --connect-timeout, check this machine's network and resolver; "
            "a line in {hosts} or --hosts FILE does without",
            "DNS 查询超时：请调大 --connect-timeout，并检查本机网络和 DNS 设置；"
            "在 {hosts} 中添加记录或用 --hosts FILE 可免去查询",
        ),
    },
    "tls_error": {
        "expired": Text(
            "the certificate has expired, unless this machine's clock is wrong: the site must renew it; "
            "ask all the same by --insecure",
            "证书已过期（也请核对本机时钟），需由网站更新；--insecure 可不顾证书照常访问",
        ),
        "not_yet_valid": Text(
            "the certificate is not valid yet: most likely this machine's clock is slow, so set it right first",
            "证书尚未生效：多半是本机时钟偏慢，请先校准时间",
        ),
        "self_signed": Text(
            "the site vouches for itself: if you trust it, give its certificate by --ca-bundle FILE, or use --insecure",
            "网站使用自签名证书：如果信任它，请用 --ca-bundle FILE 指定该证书，或使用 --insecure",
        ),
        "unknown_issuer": Text(
            "the site leaves out an intermediate certificate, or its issuer is unknown here: "
            "give the issuer's by --ca-bundle FILE",
            "网站没有发送中间证书，或本机不认识签发机构：可用 --ca-bundle FILE 提供签发机构的证书",
        ),
        "wrong_host": Text(
            "the certificate is for other names: check the host name, with and without www; else the site must mend it",
            "证书与域名不符：请检查域名（带不带 www 也试试）；否则需由网站修正",
        ),
        "wrong_address": Text(
            "the certificate does not cover this IP address: ask by name, with --hosts FILE to fix the address",
            "证书不包含这个 IP 地址：请改用域名访问，需要固定地址时用 --hosts FILE",
        ),
        "handshake_refused": Text(
            "no TLS version or cipher in common, or the server does not know this name: often an outdated server",
            "双方没有共同的 TLS 版本或加密套件，或服务器不认识该域名：多为服务器过旧",
        ),
        "handshake_ended": Text(
            "the server, or what stands before it, hung up: try again later; if it stays so, check name and port",
            "服务器或其前端设备挂断了连接：请稍后再试；如果一直如此，请检查域名和端口",
        ),
        "plain_http": Text(
            "this port does not speak TLS: try http:// in place of https://, or another port",
            "该端口不支持 TLS：请把 https:// 改为 http://，或换个端口",
        ),
        "client_certificate": Text(
            "the server demands a certificate of you: give --client-cert FILE and --client-key FILE",
            "服务器要求客户端证书：请用 --client-cert FILE 和 --client-key FILE 提供",
        ),
    },
}
