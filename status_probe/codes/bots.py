"""The marks that a bot filter leaves in an answer's headers.

Gathered from the vendors' documentation where they have any (Cloudflare, AWS WAF, Vercel, DataDome), else from what
their filters are commonly known by.  They are no proof: a refusal of the site's own passes through the same servers.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["bot_filtered"]

# AWS WAF sends its challenge with 202 and its CAPTCHA with 405.
_STATUSES = frozenset({202, 401, 403, 405, 406, 418, 429, 430, 503, 999})

# Sent only when the filter itself answered.
_ACTED = ("cf-mitigated", "x-amzn-waf-action", "x-vercel-mitigated", "x-dd-b", "x-sucuri-block", "x-kpsdk-ct")

# Sent with every answer of a site that is behind the filter, so they tell something of a refusal only.
_REFUSALS = frozenset({403, 405, 406, 429, 999})
_PRESENT = ("x-datadome", "x-datadome-cid", "x-iinfo", "x-sucuri-id")
_SERVERS = ("cloudflare", "akamaighost", "datadome", "ddos-guard", "sucuri", "yunjiasu", "qrator")
_COOKIES = ("datadome=", "_px", "incap_ses_", "visid_incap_", "_abck=", "aws-waf-token=", "__cf_bm=")


def bot_filtered(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether the answer bears the marks of a bot filter, which may well let a browser in.

    Names in *headers* are in lower case.  Only statuses that such filters send are looked at.
    """
    if status not in _STATUSES:
        return False
    if any(name in headers for name in _ACTED) or any(_names_challenge(name) for name in headers):
        return True
    if status == 503:  # Cloudflare has challenged with it; from others it is mostly the site's own trouble
        return _server(headers).startswith("cloudflare")
    return status in _REFUSALS and _is_behind_filter(headers)


def _names_challenge(name: str) -> bool:
    return "challenge" in name or "captcha" in name


def _is_behind_filter(headers: Mapping[str, str]) -> bool:
    if any(name in headers for name in _PRESENT) or _server(headers).startswith(_SERVERS):
        return True
    cookies = headers.get("set-cookie", "").lower()
    return any(name in cookies for name in _COOKIES)


def _server(headers: Mapping[str, str]) -> str:
    return headers.get("server", "").lower()
