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
from typing import Any

from .connection import Connection
from .limits import Limits, TLSFailed, is_exhaustion
from .opener import Opener
from .proxies import Proxy
from .records import Phase
from .tls import (
    FileName,
    is_matched_by_us,
    load_client_certificate,
    new_context,
    open_context,
    tells_purposes,
    verified_chain,
)
from .urls import InvalidURL, Url, parse_url

__all__ = ["Issuers"]

MOST_STEPS = 3  # certificates left out, one above the other
MOST_TRIES = 3  # for a host: what fails may pass
MOST_HOSTS, MOST_ADDRESSES = 10_000, 200  # to be remembered; beyond them they are tried anew

# In DER the method id-ad-caIssuers, and a uniformResourceIdentifier with its length.
_ADDRESS = re.compile(rb"\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x81?(.)(http://[!-~]+)", re.DOTALL)


class _Nowhere(Exception):  # noqa: N818
    """There is nothing that helps, and trying again would not."""


Fetch = Callable[[Url, Limits], bytes]


class Issuers:
    """Finds what servers leave out, for all threads of a run.

    *ca_bundle* is what the run's context knows its authorities from.  The client certificate, in files as for
    `open_context`, is shown to those only that are verified.
    """

    def __init__(
        self,
        opener: Opener,
        ca_bundle: FileName | None = None,
        client_cert: FileName | None = None,
        client_key: FileName | None = None,
    ) -> None:
        self._opener = opener
        self._ca_bundle = ca_bundle
        self._client_cert = client_cert
        self._client_key = client_key
        self._lock = threading.Lock()  # for whoever changes what follows
        self._tries: dict[str, int] = {}  # in vain, by host
        self._hosts: dict[str, str] = {}  # the address of the issuer by which they were verified last
        self._addresses: dict[str, ssl.SSLContext] = {}  # what verified a server whose issuer's certificate is there

    def connect(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> Connection | None:
        """Connect to the server of *url* with what it leaves out; return None where that is not found.

        It takes no longer than the connect time.  *fetch* returns what is at an address, nothing where that is no file.

        Raises OSError where this machine is at its limits.
        """
        if is_matched_by_us(url.host):
            return None
        limits = limits._replace(deadline=limits.connect_until(), phase=Phase())
        known, connection, tries = self._addresses.get(self._hosts.get(url.host_key, "")), None, 1
        try:
            if known:
                connection = self._open(url, proxy, limits, known)
            if connection is None and self._authorities and self._tries.get(url.host_key, 0) < MOST_TRIES:
                connection = self._search(url, proxy, limits, fetch)
        except _Nowhere:
            tries = MOST_TRIES
        except (OSError, ValueError) as error:  # of any step: then the row tells of the handshake that failed before
            if is_exhaustion(error):
                raise
        if connection is None and url.host_key not in self._hosts:  # else it is another server behind the name
            self._remember(self._tries, url.host_key, self._tries.get(url.host_key, 0) + tries, MOST_HOSTS)
        return connection

    def _search(self, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> Connection | None:
        """Connect with what is where the server's certificate says.

        Raises _Nowhere where it does not say, or what is there does not help.
        """
        address = self._address_at(url, proxy, limits)
        context = self._addresses.get(address.text)
        connection = self._open(url, proxy, limits, context) if context else None
        if connection is None:
            chain = self._chain_from(address, url, proxy, limits, fetch)
            context = new_context()
            context.load_verify_locations(cadata=b"".join(chain[1:]))
            if self._client_cert:
                load_client_certificate(context, self._client_cert, self._client_key)
            connection = self._open(url, proxy, limits, context)
            self._remember(self._addresses, address.text, context, MOST_ADDRESSES)
        if connection:
            self._remember(self._hosts, url.host_key, address.text, MOST_HOSTS)
        return connection

    def _address_at(self, url: Url, proxy: Proxy | None, limits: Limits) -> Url:
        """Return where the server of *url* says that its issuer's certificate is.

        Raises _Nowhere.
        """
        connection = self._opener.open(url, proxy, limits, limits.deadline, open_context(insecure=True))
        certificate = connection.sock.getpeercert(True)
        connection.close()
        return _issuer_address(certificate)

    def _open(self, url: Url, proxy: Proxy | None, limits: Limits, context: ssl.SSLContext) -> Connection | None:
        """Return a connection to the server of *url* if *context* verifies it, None if it does not.

        Raises OSError where that cannot be told.
        """
        try:
            return self._opener.open(url, proxy, limits, limits.deadline, context)
        except TLSFailed as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                return None
            raise

    def _chain_from(self, address: Url, url: Url, proxy: Proxy | None, limits: Limits, fetch: Fetch) -> list[bytes]:
        """Return the chain of the server of *url* up to an authority, with what is at *address* and whither that leads.

        Raises _Nowhere.
        """
        context = new_context()
        for _ in range(MOST_STEPS):
            certificate = _as_der(fetch(address, limits))
            context.load_verify_locations(cadata=certificate)
            self._add_authorities(context)
            connection = self._open(url, proxy, limits, context)
            if connection:
                chain = verified_chain(connection.sock)
                connection.close()
                if any(chain[-1] in known for known in self._authorities.values()):  # not what was fetched itself
                    return chain
            address = _issuer_address(certificate)
        raise _Nowhere

    def _add_authorities(self, context: ssl.SSLContext) -> None:
        """Have *context* know the authorities above what it knows: a few, as it takes 50 ms to load them all."""
        added: set[bytes] = set()
        while True:
            above = (self._authorities.get(each["issuer"], ()) for each in context.get_ca_certs())
            missing = {certificate for certificates in above for certificate in certificates} - added
            if not missing:
                break
            context.load_verify_locations(cadata=b"".join(missing))
            added |= missing

    def _remember(self, table: dict[str, Any], key: str, value: Any, most: int) -> None:
        with self._lock:
            if len(table) >= most:
                table.clear()
            table[key] = value

    @cached_property
    def _authorities(self) -> dict[object, list[bytes]]:
        """The certificates, in DER, of the authorities that the run knows, by their names.

        None where they may be trusted for some purposes only.
        """
        authorities: dict[object, list[bytes]] = {}
        if tells_purposes(self._ca_bundle):
            return authorities
        context = self._opener.load_context()
        for each, certificate in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=False):
            authorities.setdefault(each["subject"], []).append(certificate)
        return authorities


def _issuer_address(certificate: bytes) -> Url:
    """Return where *certificate*, in DER, says that its issuer's is; only over http, as that proves nothing either.

    Raises _Nowhere.
    """
    found = _ADDRESS.search(certificate)
    if found is None:
        raise _Nowhere
    try:
        return parse_url(found[2][: found[1][0]].decode("ascii"))
    except InvalidURL:
        raise _Nowhere from None


def _as_der(certificate: bytes) -> bytes:
    """Return a certificate, in PEM or in DER, in DER.

    Raises ValueError.
    """
    text = certificate.strip()
    return ssl.PEM_cert_to_DER_cert(text.decode("ascii")) if text.startswith(b"-----BEGIN") else certificate
