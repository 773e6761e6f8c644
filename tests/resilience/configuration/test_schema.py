"""The published schema: current, valid, and of one mind with the reader of files."""

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from cqox.resilience import PolicyFileInvalid
from cqox.resilience.configuration.__main__ import main
from cqox.resilience.configuration.reading import read_policy_file
from cqox.resilience.configuration.schema import policy_file_schema
from cqox.resilience.configuration.settings import PARTS

PUBLISHED = files("cqox.resilience.configuration") / "policies.schema.json"
TIMEOUT = '[[policies.a]]\npart = "Timeout"\nseconds = 5\n'
FILES = {
    TIMEOUT: True,
    '[budgets.b]\nratio = 0.1\n[[policies.a]]\npart = "Retry"\nbudget = "b"\njitter = "full"': True,
    '[[policies.a]]\npart = "Retry"\nexceptions = ["OSError"]': True,
    '[[policies.a]]\npart = "CircuitBreaker"\nfailure_rate = { seconds = 30.0 }': True,
    '[[policies.a]]\npart = "Shed"\ncapacity = 5\nshares = { sheddable = 0.5 }': True,
    '[[policies.a]]\npart = "Shed"\ncapacity = 5\nshares = { shedable = 0.5 }': False,
    '[[policies.a]]\npart = "CircuitBreaker"\nfailure_rate = { rate = 30.0 }': False,
    '[[policies.a]]\npart = "Retry"\nexceptions = []': False,
    '[[policies.a]]\npart = "Timeout"': False,
    "[[policies.a]]\nseconds = 5": False,
    "": False,
    "policies = {}": False,
    f"{TIMEOUT}second = 5": False,
    f"more = 1\n{TIMEOUT}": False,
    f"[budgets.a]\nratio = -1\n{TIMEOUT}": False,
}


def test_the_published_schema_is_current() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == policy_file_schema(), (
        "write it again: python -m cqox.resilience.configuration > cqox/resilience/configuration/policies.schema.json"
    )


def test_the_schema_is_one() -> None:
    schema = policy_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    assert set(PARTS) < set(definitions)


@pytest.mark.parametrize(("text", "valid"), FILES.items())
def test_schema_and_reader_agree(tmp_path: Path, text: str, valid: bool) -> None:
    assert jsonschema.Draft202012Validator(policy_file_schema()).is_valid(tomllib.loads(text)) == valid
    (tmp_path / "a.toml").write_text(text)
    try:
        read_policy_file(tmp_path / "a.toml")
    except PolicyFileInvalid:
        assert not valid
    else:
        assert valid


def test_the_module_writes_the_schema_and_checks_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert json.loads(capsys.readouterr().out) == policy_file_schema()
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(TIMEOUT)
    bad.write_text(TIMEOUT.replace("5", "0"))
    assert main([str(good)]) == 0
    assert main([str(good), str(bad), str(tmp_path / "none.toml")]) == 1
    said = capsys.readouterr().err
    assert f"{bad}: policies.a[0].seconds must be a number of seconds above 0, not 0" in said
    assert "none.toml" in said
