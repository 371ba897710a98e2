"""What the command says on standard error, in English and Chinese."""

from __future__ import annotations

__all__ = ["phase_in", "say_in"]

_MESSAGES = {
    "interrupted": ("interrupted: {rows} rows are kept", "已中断：已保存 {rows} 行结果"),
    "resume": ("to go on: {command}", "继续运行：{command}"),
    "resume_list": (
        "to go on, with the same list on standard input: {command}",
        "继续运行（须从标准输入再次提供同一列表）：{command}",
    ),
    "secrets": ("in it, *** stands for what is not shown", "其中 *** 代表未显示的内容"),
    "unordered": (
        "the rows stay in order of completion: the file could not be replaced ({why})",
        "未能替换结果文件（{why}），各行保持完成时的顺序",
    ),
    "not_removed": (
        'all rows are in the numbered files, but "{path}" could not be removed ({why})',
        '所有结果均已写入编号文件，但未能删除 "{path}"（{why}）',
    ),
    "open_elsewhere": ("; is it open elsewhere?", "；文件是否正被其他程序打开？"),
    "sheet": (
        "more than {limit:,} rows: a spreadsheet will not show them all; --split-rows N writes several files",
        "结果超过 {limit:,} 行，电子表格无法全部显示；可用 --split-rows N 分成多个文件",
    ),
    "waiting": ("{phase} for {seconds:.0f} s: {url}", "{phase}已 {seconds:.0f} 秒：{url}"),
    "held": ("{host} is held back for {seconds:.0f} s more", "{host} 暂缓请求，还需 {seconds:.0f} 秒"),
    "paused": (
        "nothing can be reached: is this machine's network down? trying again",
        "所有主机都无法连接：本机网络是否中断？正在重试",
    ),
    "kept": ("{rows} rows are kept", "已保存 {rows} 行结果"),
}  # fmt: skip

# What an attempt is doing; the beginning of the phase's name decides.
_PHASES = {
    "beginning": "开始",
    "looking up the name": "解析域名",
    "connecting": "建立连接",
    "in the TLS handshake": "TLS 握手",
    "sending the request": "发送请求",
    "waiting for the answer": "等待响应",
    "reading the headers": "读取响应头",
}


def phase_in(lang: str, phase: str) -> str:
    """Return the name of a phase, as an attempt tells it, in *lang*."""
    if lang != "zh":
        return phase
    return next((chinese for english, chinese in _PHASES.items() if phase.startswith(english)), phase)


def say_in(lang: str, name: str, **values: object) -> str:
    """Return the message *name* in *lang*, with *values* filled in."""
    english, chinese = _MESSAGES[name]
    return (chinese if lang == "zh" else english).format(**values)
