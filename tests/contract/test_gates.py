"""The names of gates are those of the diagnostics."""

from cqox.contract.gates import GATE_STATUSES, GATES
from cqox.diagnostics.definitions import definitions


def test_the_names_are_those_of_the_gates_in_the_order_of_reports() -> None:
    assert list(GATES) == [each.name for each in definitions() if each.kind == "gate"]


def test_the_statuses_are_those_of_the_model() -> None:
    assert GATE_STATUSES == ("pass", "warn", "fail", "not_applicable")
