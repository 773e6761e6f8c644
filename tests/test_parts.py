"""Modules that are missing because their distribution is, and modules that are missing by mistake."""

import pytest

import cqox
from cqox import parts


def test_a_part_that_is_there_is_installed() -> None:
    assert parts.is_installed("cqox.resilience.no_such_module")
    assert not parts.is_installed("cqox.no_such_part.module")
    assert not parts.is_installed("numpy")


def test_a_name_of_a_part_that_is_absent_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name="cqox.no_such_part.local")

    monkeypatch.setattr(cqox, "import_module", absent)
    with pytest.raises(ModuleNotFoundError, match=r"cqox\.sql needs cqox\.no_such_part\.local, .*'cqox\[engine\]'"):
        cqox.__getattr__("sql")


def test_a_module_that_is_missing_by_mistake_is_said_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(name: str) -> object:
        raise ModuleNotFoundError("No module named 'cqox.resilience.typo'", name="cqox.resilience.typo")

    monkeypatch.setattr(cqox, "import_module", mistaken)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'cqox\.resilience\.typo'$"):
        cqox.__getattr__("sql")
