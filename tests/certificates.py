"""The tests' own authority, and a TLS server context for each way a certificate can be good or bad.

All are made once a run.  The good leaf is for localhost, ::1, 127.0.0.1 to 127.0.0.40, a.test to z.test and
``*.host.test``: OpenSSL honours no ``*.test``, a star needs two labels behind it.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import string
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["CERTIFICATES", "ca_file", "client_certificate_files", "server_context"]

NAMES = (
    "localhost", "*.host.test", *(f"{letter}.test" for letter in string.ascii_lowercase),
    "::1", *(f"127.0.0.{number}" for number in range(1, 41)),
)  # fmt: skip


@cache
def authority() -> trustme.CA:
    """The authority that ca_file() trusts."""
    return trustme.CA()


def ca_file(folder: Path) -> Path:
    """Write the authority's certificate into *folder*, and return its path: what --ca-bundle wants."""
    path = folder / "authority.pem"
    path.write_bytes(authority().cert_pem.bytes())
    return path


def client_certificate_files(folder: Path) -> tuple[Path, Path]:
    """Write a client certificate of the authority and its key into *folder*, and return their paths."""
    leaf = authority().issue_cert("client@host.test")
    certificate, key = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return certificate, key


class NamedSocket(ssl.SSLSocket):
    """A server's TLS socket that remembers the name it was asked for."""

    server_name: str | None = None


@cache
def server_context(
    certificate: str = "good",
    *,
    wants_client: bool = False,
    highest: ssl.TLSVersion | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """Return a server's context with one of CERTIFICATES.

    With *wants_client* a certificate of the authority is demanded.  *highest* is the highest version spoken, and
    *ciphers* are those below TLS 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = NamedSocket
    context.sni_callback = _remember_name
    CERTIFICATES[certificate]().configure_cert(context)
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        authority().configure_trust(context)
    if highest is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
            context.maximum_version = highest
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context


def _remember_name(sock: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    if isinstance(sock, NamedSocket):
        sock.server_name = name


def _expired() -> trustme.LeafCert:
    return authority().issue_cert(*NAMES, not_after=datetime.datetime(2001, 1, 1))


def _not_yet_valid() -> trustme.LeafCert:
    return authority().issue_cert(*NAMES, not_before=datetime.datetime(2999, 1, 1))


def _missing_intermediate() -> trustme.LeafCert:
    leaf = authority().create_child_ca().issue_cert(*NAMES)
    return trustme.LeafCert(leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes(), [])


def _self_signed() -> trustme.LeafCert:
    return _plain_leaf("self-signed", None)


def _without_key_identifier() -> trustme.LeafCert:
    return _plain_leaf("no authority key identifier", authority())


def _plain_leaf(subject: str, issuer: trustme.CA | None) -> trustme.LeafCert:
    """Return a leaf as small tools make it: names, and no other extension; signed by itself where *issuer* is None."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = issuer_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    signing_key: Any = key
    if issuer is not None:
        issuer_name = x509.load_pem_x509_certificate(issuer.cert_pem.bytes()).subject
        signing_key = serialization.load_pem_private_key(issuer.private_key_pem.bytes(), None)
    certificate = (
        x509.CertificateBuilder(issuer_name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1))
        .not_valid_after(datetime.datetime(2999, 1, 1))
        .add_extension(x509.SubjectAlternativeName([_general_name(text) for text in NAMES]), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_pem = key.private_bytes(pem, private, serialization.NoEncryption())
    return trustme.LeafCert(key_pem, certificate.public_bytes(pem), [])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


# Name, and what makes it.  In brackets the verify_code of ssl.SSLCertVerificationError that a client sees.
CERTIFICATES: dict[str, Callable[[], trustme.LeafCert]] = {
    "good": lambda: authority().issue_cert(*NAMES),
    "rsa": lambda: authority().issue_cert(*NAMES, key_type=trustme.KeyType.RSA),
    "expired": _expired,  # [10]
    "not_yet_valid": _not_yet_valid,  # [9]
    "self_signed": _self_signed,  # [18]
    "unknown_issuer": lambda: trustme.CA().issue_cert(*NAMES),  # [20]
    "missing_intermediate": _missing_intermediate,  # [20]
    "elsewhere": lambda: authority().issue_cert("elsewhere.test", "192.0.2.1"),  # [62] for a name, [64] for an address
    "without_key_identifier": _without_key_identifier,  # good; refused by VERIFY_X509_STRICT, 3.13's default [92]
}
