"""The page of security checks names tests that exist, and says how each requirement is met or that it is not."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security-checks.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_RISKS = [f"API{number}" for number in range(1, 11)]


def rows() -> list[list[str]]:
    """Return the cells of every row of a table, without the headings."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("risk", "requirement")]


@cache
def functions_of(path: str) -> frozenset[str]:
    """Return the names of the test functions of a module."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in module.body if isinstance(node, functions))


def test_every_test_that_is_named_is_there() -> None:
    named = _TEST.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 60
    missing = [
        f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in functions_of(path)
    ]
    assert missing == []


def test_every_row_shows_a_test_or_says_that_it_is_not_met() -> None:
    for row in rows():
        assert len(row) == 4, row
        assert _TEST.search(row[3]) or (row[3] == "–" and row[2].lower().startswith("**not met**")), row


def test_all_ten_risks_and_each_chapter_that_applies_are_there() -> None:
    names = [row[0] for row in rows()]
    assert names[:10] == _RISKS
    chapters = {int(number) for name in names[10:] for number in re.findall(r"V(\d+)\.", name)}
    assert chapters == set(range(1, 17))


@pytest.mark.parametrize("name", ["test_that_is_nowhere"])
def test_a_test_that_is_gone_is_noticed(name: str) -> None:
    assert name not in functions_of("tests/docs/test_security_checks.py")
