from io import StringIO

import pytest
from rich.console import Console

from services.cli.policies_shown import policies_table

CIRCUIT = {"state": "half_open", "mode": "normal"}
BULKHEAD = {"running": 2, "max_concurrent": 8, "queued": 1, "max_queued": 4, "rejected": 3}
SHED = {"rejected": {"sheddable": 4, "critical": {"queue": 1}}}


def cells(**policies: object) -> list[list[str]]:
    out = StringIO()
    Console(file=out, width=200).print(policies_table(policies))
    heading, *rows = out.getvalue().splitlines()
    assert heading.split() == ["policy", "circuit", "running", "waiting", "refused"]
    return [row.split() for row in rows]


def parts(*states: object) -> dict[str, object]:
    return {"parts": [{"kind": "Part", "state": state} for state in states]}


def test_the_parts_of_a_policy_are_one_row_and_refusals_are_summed() -> None:
    assert cells(p=parts(CIRCUIT, BULKHEAD, SHED)) == [["p", "half", "open", "2/8", "1/4", "8"]]


def test_a_single_part_is_a_row_of_its_own() -> None:
    assert cells(b=BULKHEAD, c=CIRCUIT) == [["b", "–", "2/8", "1/4", "3"], ["c", "half", "open", "–", "–", "–"]]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [("normal", "closed"), ("isolated", "closed (isolated)"), ("observe_only", "closed (observe only)")],
)
def test_a_forced_circuit_says_so(mode: str, shown: str) -> None:
    ((_, *row),) = cells(p={"state": "closed", "mode": mode})
    assert " ".join(row[:-3]) == shown


@pytest.mark.parametrize("entry", [None, "text", [], {}, {"parts": []}, {"parts": [None, {"kind": "Retry"}]}])
def test_an_entry_without_states_is_a_row_of_dashes(entry: object) -> None:
    assert cells(p=entry) == [["p", "–", "–", "–", "–"]]


def test_no_policies_are_a_heading_only_and_names_are_no_markup() -> None:
    assert cells() == []
    assert cells(**{"[red]x": CIRCUIT})[0][0] == "[red]x"
