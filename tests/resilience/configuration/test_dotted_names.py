"""Dotted names: resolved, and near names where there is no such object."""

import pytest

from cqox.errors import CircuitOpen
from cqox.resilience.configuration.dotted_names import near, or_near, resolve
from tests.resilience.configuration import named

HERE = "tests.resilience.configuration"


def test_a_name_is_that_of_a_builtin_or_of_an_attribute_of_a_module() -> None:
    assert resolve("ConnectionError") is ConnectionError
    assert resolve("cqox.errors.CircuitOpen") is CircuitOpen
    assert resolve(f"{HERE}.named.Busy") is named.Busy
    assert resolve(f"{HERE}.named.Busy.__init__") is named.Busy.__init__


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ConectionError", r"builtins has no 'ConectionError'; did you mean 'ConnectionError'\?"),
        ("cqox.errors.CircuitOpn", r"cqox.errors has no 'CircuitOpn'; did you mean 'CircuitOpen'\?"),
        ("cqox.errors.CircuitOpen.zzz", r"cqox.errors.CircuitOpen has no 'zzz'$"),
        ("no_such_module.Error", "there is no module 'no_such_module'"),
        ("a b", "is no dotted name"),
        ("", "is no dotted name"),
        ("cqox..errors", "is no dotted name"),
    ],
)
def test_a_name_of_nothing_is_refused_with_a_near_one(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        resolve(name)


def test_a_module_that_cannot_be_imported_says_why(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cqox_test_broken.py").write_text("raise RuntimeError('no database')")
    (tmp_path / "cqox_test_needs.py").write_text("import cqox_test_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="cannot be imported: RuntimeError: no database"):
        resolve("cqox_test_broken.Error")
    with pytest.raises(ValueError, match="cannot be imported: No module named 'cqox_test_absent'"):
        resolve("cqox_test_needs.Error")


def test_a_near_name_is_proposed_or_all_are_listed() -> None:
    assert near("max_attemps", ["max_attempts", "jitter"]) == "max_attempts"
    assert near("zzz", ["max_attempts"]) == ""
    assert or_near("jiter", ["max_attempts", "jitter"]) == "did you mean 'jitter'?"
    assert or_near("zzz", ["b", "a"]) == "there are: a, b"
    assert or_near("zzz", []) == "there are: none"
