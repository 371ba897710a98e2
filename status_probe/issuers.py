"""Certificates of issuers that servers leave out: browsers fetch them, so a visitor sees the page.

A server has to send every certificate between its own and an authority's, and many send their own only, which says
where its issuer's is to be had (RFC 5280, section 4.2.2.1, Authority Information Access).  What is to be had there
proves nothing, for anybody can write an address into a certificate.  So a fetched one is first used for a handshake
over which nothing is asked; it is known from then on if OpenSSL verified it there, on the way from the server's own
certificate to one of the run's own authorities.  The run's own context stays as it is, and judges every host first.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable

from .limits import Limits
from .opener import Opener
from .proxies import Proxy
from .records import Phase
from .tls import is_matched_by_us, open_context, verified_chain
from .urls import InvalidURL, Url, parse_url

__all__ = ["Issuers"]

MOST_STEPS = 3  # certificates left out, one above the other
MOST_HOSTS = 10_000  # to be remembered; beyond it they are tried anew

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
        self._context: ssl.SSLContext | None = None  # of the authorities, and of issuers found
        self._lock = threading.Lock()
        self._found: dict[str, bool] = {}  # by host, whether that one verifies it

    def context_for(self, url: Url) -> ssl.SSLContext | None:
        """Return what verifies the server of *url* if something was found for it, else None."""
        return self._context if self._found.get(url.host_key) else None

    def find(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> bool:
        """Look for what the server of *url* leaves out; return whether it was found, within the connect time.

        *fetch* returns what is at an address, nothing where that is no file.
        """
        if is_matched_by_us(url.host):
            return False
        if url.host_key in self._found:
            return self._found[url.host_key]  # meanwhile, by another thread
        limits = limits._replace(deadline=limits.connect_until(), phase=Phase())
        try:
            is_found = self._is_known(url, proxy, limits) or self._is_learnt(url, proxy, limits, fetch)
        except (OSError, ValueError):  # of any step: then the row tells of the handshake that failed before
            is_found = False
        if len(self._found) >= MOST_HOSTS:
            self._found.clear()
        self._found[url.host_key] = is_found
        return is_found

    def _is_known(self, url: Url, proxy: Proxy | None, limits: Limits) -> bool:
        """Whether it was found for another host before."""
        return self._context is not None and bool(self._chain_by(self._context, url, proxy, limits))

    def _is_learnt(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> bool:
        """Whether it is to be had where the certificates say, by step after step up."""
        connection = self._opener.open(url, proxy, limits, limits.deadline, open_context(insecure=True))
        address = _issuer_address(connection.sock.getpeercert(True))
        connection.close()
        if address is None:
            return False
        context = self._new_context()
        authorities = frozenset(context.get_ca_certs(binary_form=True))
        for _ in range(MOST_STEPS):
            certificate = _as_der(fetch(address, limits))
            context.load_verify_locations(cadata=certificate)
            chain = self._chain_by(context, url, proxy, limits)
            if chain and chain[-1] in authorities:  # whatever else OpenSSL may take for one, fetched as it was
                self._learn(chain[1:-1])
                return True
            address = _issuer_address(certificate)
            if address is None:
                break
        return False

    def _learn(self, issuers: list[bytes]) -> None:
        """Know verified *issuers* from now on."""
        with self._lock:
            if self._context is None:
                self._context = self._new_context()
            self._context.load_verify_locations(cadata=b"".join(issuers))

    def _new_context(self) -> ssl.SSLContext:
        context = self._make_context()
        context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN  # or an issuer would be as good as an authority
        return context

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
