"""The servers that the benchmark asks, each in a process of its own: nginx where it is installed, and two of ours.

As a program, ``python -m tests.bench_servers demo`` or ``... delayed SECONDS [CERTIFICATE]``: it listens on a free
port, prints the port, and serves until its standard input ends, so it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["INSTALL_NGINX", "Sites", "address", "host_name", "make_certificates", "open_sites", "silent_port"]

ROOT = Path(__file__).parents[1]
INSTALL_NGINX = (
    "nginx is not installed, so slower servers in Python stand in for it: Debian and Ubuntu have it as nginx-light "
    "(apt-get install nginx-light), Fedora and Homebrew as nginx"
)
BODY = b"<!doctype html><title>A page</title>" + b"<p>Some text of the page.</p>" * 16  # 500 bytes, as of a small page

NGINX = """
daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    default_type text/html;
    server {{
        listen 0.0.0.0:{http} backlog=4096;
        listen 0.0.0.0:{https} ssl backlog=4096;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        location / {{ return 200 "{body}"; }}
    }}
}}
"""


class Sites:
    """The ports that serve, and where all of the benchmark's hosts are."""

    def __init__(self, *, http: int, https: int, one_address: bool, what: str) -> None:
        self.http = http
        self.https = https
        self.one_address = one_address  # whether all hosts are 127.0.0.1, as nothing listens elsewhere
        self.what = what  # for the heading


def host_name(number: int) -> str:
    """Return the name of a host; the certificate is for all of them."""
    return f"h{number:05}.bench.test"


def address(number: int, *, one_address: bool = False) -> str:
    """Return the address of a host: one of its own, so that the system sees many hosts too."""
    return "127.0.0.1" if one_address else f"127.1.{number // 250}.{number % 250 + 1}"


def make_certificates(folder: Path) -> None:
    """Write ``authority.pem``, which clients trust, and the server's ``server.pem`` into *folder*.

    The authority stands behind the usual ones of certifi, since a bundle of that size is what clients load.

    In a process of its own, since trustme's libraries take 25 MB, and a child's peak of memory counts its parent's.
    """
    code = (
        "import pathlib, sys, certifi, trustme\n"
        "folder, authority = pathlib.Path(sys.argv[1]), trustme.CA()\n"
        "(folder / 'authority.pem').write_bytes(certifi.contents().encode() + authority.cert_pem.bytes())\n"
        "leaf = authority.issue_cert('*.bench.test')\n"
        "(folder / 'server.pem').write_bytes(leaf.private_key_and_cert_chain_pem.bytes())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, timeout=60)


@contextlib.contextmanager
def open_sites(folder: Path, nginx_workers: int) -> Iterator[Sites]:
    """Serve one small page at every path of every host, over HTTP and HTTPS; ``server.pem`` is in *folder*."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if nginx:
        with _nginx(nginx, folder, nginx_workers) as (http, https):
            yield Sites(http=http, https=https, one_address=not _has_many_addresses(), what=f"nginx -w{nginx_workers}")
        return
    print(INSTALL_NGINX, file=sys.stderr)
    with python_server("demo") as http, python_server("delayed", "0", str(folder / "server.pem")) as https:
        yield Sites(http=http, https=https, one_address=True, what="the demo's server")


@contextlib.contextmanager
def _nginx(program: str, folder: Path, workers: int) -> Iterator[tuple[int, int]]:
    http, https = _free_ports(2)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, workers=workers, http=http, https=https, body=BODY.decode()))
    process = subprocess.Popen([program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)])
    try:
        for port in (http, https):
            _await_port(port, process)
        yield http, https
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def python_server(*arguments: str) -> Iterator[int]:
    """Run one of this module's servers, and give its port."""
    command = [sys.executable, "-m", "tests.bench_servers", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Give a port, on all addresses, where connections are made by the system and nobody ever says a word."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(1024)
        yield listener.getsockname()[1]


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("0.0.0.0", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 10
    while time.monotonic() < limit and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx does not listen on port {port}")


def _has_many_addresses() -> bool:
    """Whether all of 127.0.0.0/8 is this machine, as on Linux and Windows."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((address(1), 0))
        return True
    return False


# The servers in Python


class Delayed(asyncio.Protocol):
    """Answers each request after a while."""

    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for _ in requests:
            if self._seconds:
                asyncio.get_running_loop().call_later(self._seconds, self._transport.write, self.answer)
            else:
                self._transport.write(self.answer)


async def _serve_delayed(seconds: float, certificate: str | None) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Delayed(seconds), "0.0.0.0", 0, backlog=4096, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _serve_demo() -> None:
    from status_probe.demo import DemoServer

    with DemoServer() as server:
        print(server.sites["main"].port, flush=True)
        sys.stdin.read()


def main(kind: str, *arguments: str) -> None:
    """Serve until standard input ends."""
    if kind == "demo":
        _serve_demo()
    else:
        run: Callable[..., None] = asyncio.run
        run(_serve_delayed(float(arguments[0]), arguments[1] if len(arguments) > 1 else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
