"""The features of the peers: each claim about ours has its test, and each claim about an installed peer is true of it.

Polly, failsafe-go and resilience4j are by their documentation: each claim about them has an address.
"""

import importlib
import inspect
import logging
import re
import warnings
from collections.abc import Iterator
from importlib.metadata import metadata, requires, version
from pathlib import Path

import pytest
import stamina

from benchmarks import resilience_semantics

PAGE = Path(__file__).parents[2] / "docs" / "resilience" / "peers.md"
TEXT = PAGE.read_text(encoding="utf-8")
PACKAGES = {
    "stamina": "stamina",
    "tenacity": "tenacity",
    "nopanic": "nopanic",
    "interlock-cb": "interlock",
    "pybreaker": "pybreaker",
}
DOCUMENTED = {
    "Polly": r"https://(www\.pollydocs\.org|learn\.microsoft\.com/dotnet|github\.com/App-vNext/Polly)/",
    "failsafe-go": r"https://(failsafe-go\.dev|github\.com/failsafe-go/failsafe-go)/",
    "resilience4j": r"https://github\.com/resilience4j/resilience4j/",
}
MEASURED = {
    "half-open, no more callers get through than there are permits": ["half open admits one"],
    "a cancelled probe gives its permit back": ["a cancelled probe gives its place back"],
    "a cancellation is no verdict on the dependency": ["cancelled calls leave it closed"],
    "the call that opens it raises the callee's own error": ["the call that trips raises its own error"],
    "results carry the generation of their admission: late ones change nothing": [
        "late failures leave a recovered circuit closed"
    ],
    "one breaker shared by threads and event loops of both kinds at once": [
        "trips on trio",
        "a slow call on another loop does not delay it",
    ],
    "a total time that no pause exceeds": ["no pause outlasts the total time"],
    "`Retry-After` of a response, without code of your own": ["retry after of a response is honoured"],
    "a stream is retried before its first item, and never after it": [
        "a stream is retried before its first item",
        "no item of a stream is repeated",
    ],
    "the last error reaches the caller as it is": ["the last error reaches the caller"],
    "a cancellation is never retried": ["a cancellation is never retried"],
    "asyncio, Trio and plain code, with one decorator": ["trips on trio", "it retries on trio"],
}
"""The questions that are behind a feature."""

type Rows = dict[str, dict[str, str]]


def tables(first: str) -> Iterator[Rows]:
    """Yield the tables whose first column after the names is this one: the cells of each row by their heads."""
    for table in re.findall(r"(?:^\|.*\|\n)+", TEXT, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" |")] for line in table.splitlines())
        if head[1] == first:
            assert all(len(row) == len(head) for row in rows)
            yield {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


FEATURES: Rows = {name: row for table in tables("ours") for name, row in table.items()}


def cells(*columns: str) -> list[tuple[str, str, str]]:
    return [(column, name, row[column]) for name, row in FEATURES.items() for column in columns if column in row]


@pytest.fixture(scope="module")
def answers() -> Iterator[list[Rows]]:
    """Answers of the benchmark now: circuit breakers, then retries."""
    stamina.instrumentation.set_on_retry_hooks([])
    logging.disable()
    with warnings.catch_warnings():
        # Deprecated functions that a peer calls are its own affair.
        warnings.simplefilter("ignore")
        found = [resilience_semantics.breakers(), resilience_semantics.retries()]
    yield found
    logging.disable(logging.NOTSET)
    stamina.instrumentation.set_on_retry_hooks(None)


def test_every_feature_has_a_row_of_its_own() -> None:
    assert len(FEATURES) == sum(len(table) for table in tables("ours")) > 60
    heads = [["ours", *PACKAGES], ["ours", *PACKAGES, *DOCUMENTED]]
    assert all(list(row) in heads for row in FEATURES.values())


@pytest.mark.parametrize(("column", "name", "cell"), cells("ours"))
def test_what_ours_has_is_tested_and_what_it_lacks_has_a_reason(column: str, name: str, cell: str) -> None:
    if cell.startswith("no, because "):
        return
    claim = re.fullmatch(r"yes: \[([\w ]+)\]\((\.\./\.\./tests/[\w/]+\.py)\)", cell)
    assert claim is not None, cell
    tests = (PAGE.parent / claim[2]).read_text(encoding="utf-8")
    assert re.search(rf"^(?:async )?def test_{claim[1].replace(' ', '_')}\(", tests, re.MULTILINE), cell


@pytest.mark.parametrize(("column", "name", "cell"), cells(*PACKAGES))
def test_what_an_installed_peer_has_is_there(column: str, name: str, cell: str) -> None:
    named = re.findall(r"`([\w.]+(?:\(\w+=\))?)`", cell)
    if cell == "no" or re.match(r"not checked($|: )", cell):
        return
    if python := re.fullmatch(r"yes: from Python (3\.\d+)", cell):
        assert metadata(column)["Requires-Python"] == f">={python[1]}"
    elif cell == "yes: from 0 packages":
        assert [each for each in requires(column) or [] if "extra ==" not in each] == []
    else:
        assert re.match(r"(yes|partly): ", cell), cell
        found = [each for each in named if exists(PACKAGES[column], each)]
        missing = set(named) - set(found) - {"BaseException", "retry_after"}
        assert found, cell
        assert missing == set(), cell


def exists(package: str, name: str) -> bool:
    """Return whether a name is in a package, and its parameter where one is named: `retry(on=)`."""
    path, _, parameter = name.removesuffix("=)").partition("(")
    found: object = importlib.import_module(package)
    module = package
    for part in path.split("."):
        module = f"{module}.{part}"
        if not hasattr(found, part):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError:
                return False
        found = getattr(found, part)
    return not parameter or (callable(found) and parameter in inspect.signature(found).parameters)


@pytest.mark.parametrize(("column", "name", "cell"), cells(*DOCUMENTED))
def test_what_is_said_of_others_has_an_address(column: str, name: str, cell: str) -> None:
    if cell in {"none found", "not checked", "—"}:
        return
    claim = re.match(r"\[(yes|partly|no)\]\((\S+)\)(: |$)", cell)
    assert claim is not None, cell
    assert re.match(DOCUMENTED[column], claim[2]), cell


@pytest.mark.parametrize("name", [*PACKAGES, "circuitbreaker", "aiobreaker"])
def test_the_page_names_the_versions_that_are_installed(name: str) -> None:
    assert f"{name} {version(name)}" in TEXT


def test_the_page_shows_what_is_measured(answers: list[Rows]) -> None:
    shown = list(tables("cqox"))
    assert [list(table) for table in shown] == [list(table) for table in answers]
    for table, found in zip(shown, answers, strict=True):
        assert {name: row for name, row in table.items() if row != found[name]} == {}, found


@pytest.mark.parametrize("feature", MEASURED)
def test_a_feature_agrees_with_what_is_measured(feature: str, answers: list[Rows]) -> None:
    row = FEATURES[feature]
    for column, cell in row.items():
        measured = {
            table[question]["cqox" if column == "ours" else column]
            for question in MEASURED[feature]
            for table in answers
            if question in table and ("cqox" if column == "ours" else column) in table[question]
        }
        if measured and cell.startswith("yes"):
            assert measured == {"yes"}, column
        elif measured and cell == "no":
            assert measured != {"yes"}, column
