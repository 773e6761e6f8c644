from collections.abc import Mapping

import pytest

from cqox.cli.doctor import versions
from cqox.cli.doctor.check import Found
from cqox.cli.doctor.versions import check_packages, check_python, of_extras

REQUIRES = [
    "anyio>=4.12",
    "numpy>=2.3; extra == 'engine'",
    "mcp<3,>=2.3; extra == 'mcp'",
    "cqox[engine]; extra == 'mcp'",
    "numpy>=2.3; extra == 'all'",
    'opentelemetry-sdk[otlp] (>=1.40) ; python_version > "3" and extra == "telemetry"',
]
FINE = {"anyio": "4.16.0", "numpy": "2.5.5", "mcp": "2.3.0", "opentelemetry-sdk": "1.40"}


def found(monkeypatch: pytest.MonkeyPatch, installed: Mapping[str, str]) -> list[Found]:
    monkeypatch.setattr(versions, "_requirements", lambda: REQUIRES)
    monkeypatch.setattr(versions, "_version", installed.get)
    return list(check_packages())


def test_requirements_are_sorted_by_extra():
    extras = of_extras(REQUIRES)
    assert [each.package for each in extras[""]] == ["anyio"]
    assert [each.package for each in extras["mcp"]] == ["mcp"]
    (telemetry,) = extras["telemetry"]
    assert (telemetry.package, telemetry.bounds) == ("opentelemetry-sdk", ">=1.40")


@pytest.mark.parametrize(
    ("version", "is_accepted"), [("2.3", True), ("2.3.0", True), ("2.10.1", True), ("2.2.9", False), ("3.0", False)]
)
def test_versions_are_compared_by_their_numbers(version: str, is_accepted: bool):
    (mcp,) = of_extras(REQUIRES)["mcp"]
    assert mcp.accepts(version) is is_accepted


def test_what_is_installed_is_listed_and_an_extra_of_nothing_new_is_left_out(monkeypatch: pytest.MonkeyPatch):
    lines = found(monkeypatch, FINE)
    assert [str(each.text).partition(":")[0] for each in lines] == ["cqox", "engine", "mcp", "telemetry"]
    assert {each.status for each in lines} == {"ok"}


def test_missing_packages_have_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch):
    without = {name: each for name, each in FINE.items() if name == "anyio"}
    engine, absent = found(monkeypatch, without)[1:]
    assert (engine.status, str(engine.remedy)) == ("fail", "pip install --upgrade 'cqox[engine]'")
    assert (absent.status, str(absent.remedy)) == ("ok", "pip install 'cqox[mcp,telemetry]'")


def test_a_version_out_of_bounds_fails_where_every_command_needs_it(monkeypatch: pytest.MonkeyPatch):
    lines = found(monkeypatch, {**FINE, "numpy": "1.26.4", "mcp": "1.30.0"})
    assert {str(each.text): each.status for each in lines if each.status != "ok"} == {
        "engine: versions other than those that are needed: numpy 1.26.4 (>=2.3)": "fail",
        "mcp: versions other than those that are needed: mcp 1.30.0 (<3,>=2.3)": "warn",
    }


def test_parts_of_cqox_have_one_version(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "_version", {"cqox": "1.0", "cqox-services": "1.1"}.get)
    python, parts = check_python()
    assert (python.status, parts.status) == ("ok", "fail")
    assert "cqox-services 1.1" in str(parts.text)
    monkeypatch.setattr(versions, "_version", {}.get)
    assert "source" in str(list(check_python())[1].text)
