"""Certificates of issuers that servers leave out: browsers fetch them, so a visitor sees the page.

A server has to send every certificate between its own and an authority's, and many send their own only, which says
where its issuer's is to be had (RFC 5280, section 4.2.2.1, Authority Information Access).  What is to be had there
proves nothing, for anybody can write an address into a certificate.  So a fetched one is first used for a handshake
over which nothing is asked; it becomes known to the run if OpenSSL verified it there, on the way from the server's own
certificate to one of the run's own authorities.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable

from .limits import Limits
from .opener import Opener
from .proxies import Proxy
from .records import Phase
from .tls import is_matched_by_us, open_context, verified_chain
from .urls import InvalidURL, Url, parse_url

__all__ = ["Issuers"]

MOST_STEPS = 3  # certificates left out, one above the other
MOST_GIVEN_UP = 10_000  # hosts; beyond it they are tried anew

# In DER the method id-ad-caIssuers, and a uniformResourceIdentifier with its length.
_ADDRESS = re.compile(rb"\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x81?(.)(http://[!-~]+)", re.DOTALL)

Fetch = Callable[[Url, Limits], bytes]


class Issuers:
    """Finds what servers leave out, for all threads of a run.

    *make_context* makes a TLS context that knows the run's authorities, and no client certificate.
    """

    def __init__(self, opener: Opener, make_context: Callable[[], ssl.SSLContext]) -> None:
        self._opener = opener
        self._make_context = make_context
        self._given_up: set[str] = set()

    def complete(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> bool:
        """Make known what the server of *url* leaves out; return whether that was found, within the connect time.

        *fetch* returns what is at an address, nothing where that is no file.
        """
        if url.host_key in self._given_up:
            return False
        limits = limits._replace(deadline=limits.connect_until(), phase=Phase())
        try:
            issuers = self._missing(url, proxy, limits, fetch)
        except (OSError, ValueError):  # of any step: then the row tells of the handshake that failed before
            issuers = []
        if issuers:
            self._opener.know(issuers)
        else:
            if len(self._given_up) >= MOST_GIVEN_UP:
                self._given_up.clear()
            self._given_up.add(url.host_key)
        return bool(issuers)

    def _missing(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> list[bytes]:
        """Return the certificates between the server's own and an authority, by step after step up, [] for none."""
        connection = self._opener.open(url, proxy, limits, limits.deadline, open_context(insecure=True))
        address = _issuer_address(connection.sock.getpeercert(True))
        connection.close()
        if address is None:
            return []
        context = self._make_context()
        context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN  # or what is fetched would be an authority
        context.check_hostname = not is_matched_by_us(url.host)
        authorities = frozenset(context.get_ca_certs(binary_form=True))
        for _ in range(MOST_STEPS):
            certificate = _as_der(fetch(address, limits))
            context.load_verify_locations(cadata=certificate)
            chain = self._chain_by(context, url, proxy, limits)
            if chain and chain[-1] in authorities:  # whatever else OpenSSL may take for one, fetched as it was
                return chain[1:-1]
            address = _issuer_address(certificate)
            if address is None:
                break
        return []

    def _chain_by(self, context: ssl.SSLContext, url: Url, proxy: Proxy | None, limits: Limits) -> list[bytes]:
        """Return how the server of *url* is verified by *context*, [] where it is not."""
        try:
            connection = self._opener.open(url, proxy, limits, limits.deadline, context)
        except OSError:
            return []
        chain = verified_chain(connection.sock)
        connection.close()
        return chain


def _issuer_address(certificate: bytes) -> Url | None:
    """Return where *certificate*, in DER, says that its issuer's is; only over http, as that proves nothing either."""
    found = _ADDRESS.search(certificate)
    if found is None:
        return None
    try:
        return parse_url(found[2][: found[1][0]].decode("ascii"))
    except InvalidURL:
        return None


def _as_der(certificate: bytes) -> bytes:
    """Return a certificate, in PEM or in DER, in DER.

    Raises ValueError.
    """
    text = certificate.strip()
    return ssl.PEM_cert_to_DER_cert(text.decode("ascii")) if text.startswith(b"-----BEGIN") else certificate
