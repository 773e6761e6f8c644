"""Values that are no plain numbers: exceptions, functions, levels, choices."""

import pytest

from cqox.resilience import Criticality
from cqox.resilience.configuration.values import Callback, Choice, Exceptions, Levels, Name, Value
from tests.resilience.configuration import named

HERE = "tests.resilience.configuration.named"


def test_exceptions_are_classes_or_one_predicate() -> None:
    assert Exceptions().read("k", "ConnectionError") == (ConnectionError,)
    assert Exceptions().read("k", ["ConnectionError", f"{HERE}.Busy"]) == (ConnectionError, named.Busy)
    assert Exceptions().read("k", f"{HERE}.is_busy") is named.is_busy


def test_functions_are_read_by_name() -> None:
    assert Callback().read("k", f"{HERE}.is_slow") is named.is_slow
    assert Callback(awaited=True).read("k", f"{HERE}.probe") is named.probe
    assert Callback(awaited=True).read("k", f"{HERE}.nothing") is named.nothing


def test_levels_are_shares_by_label() -> None:
    assert Levels().read("k", {"sheddable": 0.5, "critical-plus": 1}) == {
        Criticality.SHEDDABLE: 0.5,
        Criticality.CRITICAL_PLUS: 1.0,
    }


@pytest.mark.parametrize(
    ("value", "given", "problem"),
    [
        (Exceptions(), f"{HERE}.number", "k must name an exception class or a predicate"),
        (Exceptions(), "int", "k must name an exception class or a predicate"),
        (Exceptions(), f"{HERE}.probe", "k must be a plain function|exceptions"),
        (Exceptions(), [], "k must be a dotted name or a list of them that is not empty"),
        (Exceptions(), 5, "k must be a dotted name or a list"),
        (Exceptions(), ["ConnectionError", f"{HERE}.is_busy"], r"k\[1\] must name an exception class, not"),
        (Exceptions(), "KeyboardInterrupt", "k must not list KeyboardInterrupt: .*; leave it out"),
        (Exceptions(), ["OSError", "SystemExit"], r"k\[1\] must not list SystemExit: .*; leave it out"),
        (Exceptions(), ["ConnectionError", 5], r"k\[1\] must be a dotted name"),
        (
            Exceptions(),
            ["OSEror"],
            r"k\[0\]: 'OSEror' does not exist: builtins has no 'OSEror'; did you mean 'OSError'",
        ),
        (Callback(), f"{HERE}.probe", "k must be a plain function, not the coroutine function"),
        (Callback(), f"{HERE}.number", "k must name a function"),
        (Callback(), f"{HERE}.prob", "did you mean 'probe'"),
        (Callback(), 5, "k must be the dotted name of a function"),
        (Levels(), 0.5, "k must be a table of shares by level"),
        (Levels(), {"sheddabl": 0.5}, "k has no level 'sheddabl': did you mean 'sheddable'"),
        (Levels(), {"probe": 0.5}, "k has no level 'probe'"),
        (Levels(), {"sheddable": 0}, "k.sheddable must be a finite number above 0 and at most 1, not 0"),
        (Choice(values=(True, False, "full")), 1, 'k must be one of true, false, "full", not 1'),
        (Name(), "", "k must be a text that is not empty"),
    ],
)
def test_anything_else_is_refused_with_key_value_and_range(value: Value, given: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        value.read("k", given)
