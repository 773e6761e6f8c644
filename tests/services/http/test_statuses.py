"""HTTP statuses have names: no number stands for one in the services."""

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from services.http import statuses

ROOT = Path(__file__).parents[3]
NUMBERS = {*HTTPStatus, statuses.CLIENT_CLOSED_REQUEST}
COUNTS = {"_LOCK_TRIES", "_MOST_LEVELS", "_MOST_QUESTIONS", "_MOST_ROWS_OF_A_PAGE", "_WIDE"}
COUNTS |= {"MOST_EVENTS", "_BATCH", "_MOST_CHARACTERS"}
"""Constants with the value of a status that count something else."""


def is_count(parent: ast.AST) -> bool:
    """Return whether a number is a length, a factor or the limit of a page."""
    match parent:
        case ast.Slice() | ast.BinOp() | ast.keyword(arg="limit"):
            return True
        case ast.Compare(left=ast.Call(func=ast.Name(id="len"))):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in COUNTS
    return False


def lines_of_statuses(source: str) -> Iterator[int]:
    tree = ast.parse(source)
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            is_number = isinstance(child, ast.Constant) and type(child.value) is int and child.value in NUMBERS
            if is_number and not is_count(parent):
                yield child.lineno


@pytest.mark.parametrize(
    "path", sorted((ROOT / "services").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_number_stands_for_a_status(path: Path) -> None:
    if path != Path(statuses.__file__):
        assert list(lines_of_statuses(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source", ["answer(429)", "_TIME_UP = 504", "ok = reply.status == 200", "f(status=404)", "(1, 499)"]
)
def test_a_number_that_stands_for_a_status_is_found(source: str) -> None:
    assert list(lines_of_statuses(source)) == [1]


@pytest.mark.parametrize("status", [*HTTPStatus, 299, 399, 499, 599, 600, 999])
def test_classes_are_those_of_the_standard_library(status: int) -> None:
    seen = statuses.is_success(status), statuses.is_client_error(status), statuses.is_server_error(status)
    assert seen == tuple(status // 100 == hundreds for hundreds in (2, 4, 5))
    assert statuses.is_error(status) is (status >= 400)
    if status in iter(HTTPStatus):
        known = HTTPStatus(status)
        assert seen == (known.is_success, known.is_client_error, known.is_server_error)


def test_499_is_no_status_of_the_standard_library() -> None:
    assert statuses.CLIENT_CLOSED_REQUEST not in iter(HTTPStatus)
