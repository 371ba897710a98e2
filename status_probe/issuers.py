"""Certificates of issuers that servers leave out: browsers fetch them, so a visitor sees the page.

A server has to send every certificate between its own and an authority's, and many send their own only, which says
where its issuer's is to be had (RFC 5280, section 4.2.2.1, Authority Information Access).  What is to be had there
proves nothing, for anybody can write an address into a certificate.  So a fetched one is first used for a handshake
over which nothing is asked; it counts if OpenSSL verified it there, on the way from the server's own certificate to one
of the run's own authorities.

Nobody else is concerned: the run's context stays as it is and judges every host first, and what was found at one
address has a context of its own.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from functools import cached_property

from .limits import Limits, TLSFailed, is_exhaustion
from .opener import Opener
from .proxies import Proxy
from .records import Phase
from .tls import is_matched_by_us, new_context, open_context, verified_chain
from .urls import InvalidURL, Url, parse_url

__all__ = ["Issuers"]

MOST_STEPS = 3  # certificates left out, one above the other
MOST_TRIES = 3  # for a host: what fails may pass
MOST_HOSTS, MOST_ADDRESSES = 10_000, 200  # to be remembered; beyond them they are tried anew

# In DER the method id-ad-caIssuers, and a uniformResourceIdentifier with its length.
_ADDRESS = re.compile(rb"\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x81?(.)(http://[!-~]+)", re.DOTALL)

Fetch = Callable[[Url, Limits], bytes]


class Issuers:
    """Finds what servers leave out, for all threads of a run."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._tries: dict[str, int] = {}  # by host
        self._hosts: dict[str, ssl.SSLContext] = {}  # what verifies them
        self._addresses: dict[str, ssl.SSLContext] = {}  # what verified a server whose issuer's certificate is there

    def context_for(self, url: Url) -> ssl.SSLContext | None:
        """Return what verifies the server of *url* if something was found for it, else None."""
        return self._hosts.get(url.host_key)

    def find(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> bool:
        """Look for what the server of *url* leaves out; return whether it was found, within the connect time.

        *fetch* returns what is at an address, nothing where that is no file.

        Raises OSError where this machine is at its limits.
        """
        host = url.host_key
        with self._lock:
            tries = self._tries[host] = self._tries.get(host, 0) + 1
            if len(self._tries) > MOST_HOSTS:
                self._tries.clear()
        if tries > MOST_TRIES or is_matched_by_us(url.host):
            return False
        limits = limits._replace(deadline=limits.connect_until(), phase=Phase())
        try:
            context = self._found(url, proxy, limits, fetch)
        except (OSError, ValueError) as error:  # of any step: then the row tells of the handshake that failed before
            if is_exhaustion(error):
                raise
            return False
        if context is None:
            self._tries[host] = MOST_TRIES
            return False
        if len(self._hosts) >= MOST_HOSTS:
            self._hosts.clear()
        self._hosts[host] = context
        return True

    def _found(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> ssl.SSLContext | None:
        """Return what verifies the server of *url*, None where nothing will."""
        connection = self._opener.open(url, proxy, limits, limits.deadline, open_context(insecure=True))
        address = _issuer_address(connection.sock.getpeercert(True))
        connection.close()
        if address is None:
            return None
        context = self._addresses.get(address.text)
        if context and self._chain_by(context, url, proxy, limits):
            return context
        chain = self._chain_from(address, url, proxy, limits, fetch)
        if not chain:
            return None
        context = new_context()
        context.load_verify_locations(cadata=b"".join(chain[1:]))
        if len(self._addresses) >= MOST_ADDRESSES:
            self._addresses.clear()
        self._addresses[address.text] = context
        return context

    def _chain_from(
        self, address: Url | None, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch
    ) -> list[bytes]:
        """Return the chain of the server of *url* up to an authority, with what is at *address* and whither that leads.

        Nothing where there is none.
        """
        context = new_context()
        for _ in range(MOST_STEPS):
            if address is None:
                break
            certificate = _as_der(fetch(address, limits))
            context.load_verify_locations(cadata=certificate)
            for each in context.get_ca_certs():
                for authority in self._authorities.get(each["issuer"], ()):
                    context.load_verify_locations(cadata=authority)
            chain = self._chain_by(context, url, proxy, limits)
            if chain and any(chain[-1] in known for known in self._authorities.values()):  # not what was fetched itself
                return chain
            address = _issuer_address(certificate)
        return []

    @cached_property
    def _authorities(self) -> dict[object, list[bytes]]:
        """The certificates, in DER, of the authorities that the run knows, by their names."""
        context = self._opener.load_context()
        authorities: dict[object, list[bytes]] = {}
        for each, certificate in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=False):
            authorities.setdefault(each["subject"], []).append(certificate)
        return authorities

    def _chain_by(self, context: ssl.SSLContext, url: Url, proxy: Proxy | None, limits: Limits) -> list[bytes]:
        """Return how the server of *url* is verified by *context*, [] where it is not."""
        try:
            connection = self._opener.open(url, proxy, limits, limits.deadline, context)
        except TLSFailed:
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
