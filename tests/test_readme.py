"""The README says what is so."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import sys

import pytest

import status_probe
from status_probe.records import COLUMNS
from tests.readme import README, with_tables


@pytest.mark.skipif(sys.platform == "win32", reason="the README names the hosts file of Linux")
def test_tables_are_those_of_the_data() -> None:
    """The README's tables of outcomes and verdicts are what status_probe.codes says."""
    text = README.read_text("utf-8")
    assert with_tables(text) == text, "run: python -m tests.readme"


def test_every_option_is_documented(capsys: object) -> None:
    """Each option that --help shows has its place in the README, and each that the README names exists."""
    from status_probe.__main__ import main

    assert main(["--help"]) == 0
    offered = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))  # type: ignore[attr-defined]
    table = README.read_text("utf-8").partition("## Options")[2].partition("## Columns")[0]
    assert offered == set(re.findall(r"--[a-z][a-z-]+", table))


def test_every_column_is_documented() -> None:
    """Each column has its line in the README, in the order of the CSV."""
    table = README.read_text("utf-8").partition("## Columns")[2].partition("### Outcomes")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    assert re.findall(r"`(\w+)`", "".join(rows)) == list(COLUMNS)


def test_examples_are_true() -> None:
    """The examples of the README and of the docstrings give what they say."""
    results = [doctest.testfile(str(README), module_relative=False, encoding="utf-8")]
    names = [module.name for module in pkgutil.walk_packages(status_probe.__path__, "status_probe.")]
    results += [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 3
