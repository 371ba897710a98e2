"""What a run may be told, and what it may not, in words that name the option."""

from __future__ import annotations

import pytest

from status_probe.options import Options

BAD = [
    ("workers", 0), ("workers", 1001), ("per_host", 0), ("max_redirects", -1), ("retries", -1), ("delay", -0.1),
    ("connect_timeout", 0), ("read_timeout", -1), ("max_time", float("nan")), ("max_time", float("inf")), ("rate", 0),
    ("workers", 2.5), ("retries", "1"), ("max_time", "3"), ("delay", None), ("max_redirects", 10**8), ("rate", 1e9),
    ("method", "post"), ("default_scheme", "ftp"), ("lang", "de"), ("max_retry_wait", -1), ("retry_wait", float("inf")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_names_its_option(name, value):
    """Each is a ValueError at once, with the option as it is written and the value."""
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}: '{value}'"):
        Options(**{name: value})


@pytest.mark.parametrize("name", [
    "user_agent", "proxy", "hosts", "ca_bundle", "client_cert", "client_key", "insecure", "public_only", "dedupe",
])  # fmt: skip
def test_a_value_of_another_type_names_its_option(name):
    """It is a ValueError, and never shows the value, which may be secret."""
    with pytest.raises(ValueError, match=f"{name}: a bytes, expected ") as caught:
        Options(**{name: b"geheim"})
    assert "geheim" not in str(caught.value)


def test_a_header_that_ends_its_line_is_refused():
    """No option smuggles a second header into a request."""
    for headers in ((("X", "a\r\nY: b"),), (("User-Agent", "a\nb"),), (("X Y", "a"),)):
        with pytest.raises(ValueError, match="is not valid"):
            Options(headers=headers)
    with pytest.raises(ValueError, match="is not valid"):
        Options(user_agent="a\r\nb")


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_a_header_that_tells_of_a_body_is_refused(name):
    """There is none, so a server would wait for it, or take the head of the next request for it."""
    with pytest.raises(ValueError, match=f"--header: '{name}'"):
        Options(headers=((name, "5"),))


@pytest.mark.parametrize("hosts", [{"a.test": None}, {"a.test": 5}, {5: "127.0.0.1"}, {"a.test": [b"127.0.0.1"]}])
def test_a_mapping_of_hosts_that_is_none_is_told(hosts):
    """Whatever a program hands over is a ValueError that names the option."""
    with pytest.raises(ValueError, match="hosts: "):
        Options(hosts=hosts).hosts_table()


def test_headers_of_one_name_are_joined():
    """-H is repeatable: values of one name are one list, in whatever case it was typed (RFC 9110, section 5.3)."""
    headers = (("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("cookie", "b=2"), ("User-Agent", "me"), ("Host", "a"))
    assert Options(headers=(*headers, ("host", "b"))).own_fields() == {"X-A": "1, 2", "Cookie": "a=1; b=2", "Host": "b"}


def test_public_only_and_a_proxy_exclude_each_other():
    """A proxy connects in our place, so the promise could not be kept."""
    with pytest.raises(ValueError, match="--public-only"):
        Options(public_only=True, proxy="http://127.0.0.1:1").proxy_rules()


def test_a_hosts_file_that_cannot_be_read_is_told(tmp_path):
    """A missing file, or a line that is none, is a ValueError that names the file."""
    with pytest.raises(ValueError, match="cannot read"):
        Options(hosts=tmp_path / "none").hosts_table()
    (tmp_path / "hosts").write_text("127.0.0.1 a.test\nnonsense\n")
    with pytest.raises(ValueError, match="hosts:2"):
        Options(hosts=tmp_path / "hosts").hosts_table()
