"""What the benchmark compares with: other clients, asked to do the same.

``python -m tests.bench_peers NAME LIST OUTPUT --tasks N --ca FILE --hosts FILE`` asks each URL of a list, with the
certificates checked, names from a hosts file and the body read, and writes a CSV of URL and status.  Each is written
as its documentation shows it, but for two things that are the same for all: names are found without a look-up, and
rows are written as they come.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import importlib.util
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

__all__ = ["PEERS", "is_installed"]

SECONDS = 30.0  # for one URL
FAILED = 0  # the status of a URL that gave none


class Job(NamedTuple):
    """What to ask and how."""

    urls: list[str]
    tasks: int  # requests at once
    authority: str  # file of the certificates trusted
    addresses: dict[str, str]  # by name
    write: Callable[[tuple[str, int]], object]


async def _with_tasks(job: Job, ask: Callable[[str], Awaitable[int]]) -> None:
    """Ask all URLs from so many tasks that share one iterator."""
    urls = iter(job.urls)

    async def work() -> None:
        for url in urls:
            try:
                status = await ask(url)
            except Exception:
                status = FAILED
            job.write((url, status))

    await asyncio.gather(*[work() for _ in range(job.tasks)])


async def ask_with_aiohttp(job: Job) -> None:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Table(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            ip = job.addresses[host]
            return [ResolveResult(hostname=host, host=ip, port=port, family=family, proto=0, flags=0)]

        async def close(self) -> None:
            pass

    connector = aiohttp.TCPConnector(
        limit=job.tasks, resolver=Table(), ssl=ssl.create_default_context(cafile=job.authority)
    )
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask(url: str) -> int:
            async with session.get(url) as response:
                await response.read()
                return response.status

        await _with_tasks(job, ask)


async def ask_with_httpx(job: Job) -> None:
    import httpx

    limits = httpx.Limits(max_connections=job.tasks, max_keepalive_connections=job.tasks)
    context = ssl.create_default_context(cafile=job.authority)
    async with httpx.AsyncClient(verify=context, timeout=SECONDS, limits=limits, trust_env=False) as client:

        async def ask(url: str) -> int:
            parts = urlsplit(url)
            name = parts.hostname or ""
            there = url.replace(name, job.addresses[name], 1)
            answer = await client.get(there, headers={"Host": parts.netloc}, extensions={"sni_hostname": name})
            return answer.status_code

        await _with_tasks(job, ask)


def ask_with_requests(job: Job) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import requests

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (job.addresses[host], port))]

    socket.getaddrinfo = getaddrinfo
    session = requests.Session()
    session.verify = job.authority

    def ask(url: str) -> tuple[str, int]:
        try:
            return url, session.get(url, timeout=SECONDS).status_code
        except requests.RequestException:
            return url, FAILED

    with ThreadPoolExecutor(job.tasks) as pool:
        for row in pool.map(ask, job.urls):
            job.write(row)


def ask_with_curl(job: Job) -> None:
    """Run ``curl --parallel``; it can be told the address of a name for a port only."""
    quoted = [f'url = "{url}"\noutput = "/dev/null"' for url in job.urls]
    ports = {urlsplit(url).netloc for url in job.urls}
    resolved = [f'resolve = "{place}:{job.addresses[place.partition(":")[0]]}"' for place in sorted(ports)]
    settings = [
        "parallel", "silent", f"parallel-max = {min(job.tasks, 300)}", f'cacert = "{job.authority}"',
        f"max-time = {SECONDS:g}", r'write-out = "%{url_effective} %{http_code}\n"',
    ]  # fmt: skip
    lines = "\n".join([*settings, *resolved, *quoted])
    done = subprocess.run(["curl", "--config", "-"], input=lines, text=True, capture_output=True, check=False)
    for line in done.stdout.splitlines():
        url, _, code = line.rpartition(" ")
        job.write((url, int(code)))


def _aiohttp_uvloop(job: Job) -> None:
    import uvloop

    uvloop.run(ask_with_aiohttp(job))


PEERS: dict[str, tuple[tuple[str, ...], Callable[[Job], None]]] = {
    "aiohttp": (("aiohttp",), lambda job: asyncio.run(ask_with_aiohttp(job))),
    "aiohttp+uvloop": (("aiohttp", "uvloop"), _aiohttp_uvloop),
    "httpx": (("httpx",), lambda job: asyncio.run(ask_with_httpx(job))),
    "requests": (("requests",), ask_with_requests),
    "curl": ((), ask_with_curl),
}


def is_installed(name: str) -> bool:
    """Whether what a peer needs is there."""
    modules, _ = PEERS[name]
    return all(map(importlib.util.find_spec, modules)) and (name != "curl" or shutil.which("curl") is not None)


def _hosts(path: str) -> Iterator[tuple[str, str]]:
    for line in Path(path).read_text().splitlines():
        ip, name = line.split()
        yield name, ip


def main() -> None:
    """Do the job that the arguments tell of."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_peers")
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("list")
    parser.add_argument("output")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--hosts", required=True)
    wanted = parser.parse_args()
    urls = Path(wanted.list).read_text().split()
    with Path(wanted.output).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("url", "status"))
        PEERS[wanted.name][1](Job(urls, wanted.tasks, wanted.ca, dict(_hosts(wanted.hosts)), writer.writerow))


if __name__ == "__main__":
    sys.exit(main())
