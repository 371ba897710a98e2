"""Who imports whom: the floors of the house, read from the source by ``ast``."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "status_probe"

# A room imports only from floors below its own.  A folder is one room.
FLOORS = (
    "records codes console cpus fields hostnames machine messages netwatch pace resultqueue rowindex stops",
    "addresses cells ending limits outfile tally turns unreachable urls warned watchdog wire",
    "again arguments connection cookies dial hostqueue names progress proxies repeats resume sources summary tls",
    "answer failures outage pool report tunnels",
    "chain opener workers",
    "issuers",
    "transport",
    "session",
    "options",
    "plan probe",
    "run",
    "explain follow library",
    "cli",
)
APART = ("__init__", "__main__", "demo")  # the door to the library, the door to the command, a server to try it on
DOORS = {"__init__": {"library", "records"}, "__main__": {"cli"}, "demo": set[str]()}

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
# What only some rooms may import.
RESERVED = {
    "tqdm": {"progress"},
    "requests": {"connection", "limits", "opener", "session", "transport", "tunnels"},
    "http.client": {"cookies"},
    "ssl": {"connection", "failures", "issuers", "opener", "tls", "tunnels", "watchdog"},
    "argparse": {"arguments", "cli"},
    "typing_extensions": set[str](),  # for type checkers only
}
WRITERS = {"cli", "console", "demo", "follow", "progress", "stops", "summary"}


def room_of(path: Path) -> str:
    """Return the room of a file: its name, or its folder's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


@functools.cache
def all_nodes() -> list[tuple[Path, ast.AST]]:
    """Return what the package is made of, file by file, without what is for type checkers only."""
    nodes = []
    for path in sorted(PACKAGE.rglob("*.py")):
        stack: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
        while stack:
            node = stack.pop()
            if not _is_for_type_checkers(node):
                nodes.append((path, node))
                stack += ast.iter_child_nodes(node)
    return nodes


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imported(node: ast.AST, path: Path) -> Iterator[str]:
    """Yield the full names of the modules, or of what is in them, that *node* imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = path.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
        module = ".".join([*above, *filter(None, [node.module])])
        yield from (f"{module}.{alias.name}" for alias in node.names)


def imports() -> Iterator[tuple[str, str]]:
    for path, node in all_nodes():
        for name in imported(node, path):
            yield room_of(path), name


def own_imports() -> set[tuple[str, str]]:
    pairs = {(room, name.split(".")[1]) for room, name in imports() if name.startswith("status_probe.")}
    return {(room, other) for room, other in pairs if room != other and other != "__version__"}


def test_every_room_has_its_floor() -> None:
    """A new room is given a place in the table above, and one that is gone leaves it."""
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert rooms == {*FLOOR, *APART}


def test_a_room_imports_only_from_floors_below() -> None:
    """The arrows point down, those within functions too; what is for type checkers only is free."""
    wrong = {
        (room, other)
        for room, other in own_imports()
        if room in FLOOR and other not in APART and FLOOR[other] >= FLOOR[room]
    }
    assert not wrong


def test_what_stands_apart_is_entered_by_its_doors() -> None:
    """The package and ``__main__`` open one room each, the demo needs none of ours and is started by the command."""
    found = {(room, other) for room, other in own_imports() if room in DOORS and other not in DOORS[room]}
    assert not found
    assert {room for room, other in own_imports() if other == "demo"} == {"cli"}


@pytest.mark.parametrize("module", RESERVED)
def test_a_library_is_known_to_few(module: str) -> None:
    """The bar's library, requests, sockets with TLS, and the command line are each imported where they belong."""
    users = {room for room, name in imports() if name == module or name.startswith(module + ".")}
    assert users == RESERVED[module]


def test_streams_are_written_by_few() -> None:
    """What a user reads comes from rooms that are there for it."""
    found = set()
    for path, node in all_nodes():
        is_stream = isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr")
        is_print = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        if is_stream or is_print:
            found.add(room_of(path))
    assert found <= WRITERS
