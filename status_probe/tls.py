"""The one TLS context of a run, handshakes with it, and why one failed.

A context is loaded once: requests has certifi's bundle parsed for each connection, 22 to 31 ms each.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .limits import HANDSHAKE, ConnectionLost, Limits, TLSFailed, causes
from .watchdog import TLSSocket, Watchdog

__all__ = [
    "BUNDLE_VARIABLES", "FileName", "bundle_from_environment", "explain_tls", "is_matched_by_us", "lacks_issuer",
    "load_client_certificate", "new_context", "open_context", "start_tls", "tells_purposes", "verified_chain",
]  # fmt: skip

FileName = str | os.PathLike[str]

BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

# OpenSSL 3 refuses servers without secure renegotiation (RFC 5746); browsers do not.  The constant is 3.12's.
_OP_LEGACY_SERVER_CONNECT = 0x4

# What browsers offer below TLS 1.3.  Python's own list lacks CBC with SHA-1 and plain RSA, which old servers are left
# with; and it has DHE, which no browser offers, so that a server that prefers a short DHE key fails for us alone.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!DSS:!AESCCM"

_WRONG_HOST = 62
_UNKNOWN_ISSUER = ("unknown_issuer", "the certificate's issuer is not known, or an intermediate certificate is missing")
_SHORT_KEY = ("other", "the certificate's key is too short")
_WEAK_SIGNATURE = ("other", "the certificate is signed with an algorithm that is no longer safe")

# What X509_verify_cert says (openssl/x509_vfy.h): a cause, and a sentence for the owner of the site.
_CERTIFICATE_FAULTS: Mapping[int, tuple[str, str]] = {
    2: _UNKNOWN_ISSUER,
    9: ("not_yet_valid", "the certificate is not yet valid"),
    10: ("expired", "the certificate has expired"),
    18: ("self_signed", "the certificate is self-signed"),
    19: ("self_signed", "the certificate chain ends in a self-signed certificate that is not trusted"),
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: ("other", "the certificate was revoked"),
    _WRONG_HOST: ("wrong_host", "the certificate is for another host name"),
    64: ("wrong_address", "the certificate is not for this IP address"),
    66: _SHORT_KEY,
    67: ("other", "the key of the certificate's issuer is too short"),
    68: _WEAK_SIGNATURE,
}

_FAILED = ("handshake_refused", "the TLS handshake failed")
_PLAIN_HTTP = ("plain_http", "the server does not speak TLS on this port (plain HTTP?)")
_CLIENT_CERTIFICATE_REFUSED = ("client_certificate", "the server did not accept the client certificate")
_CLIENT_CERTIFICATE = ("client_certificate", "the server wants a client certificate")
_HANDSHAKE_FAULTS: Mapping[str, tuple[str, str]] = {
    "WRONG_VERSION_NUMBER": _PLAIN_HTTP,
    "HTTP_REQUEST": _PLAIN_HTTP,
    "UNKNOWN_PROTOCOL": _PLAIN_HTTP,
    "RECORD_LAYER_FAILURE": _PLAIN_HTTP,  # OpenSSL 3.2 and later for the first of these
    "PACKET_LENGTH_TOO_LONG": _PLAIN_HTTP,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _CLIENT_CERTIFICATE,
    "TLSV1_ALERT_PROTOCOL_VERSION": ("handshake_refused", "the server refused the TLS versions offered"),
    "UNSUPPORTED_PROTOCOL": ("handshake_refused", "the server speaks only TLS versions that are no longer safe"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "handshake_refused", "the server refused the TLS handshake, or wants a client certificate"
    ),
    "TLSV1_UNRECOGNIZED_NAME": ("handshake_refused", "the server knows no certificate for this host name"),
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": (
        "handshake_refused", "the server does not speak HTTP/1.1 over TLS; perhaps it speaks HTTP/2 only"
    ),
    "TLSV1_ALERT_UNRECOGNIZED_NAME": ("handshake_refused", "the server knows no certificate for this host name"),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": ("handshake_refused", "the server refused the TLS ciphers offered"),
    "TLSV1_ALERT_INTERNAL_ERROR": ("handshake_refused", "the server broke off the TLS handshake by a fault of its own"),
    "SSLV3_ALERT_BAD_CERTIFICATE": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _CLIENT_CERTIFICATE_REFUSED,
    "TLSV1_ALERT_UNKNOWN_CA": _CLIENT_CERTIFICATE_REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": ("handshake_refused", "the server denied access in the TLS handshake"),
    "EE_KEY_TOO_SMALL": _SHORT_KEY,
    "CA_MD_TOO_WEAK": _WEAK_SIGNATURE,
}


def bundle_from_environment() -> str | None:
    """Return the CA bundle that the environment names, or None.

    Raises ValueError that names the variable if it names a missing file.
    """
    for variable in BUNDLE_VARIABLES:
        value = os.environ.get(variable)
        if value:
            if not Path(value).exists():
                raise ValueError(f"{variable} names '{value}', which does not exist")
            return value
    return None


def open_context(
    ca_bundle: FileName | None = None,
    client_cert: FileName | None = None,
    client_key: FileName | None = None,
    *,
    insecure: bool = False,
) -> ssl.SSLContext:
    """Return a context that trusts *ca_bundle* (a file or a folder), or else certifi's and the system's store.

    Certificates are judged equally on all versions of Python: 3.13 began to refuse a leaf without an authority key
    identifier (VERIFY_X509_STRICT, python/cpython#138193), which browsers accept.

    Raises ValueError if a file cannot be used.
    """
    context = new_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _load_authorities(context, ca_bundle)
    if client_cert:
        load_client_certificate(context, client_cert, client_key)
    return context


def new_context() -> ssl.SSLContext:
    """Return a context that trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TLSSocket
    context.hostname_checks_common_name = False  # as browsers; RFC 9110, section 4.3.4
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    context.options |= _OP_LEGACY_SERVER_CONNECT
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_authorities(context: ssl.SSLContext, ca_bundle: FileName | None) -> None:
    if ca_bundle is None:
        import certifi

        context.load_default_certs()
        context.load_verify_locations(certifi.where())
        return
    is_folder = Path(ca_bundle).is_dir()
    try:
        context.load_verify_locations(None if is_folder else ca_bundle, ca_bundle if is_folder else None)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"cannot use the CA bundle '{ca_bundle}': {_file_fault(error)}") from error


def tells_purposes(ca_bundle: FileName | None) -> bool:
    """Whether the bundle, or else the system's, may say for what each certificate is trusted.

    OpenSSL heeds that ("TRUSTED CERTIFICATE"), and the ssl module does not tell of it; nor of what is in a folder.
    """
    path = ca_bundle or ssl.get_default_verify_paths().cafile
    return path is not None and (not Path(path).is_file() or b"TRUSTED CERTIFICATE" in Path(path).read_bytes())


def load_client_certificate(context: ssl.SSLContext, cert: FileName, key: FileName | None) -> None:
    """Have *context* show a certificate of ours to servers that ask for one.

    Raises ValueError if the files cannot be used.
    """

    def refuse_prompt() -> str:  # OpenSSL would ask on the terminal, and wait
        raise ValueError(f"cannot use the client key '{key or cert}': it is protected by a password")

    try:
        context.load_cert_chain(cert, key, password=refuse_prompt)
    except OSError as error:
        raise ValueError(f"cannot use the client certificate '{cert}': {_file_fault(error)}") from error
    context.post_handshake_auth = True  # Apache asks so for one by path: RFC 8446, section 4.6.2


def _file_fault(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the key does not fit" if "MISMATCH" in (error.reason or "") else "it holds no valid PEM"
    return (error.strerror or "it cannot be read").lower()


def is_matched_by_us(host: str) -> bool:
    """Whether OpenSSL does not match *host* as browsers do: for it ``*.a.test`` covers no ``foo_bar.a.test``.

    Its context has ``check_hostname`` off then, and `_match_host` is to follow.  Seen: openssl/openssl#12566.
    """
    return "_" in host.partition(".")[0] and ":" not in host  # no zone of IPv6


def start_tls(
    sock: Any, host: str, context: ssl.SSLContext, limits: Limits, until: float, watchdog: Watchdog | None = None
) -> Any:
    """Return *sock* after a TLS handshake for *host* that ended before *until*; it is closed where that failed.

    With a *watchdog*, which goes on watching it until the deadline, it blocks.

    Raises TLSFailed, ConnectionLost, ConnectTimedOut or DeadlineExceeded.
    """
    limits.phase.name = HANDSHAKE
    name = host.partition("%")[0].removesuffix(".")
    timeout = None if watchdog else max(0.001, until - time.monotonic())
    try:
        if sock.gettimeout() != timeout:
            sock.settimeout(timeout)
        is_within_tls = isinstance(sock, ssl.SSLSocket)
        if not is_within_tls:
            wrapped: Any = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
            sock = wrapped  # it owns the file descriptor now
        if watchdog:
            watchdog.watch(sock, until)
        if is_within_tls:
            wrapped = _tls_in_tls(sock, name, context)
        else:
            wrapped.do_handshake()  # bounded as a whole, by the ssl module or the watchdog
        if watchdog and not watchdog.watch(sock, limits.deadline):
            raise TimeoutError  # it came to its end, and this thread to its turn, too late
        if not context.check_hostname and context.verify_mode:
            _match_host(wrapped.getpeercert(), name)
    except (OSError, ValueError) as error:
        if watchdog:
            watchdog.release(sock)
        sock.close()
        if isinstance(error, TimeoutError) or getattr(sock, "is_late", False):
            raise limits.connect_timed_out(HANDSHAKE) from None
        if isinstance(error, ssl.SSLError | ValueError):
            raise TLSFailed("the TLS handshake failed") from error
        raise ConnectionLost("the server reset the connection during the TLS handshake", "handshake_ended") from error
    return wrapped


def _match_host(certificate: Any, host: str) -> None:
    """Raise what the handshake would raise, unless *certificate*, a verified one, is for *host*."""
    domain = host.partition(".")[2]
    covering = {host, f"*.{domain}" if "." in domain else host}  # as OpenSSL, which honours no "*.test"
    names = certificate.get("subjectAltName", ())
    if not any(kind == "DNS" and name.lower() in covering for kind, name in names):
        error = ssl.SSLCertVerificationError("the certificate is for another host name")
        error.verify_code = _WRONG_HOST
        raise error


def _tls_in_tls(sock: ssl.SSLSocket, name: str, context: ssl.SSLContext) -> Any:
    """For https through an https proxy, which the ssl module cannot do on a socket."""
    from urllib3.util.ssltransport import SSLTransport

    return SSLTransport(sock, context, server_hostname=name)


def verified_chain(sock: Any) -> list[bytes]:
    """Return the certificates, in DER, by which a server was verified: its own first, that of an authority last.

    The ssl module says it openly from Python 3.13 on, and did before to itself.
    """
    tls = getattr(sock, "sslobj", sock)  # of TLS within TLS
    if hasattr(tls, "get_verified_chain"):
        return list(tls.get_verified_chain())
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in tls._sslobj.get_verified_chain() or ()]


def lacks_issuer(error: BaseException) -> bool:
    """Whether a handshake failed because no issuer is known for a certificate of the server."""
    verified = (part for part in causes(error) if isinstance(part, ssl.SSLCertVerificationError))
    return any(_CERTIFICATE_FAULTS.get(part.verify_code) is _UNKNOWN_ISSUER for part in verified)


def explain_tls(error: BaseException) -> tuple[str, str]:
    """Return the cause, one of those that codes.hint() knows, and a sentence for a failed handshake.

    OpenSSL's numbers decide, never its texts.
    """
    for part in causes(error):
        if isinstance(part, ssl.SSLCertVerificationError):
            other = ("other", "the certificate was not accepted")
            return _CERTIFICATE_FAULTS.get(part.verify_code, other)
        if isinstance(part, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return "handshake_ended", "the server closed the connection during the TLS handshake"
        if isinstance(part, ssl.SSLError):
            return _HANDSHAKE_FAULTS.get(part.reason or "", _FAILED)
    return _FAILED
