"""A text in each of the languages, and which of them the user reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["LANGUAGES", "Text", "default_language"]

LANGUAGES = ("en", "zh")


class Text(NamedTuple):
    """The same thing said in English and in simplified Chinese."""

    en: str
    zh: str

    def say(self, lang: str) -> str:
        """Return the text in *lang*.

        Raises ValueError if *lang* is not one of LANGUAGES.
        """
        if lang == "en":
            return self.en
        if lang == "zh":
            return self.zh
        raise ValueError(f"unknown language {lang!r}, not one of {', '.join(LANGUAGES)}")


def _windows_speaks_chinese() -> bool:
    """Return whether Windows shows its menus in Chinese; False on other systems."""
    if sys.platform != "win32":
        return False
    import ctypes  # here, since elsewhere it would be loaded for nothing

    try:
        language: int = ctypes.windll.kernel32.GetUserDefaultUILanguage()
    except (AttributeError, OSError):  # a Windows cut down to less than this
        return False
    return language & 0x3FF == 0x04  # the low ten bits are the primary language, and 4 is LANG_CHINESE


def default_language(
    environ: Mapping[str, str] | None = None, *, system_is_chinese: Callable[[], bool] = _windows_speaks_chinese
) -> str:
    """Return the language of *environ*, os.environ if None: "zh" for any Chinese locale, else "en".

    The first of LC_ALL, LC_MESSAGES and LANG that is not empty decides, as POSIX has it.  Where none is set,
    *system_is_chinese* is asked, which knows of Windows only.
    """
    if environ is None:
        environ = os.environ
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG")
    if not locale:
        return "zh" if system_is_chinese() else "en"
    # zh_CN.UTF-8, zh-Hans; Windows' own spelling is Chinese_China.936
    return "zh" if locale.lower().startswith(("zh", "chinese")) else "en"
