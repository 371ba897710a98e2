"""A certificate or a handshake that is refused: tls_error, and a sentence that names the cause."""

from __future__ import annotations

import ssl
import time
import warnings
from contextlib import suppress

import pytest

from status_probe import probe_urls, run, tls
from status_probe.options import Options
from status_probe.records import Outcome
from status_probe.run import open_probe
from tests.asking import ask, ask_one, trusted
from tests.server import Server, Step, answer, client_certificate_files, close, reset, server_context

CAUSES = {
    "expired": "has expired",
    "not_yet_valid": "not yet valid",
    "self_signed": "self-signed",
    "unknown_issuer": "issuer is not known",
    "missing_intermediate": "issuer is not known",
    "elsewhere": "not for this IP address",
}


@pytest.mark.parametrize("method", ["get", "head", "auto"])
@pytest.mark.parametrize("certificate", CAUSES)
def test_each_bad_certificate_has_its_own_sentence(certificate, method):
    """The row names the cause, and no request is sent."""
    with Server(answer(200), tls=server_context(certificate)) as server:
        row = ask_one(server.url(), method=method)
        assert server.log == []
    assert (row.status, row.outcome) == (None, Outcome.TLS_ERROR)
    assert CAUSES[certificate] in row.error


def test_a_certificate_for_another_name_is_told_from_one_for_another_address():
    """The wrong host is named as such where a name was asked."""
    with Server(answer(200), tls=server_context("elsewhere")) as server:
        row = ask_one(server.url(host="a.test"), hosts={"a.test": ["127.0.0.1"]})
    assert row.outcome is Outcome.TLS_ERROR
    assert "another host name" in row.error


@pytest.mark.parametrize(("host", "error"), [
    ("foo_bar.host.test", ""), ("_dmarc.host.test", ""), ("foo.host.test", ""),
    ("foo_bar.test", "the certificate is for another host name"),
    ("a_b.c_d.host.test", "the certificate is for another host name"),
])  # fmt: skip
def test_an_underscore_is_covered_by_a_star(host, error):
    """OpenSSL says that it is not, where browsers and curl show the page; and nothing else is let in."""
    with Server(answer(204), tls=server_context()) as server:
        row = ask_one(server.url(host=host), hosts={host: ["127.0.0.1"]})
        assert len(server.log) == (not error)
    assert (row.status, row.error) == (None if error else 204, error)


@pytest.mark.parametrize("certificate", ["expired", "unknown_issuer"])
def test_an_underscore_lets_no_bad_certificate_in(certificate):
    """Where we match the name OpenSSL still looks at all else; --insecure lets it in."""
    with Server(answer(204), tls=server_context(certificate)) as server:
        urls = server.url(host="a_b.test"), {"a_b.test": ["127.0.0.1"]}
        row = ask_one(urls[0], hosts=urls[1])
        assert CAUSES[certificate] in row.error
        assert ask_one(urls[0], hosts=urls[1], insecure=True).status == 204


@pytest.mark.parametrize("certificate", ["good", "without_key_identifier"])
def test_a_good_certificate_is_good_on_all_versions(certificate):
    """A leaf without an authority key identifier, which 3.13's default refuses, is as good as another."""
    with Server(answer(200), tls=server_context(certificate)) as server:
        assert ask_one(server.url()).status == 200


@pytest.mark.parametrize("certificate", CAUSES)
def test_insecure_asks_all_of_them_without_a_warning(certificate):
    """--insecure checks nothing, and says nothing."""
    with Server(answer(200), tls=server_context(certificate)) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ask_one(server.url(), insecure=True).status == 200


def test_plain_http_on_the_port_is_named():
    """https to a server that speaks plain HTTP is a tls_error that says so."""
    with Server([b"HTTP/1.1 400 Bad Request\r\n\r\n", close()]) as server:
        row = ask_one(server.url(scheme="https"))
    assert row.outcome is Outcome.TLS_ERROR
    assert "plain HTTP" in row.error


def test_tls_on_a_plain_port_is_no_answer():
    """http to a server that speaks TLS ends as a failure with words, whatever the server does."""
    with Server(answer(200), tls=server_context()) as server:
        row = ask_one(server.url(scheme="http"))
    assert row.status is None
    assert row.outcome in (Outcome.CONNECTION_LOST, Outcome.PROTOCOL_ERROR)


@pytest.mark.parametrize("end", [close(), reset()], ids=["fin", "rst"])
def test_an_end_in_the_handshake_is_told(end):
    """A server that hangs up in the handshake is named as such."""
    with Server(on_connect=end) as server:
        row = ask_one(server.url(scheme="https"))
    assert row.outcome in (Outcome.TLS_ERROR, Outcome.CONNECTION_LOST)
    # A reset may come before the handshake has begun.
    assert "TLS handshake" in row.error or row.error == "the server reset the connection before an answer"


@pytest.mark.parametrize("end", [close(), reset()], ids=["fin", "rst"])
def test_an_end_in_the_handshake_is_passing(end):
    """It is what a load balancer does while its servers begin anew: a later attempt finds them."""
    with Server(answer(204), tls=server_context(), on_connect=lambda number: [] if number else [end]) as server:
        [row] = probe_urls([server.url()], ca_bundle=trusted(), proxy="", retry_wait=0.05)
    assert (row.status, row.attempts) == (204, 2)


def test_a_slow_load_of_authorities_is_no_fault_of_the_hosts(monkeypatch):
    """The first host is not called silent where this machine takes longer to read its authorities than to connect."""

    def slow(*files, **options):
        time.sleep(0.5)
        return tls.open_context(*files, **options)

    monkeypatch.setattr(run, "open_context", slow)
    with Server(answer(200), tls=server_context()) as server:
        assert ask_one(server.url(), ca_bundle=None, insecure=True, connect_timeout=0.4).status == 200


@pytest.mark.parametrize("ciphers", ["ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256", "AES128-SHA"])
def test_a_server_of_old_ciphers_is_asked(ciphers):
    """What browsers still open is a live page, though Python's own list of ciphers does not offer it."""
    with Server(answer(404), tls=server_context("rsa", highest=ssl.TLSVersion.TLSv1_2, ciphers=ciphers)) as server:
        assert ask_one(server.url()).status == 404


def test_a_denied_handshake_is_no_matter_of_a_certificate_that_was_not_sent():
    """The alert access_denied is told as what it is, and https is given up for http where no scheme is listed."""
    denied = [b"\x15\x03\x03\x00\x02\x02\x31", close()]
    with Server(on_connect=denied) as server:
        row = ask_one(server.url(scheme="https"))
        assert (row.outcome, row.error) == (Outcome.TLS_ERROR, "the server denied access in the TLS handshake")
        ask_one(f"127.0.0.1:{server.port}/x")
        assert server.connections == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_of_old_tls_only_is_named():
    """TLS 1.1 is refused on one side or the other, in words."""
    with Server(answer(200), tls=server_context(highest=ssl.TLSVersion.TLSv1_1)) as server:
        row = ask_one(server.url())
    assert row.outcome is Outcome.TLS_ERROR
    assert "TLS" in row.error
    assert "(" not in row.error


@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("method", ["get", "auto"])
def test_a_wanted_client_certificate_is_named(highest, method):
    """Without one the row says that it is wanted, though under TLS 1.3 this is told after the handshake only."""
    with Server(answer(200), tls=server_context(wants_client=True, highest=highest)) as server:
        row = ask_one(server.url(), method=method)
    assert row.outcome is Outcome.TLS_ERROR, row.error
    assert "client certificate" in row.error or "refused the TLS handshake" in row.error


@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_shown(tmp_path, highest):
    """With --client-cert and --client-key a server that wants one answers."""
    certificate, key = client_certificate_files(tmp_path)
    with Server(answer(200), tls=server_context(wants_client=True, highest=highest)) as server:
        assert ask_one(server.url(), client_cert=str(certificate), client_key=str(key)).status == 200


def test_a_client_certificate_may_be_wanted_later(tmp_path):
    """Under TLS 1.3 a server may ask for one after the handshake, when it has seen the path, as Apache does."""

    def ask_for_it(connection):
        with suppress(ssl.SSLError):  # the client has not offered it
            connection.sock.verify_client_post_handshake()
        connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        connection.sock.settimeout(0.3)
        with suppress(TimeoutError):
            connection.sock.recv(1)
        connection.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 if connection.sock.getpeercert() else 403))

    context = server_context(wants_client=True)
    context.post_handshake_auth = True
    certificate, key = client_certificate_files(tmp_path)
    with Server(Step(ask_for_it), tls=context) as server:
        assert ask_one(server.url()).status == 403
        assert ask_one(server.url(), client_cert=str(certificate), client_key=str(key)).status == 200


def test_one_context_is_loaded_for_all(monkeypatch):
    """Fifty hosts of https share one context, loaded once."""
    opened = []
    monkeypatch.setattr("status_probe.run.open_context", lambda *a, **k: opened.append(1) or tls.open_context(*a, **k))
    with Server(answer(200), address="0.0.0.0", tls=server_context()) as server:
        rows = ask(*[server.url(host=f"127.0.0.{number}") for number in range(1, 41)])
    assert {row.status for row in rows} == {200}
    assert len(opened) == 1


@pytest.mark.parametrize("variable", tls.BUNDLE_VARIABLES)
def test_the_environment_names_the_bundle(variable, monkeypatch):
    """Each of three variables makes the tests' authority known; without one it is unknown."""
    with Server(answer(200), tls=server_context()) as server:
        unknown = ask_one(server.url(), ca_bundle=None)
        monkeypatch.setenv(variable, trusted())
        known = ask_one(server.url(), ca_bundle=None)
    assert known.status == 200
    assert unknown.outcome is Outcome.TLS_ERROR


@pytest.mark.parametrize("variable", tls.BUNDLE_VARIABLES)
def test_a_variable_that_names_no_file_is_told_at_once(variable, monkeypatch):
    """A missing bundle is a ValueError that names the variable, unless --insecure or --ca-bundle decide."""
    monkeypatch.setenv(variable, "/nonexistent.pem")
    with pytest.raises(ValueError, match=variable):
        open_probe(Options())
    for options in ({"insecure": True}, {"ca_bundle": trusted()}):
        open_probe(Options(**options))[1].close()


@pytest.mark.parametrize("options", [{"ca_bundle": __file__}, {"ca_bundle": "/nonexistent"}, {"client_cert": __file__}])
def test_a_file_that_is_no_certificate_is_told_at_once(options):
    """A bundle or a certificate that cannot be used is a ValueError before anything is asked."""
    with pytest.raises(ValueError, match="cannot use the"):
        open_probe(Options(**options))


def test_the_name_asked_for_is_the_listed_one():
    """SNI and Host are the listed name's, without a trailing dot in SNI; an address sends no SNI."""
    with Server(answer(200), tls=server_context()) as server:
        hosts = {"a.test": ["127.0.0.1"]}
        rows = ask(server.url(host="a.test"), server.url(host="A.TEST."), server.url(), hosts=hosts)
        assert [request.server_name for request in server.log] == ["a.test", "a.test", ""]
        assert server.log[0].header("Host") == f"a.test:{server.port}"
    assert {row.status for row in rows} == {200}


def test_an_end_without_a_tls_goodbye_is_an_end():
    """A connection that is cut after the answer loses no status."""
    from tests.server import cut

    with Server([b"HTTP/1.1 200 OK\r\n\r\nabc", cut()], tls=server_context()) as server:
        assert ask_one(server.url()).status == 200


def test_a_name_must_stand_in_the_list_of_names() -> None:
    """The common name alone makes no certificate valid for a host, as in browsers."""
    from status_probe.tls import open_context

    assert not open_context().hostname_checks_common_name
