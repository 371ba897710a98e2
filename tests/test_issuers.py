"""Certificates that a server leaves out are fetched as browsers do, and trust nobody who is not trusted anyway."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from status_probe import probe_urls
from status_probe.options import Options
from status_probe.records import Outcome, Result, Target
from status_probe.run import open_probe
from tests.asking import ask, ask_one, within
from tests.asking import trusted as trusted_by_tests
from tests.server import (
    Connection,
    Handler,
    Proxy,
    Script,
    Server,
    Step,
    answer,
    client_certificate_files,
    close,
    drip,
    hang,
    pause,
    redirect,
    server_context,
)  # fmt: skip

HOST = "a.test"
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


class Issued(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)


def issue(
    name: str,
    by: Issued | None = None,
    *,
    at: str = "",
    is_authority: bool = True,
    issuer_name: str = "",
    hosts: Sequence[str] = (HOST, "*.host.test"),
    only: str = "",
    has_identifier: bool = False,
) -> Issued:
    """Issue a certificate, *by* itself without an issuer, that says that its issuer's is *at* an address.

    Below it there are certificates for names within *only*.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = by.certificate.subject if by else subject
    if issuer_name:
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)])
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1))
        .not_valid_after(datetime.datetime(2999, 1, 1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    )
    if has_identifier:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if only:
        builder = builder.add_extension(x509.NameConstraints([x509.DNSName(only)], None), critical=True)
    if at:
        ldap, http = (
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(address))
            for address in ("ldap://directory.test/cn=x", at)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([ldap, http]), critical=False)
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


@cache
def root() -> Issued:
    """The authority that is trusted."""
    return issue("root")


@cache
def trusted() -> str:
    folder = Path(tempfile.mkdtemp(prefix="status-probe-tests-"))
    path = folder / "root.pem"
    path.write_bytes(root().certificate.public_bytes(PEM))
    return str(path)


def context_of(leaf: Issued, *others: Issued) -> ssl.SSLContext:
    """Return a server's context that sends *leaf*, and after it *others*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pems = b"".join(each.certificate.public_bytes(PEM) for each in (leaf, *others))
    key = leaf.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.pem"
        path.write_bytes(pems + key)
        context.load_cert_chain(path)
    return context


def ask_for(site: Server, **options: object) -> Result:
    """Return the row of *site*, asked by the name that its certificate is for."""
    return ask_one(site.url(host=HOST), **{"hosts": {HOST: ["127.0.0.1"]}, "ca_bundle": trusted(), **options})


@contextmanager
def lacking(file: Callable[[bytes], Script | Handler] | None = None) -> Iterator[tuple[Server, ssl.SSLContext]]:
    """Serve an issuer's certificate, as *file* makes a script of it, and give the context of a server that lacks it."""
    routes: dict[str, Script | Handler] = {}
    with Server(routes) as files:
        middle = issue("middle", root())
        routes["/middle"] = file(middle.der) if file else answer(200, body=middle.der)
        yield files, context_of(issue("leaf", middle, at=files.url("/middle"), is_authority=False))


@pytest.mark.parametrize("encoding", [PEM, DER])
@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_issuer_that_is_left_out_is_fetched(encoding, highest):
    """A visitor sees the page, and so do we; what was found serves all hosts whose certificates name its address."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        middle = issue("middle", root())
        routes["/middle"] = answer(200, body=middle.certificate.public_bytes(encoding))
        context = context_of(issue("leaf", middle, at=files.url("/middle"), is_authority=False))
        context.maximum_version = highest
        with Server(answer(204), tls=context) as site, Server(answer(404), tls=context) as other:
            hosts = {"a.test": ["127.0.0.1"], "b.host.test": ["127.0.0.1"]}
            urls = site.url(host="a.test"), other.url(host="a.test"), other.url(host="b.host.test")
            rows = ask(*urls, hosts=hosts, ca_bundle=trusted())
            assert len(site.log) == 1
        assert files.targets == ["/middle"]
    assert [(row.status, row.attempts, row.redirects) for row in rows] == [(204, 1, 0), (404, 1, 0), (404, 1, 0)]


def test_two_that_are_left_out_are_fetched():
    """Each says where the next one is."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        upper = issue("upper", root())
        lower = issue("lower", upper, at=files.url("/upper"))
        routes |= {"/upper": answer(200, body=upper.der), "/lower": answer(200, body=lower.der)}
        leaf = issue("leaf", lower, at=files.url("/lower"), is_authority=False)
        with Server(answer(204), tls=context_of(leaf)) as site:
            assert ask_for(site).status == 204
        assert files.targets == ["/lower", "/upper"]


def strangers(kind: str, at: str) -> list[Issued]:
    """Return what is to be had where the leaf and its issuers say, step by step up; the second is *at* an address."""
    if kind == "an authority of its own":
        return [issue("stranger")]
    if kind == "an issuer with an authority of its own":
        stranger = issue("stranger")
        return [issue("middle", stranger, at=at), stranger]
    if kind == "an issuer whose own is named as ours":
        return [issue("middle", issue("root"))]
    return [issue("Stranger", issuer_name=" stranger ")]


@pytest.mark.parametrize("kind", [
    "an authority of its own", "an issuer with an authority of its own", "an issuer whose own is named as ours",
    "one that is its own issuer by another spelling",
])  # fmt: skip
def test_what_is_fetched_is_no_authority(kind):
    """Whoever stands between could write any address into a certificate: nothing is asked, no request leaves."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        chain = strangers(kind, files.url("/1"))
        routes |= {f"/{number}": answer(200, body=each.der) for number, each in enumerate(chain)}
        leaf = issue("leaf", chain[0], at=files.url("/0"), is_authority=False)
        with Server(answer(204), tls=context_of(leaf)) as site:
            rows = ask(site.url(host=HOST), site.url(host=HOST), hosts={HOST: ["127.0.0.1"]}, ca_bundle=trusted())
            assert site.log == []
        assert files.targets == [f"/{number}" for number in range(len(chain))]
    assert {row.outcome for row in rows} == {Outcome.TLS_ERROR}
    assert {row.error for row in rows} == {
        "the certificate's issuer is not known, or an intermediate certificate is missing"
    }


def test_what_an_issuer_above_forbids_stays_forbidden():
    """An issuer that is known now is no authority: those above it are heeded, as if the server had sent them all."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        upper = issue("upper", root(), hosts=["host.test"], only="host.test")
        lower = issue("lower", upper, hosts=["host.test"], at=files.url("/upper"))
        routes |= {"/upper": answer(200, body=upper.der), "/lower": answer(200, body=lower.der)}
        at = files.url("/lower")
        allowed = context_of(issue("leaf", lower, at=at, is_authority=False, hosts=["b.host.test"]))
        forbidden = context_of(issue("leaf", lower, at=at, is_authority=False, hosts=["a.test"]))
        with Server(answer(204), tls=allowed) as site, Server(answer(204), tls=forbidden) as other:
            hosts = {"a.test": ["127.0.0.1"], "b.host.test": ["127.0.0.1"]}
            rows = ask(site.url(host="b.host.test"), other.url(host="a.test"), hosts=hosts, ca_bundle=trusted())
    assert [row.status for row in rows] == [204, None]


def test_many_at_once_find_the_same():
    """Whoever comes second, to the same host or another one, uses what the first one found."""
    with (
        lacking(lambda der: [pause(0.05), answer(200, body=der)]) as (_, context),
        Server(answer(204), tls=context) as site,
    ):
        names = [f"{letter}.host.test" for letter in "abc"]
        urls = [site.url(f"/{number}", host=name) for number in range(10) for name in names]
        hosts = {name: ["127.0.0.1"] for name in names}
        options = {"hosts": hosts, "ca_bundle": trusted(), "proxy": "", "per_host": 10, "workers": 30}
        rows = list(probe_urls(urls, **options))
    assert [row.status for row in rows] == [204] * 30


def test_what_fails_in_passing_is_tried_again():
    """A holder of files that is busy for a moment costs its moment's rows at most."""

    def busy_once(der):
        return lambda request: answer(200, body=der) if request.overall else answer(503)

    with lacking(busy_once) as (_, context), Server(answer(204), tls=context) as site:
        rows = ask(site.url(host=HOST), site.url(host=HOST), hosts={HOST: ["127.0.0.1"]}, ca_bundle=trusted())
    assert [row.status for row in rows] == [None, 204]


@pytest.mark.parametrize("has_identifier", [True, False])
def test_no_other_host_is_concerned(has_identifier):
    """A host that sends all it has to is verified by that, whatever was found elsewhere under the same name."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        older, newer = (issue("middle", root(), has_identifier=has_identifier) for _ in range(2))
        routes["/older"] = answer(200, body=older.der)
        incomplete = context_of(issue("leaf", older, at=files.url("/older"), is_authority=False))
        complete = context_of(issue("leaf", newer, at=files.url("/newer"), is_authority=False), newer)
        lacking = context_of(issue("leaf", newer, at=files.url("/newer"), is_authority=False))
        routes["/newer"] = answer(200, body=newer.der)
        with (
            Server(answer(204), tls=incomplete) as one,
            Server(answer(204), tls=complete) as two,
            Server(answer(204), tls=lacking) as three,
        ):
            hosts = {name: ["127.0.0.1"] for name in ("a.test", "b.host.test", "c.host.test")}
            urls = one.url(host="a.test"), two.url(host="b.host.test"), three.url(host="c.host.test")
            rows = ask(*urls, *reversed(urls), hosts=hosts, ca_bundle=trusted())
    assert [row.status for row in rows] == [204] * 6


def test_a_hiccup_of_the_server_is_not_final():
    """A handshake that breaks off says nothing of certificates: the next URL's search finds them."""
    third = 2
    with (
        lacking() as (_, context),
        Server(answer(204), tls=context, on_connect=lambda number: [close()] if number == third else []) as site,
    ):
        rows = ask(site.url(host=HOST), site.url(host=HOST), hosts={HOST: ["127.0.0.1"]}, ca_bundle=trusted())
    assert [row.status for row in rows] == [None, 204]


@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_is_verified_is_shown_the_client_certificate(highest, tmp_path):
    """As one that sends all it has to."""
    certificate, key = client_certificate_files(tmp_path)

    def tell(connection):
        shown = connection.sock.getpeercert(True)
        connection.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 if shown else 403))

    with lacking() as (_, context):
        context.maximum_version = highest
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(trusted_by_tests())
        with Server(Step(tell), tls=context) as site:
            assert ask_for(site).status == 403
            assert ask_for(site, client_cert=str(certificate), client_key=str(key)).status == 200


def test_an_authority_that_is_not_trusted_for_servers_stays_so(tmp_path):
    """Its bundle says so in OpenSSL's way, of which Python does not tell: then nothing is fetched."""
    rejects_server_auth = bytes.fromhex("300ca00a06082b06010505070301")  # X509_CERT_AUX, of openssl/x509.h
    bundle = tmp_path / "trust.pem"
    pem = ssl.DER_cert_to_PEM_cert(root().der + rejects_server_auth)
    bundle.write_text(pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"))
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        middle = issue("middle", root())
        routes["/middle"] = answer(200, body=middle.der)
        leaf = issue("leaf", middle, at=files.url("/middle"), is_authority=False)
        with Server(answer(204), tls=context_of(leaf)) as one, Server(answer(204), tls=context_of(leaf, middle)) as two:
            rows = [ask_for(site, ca_bundle=str(bundle)) for site in (one, two)]
    assert [row.outcome for row in rows] == [Outcome.TLS_ERROR] * 2


def test_authorities_above_each_other_are_heeded(tmp_path):
    """Where a bundle holds an issuer beside the authority above it, the way leads over both."""
    upper = issue("upper", root())
    bundle = tmp_path / "both.pem"
    bundle.write_bytes(upper.certificate.public_bytes(PEM) + root().certificate.public_bytes(PEM))
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        middle = issue("middle", upper)
        routes["/middle"] = answer(200, body=middle.der)
        leaf = issue("leaf", middle, at=files.url("/middle"), is_authority=False)
        with Server(answer(204), tls=context_of(leaf)) as site:
            assert ask_for(site, ca_bundle=str(bundle)).status == 204


def test_a_host_may_change():
    """Of servers behind one name each is verified by what it sends, with another issuer, or with all of them."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        one, other = issue("one", root()), issue("other", root())
        routes |= {"/one": answer(200, body=one.der), "/other": answer(200, body=other.der)}
        contexts = [
            context_of(issue("leaf", one, at=files.url("/one"), is_authority=False)),
            context_of(issue("leaf", other, at=files.url("/other"), is_authority=False)),
            context_of(issue("leaf", other, at=files.url("/gone"), is_authority=False), other),
        ]
        options = Options(hosts={HOST: ["127.0.0.1"]}, ca_bundle=trusted(), proxy="")
        probe, session = open_probe(options)
        rows, port = [], 0
        with session:
            for number, context in enumerate([*contexts, *contexts]):
                with Server(answer(204, keep=False), port=port, tls=context) as site:
                    port = site.port
                    rows.append(probe(Target(number, number + 1, site.url(host=HOST))).result)
    assert [row.status for row in rows] == [204] * 6


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_gone_through(scheme, tmp_path):
    """For the handshakes as for the file, also where the way to the proxy is under TLS itself."""
    with lacking() as (files, context), Proxy(tls=server_context() if scheme == "https" else None) as proxy:
        bundle = tmp_path / "both.pem"
        bundle.write_bytes(Path(trusted()).read_bytes() + Path(trusted_by_tests()).read_bytes())
        with Server(answer(204), tls=context) as site:
            row = ask_for(site, proxy=proxy.url, ca_bundle=str(bundle))
        assert row.status == 204, row.error
        assert [request.method for request in files.log] == ["GET"]


def test_a_leaf_is_no_issuer():
    """The holder of a valid certificate cannot sign another one with it."""
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        holder = issue("holder", root(), is_authority=False)
        routes["/holder"] = answer(200, body=holder.der)
        with Server(answer(204), tls=context_of(issue("leaf", holder, at=files.url("/holder")))) as site:
            assert ask_for(site).outcome is Outcome.TLS_ERROR
            assert site.log == []


@pytest.mark.parametrize("script", [
    answer(404), answer(200), answer(200, body=b"<html>"), answer(200, body=b"-----BEGIN"), redirect("/middle"), hang(),
    answer(200, body=b"\x30" * 200_000), [b"HTTP/1.1 200 OK\r\n\r\n", drip(b"x" * 1000, 0.05)], b"SSH-2.0\r\n",
], ids=range(9))  # fmt: skip
def test_what_is_no_certificate_costs_the_connect_time_at_most(script):
    """Then the row tells of the certificate that is missing, as before; a host is tried so three times at most."""
    with Server(script) as files:
        leaf = issue("leaf", issue("middle", root()), at=files.url("/middle"), is_authority=False)
        with Server(answer(204), tls=context_of(leaf)) as site, within(1.8):
            rows = ask(
                *[site.url(f"/{number}", host=HOST) for number in range(5)],
                hosts={HOST: ["127.0.0.1"]}, ca_bundle=trusted(), connect_timeout=0.3,
            )  # fmt: skip
        assert files.targets == ["/middle"] * 3
    assert {(row.status, row.outcome) for row in rows} == {(None, Outcome.TLS_ERROR)}
    assert {row.error for row in rows} == {
        "the certificate's issuer is not known, or an intermediate certificate is missing"
    }


class Curious(Server):
    """A server that notes the client certificate of each handshake that came to its end."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls=tls)
        self.shown: list[bytes | None] = []

    def serve(self, connection: Connection) -> None:
        connection.start_tls(self.tls)
        self.shown.append(connection.sock.getpeercert(True))
        connection.hang()


def test_nothing_of_the_users_goes_along(tmp_path):
    """Where the files are the user's headers are not sent, and a server that is not known is shown no certificate."""
    certificate, key = client_certificate_files(tmp_path)
    routes: dict[str, Script] = {}
    with Server(routes) as files:
        stranger = issue("stranger")
        routes["/0"] = answer(200, body=stranger.der)
        context = context_of(issue("leaf", stranger, at=files.url("/0"), is_authority=False))
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(trusted_by_tests())
        with Curious(tls=context) as site:
            headers = [("X-Key", "secret"), ("Cookie", "a=b")]
            ask_for(site, headers=headers, user_agent="mine", client_cert=str(certificate), client_key=str(key))
        [request] = files.log
    assert site.shown == [None, None]
    assert request.header("User-Agent") == "mine"
    assert not request.header("X-Key") + request.header("Cookie") + request.header("Authorization")
