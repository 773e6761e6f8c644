import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cqox.api.flags import flag_of
from cqox.cli.app import app
from cqox.cli.roles import command_of, print_roles
from cqox.datasets import sample_path

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return Path(shutil.copy(sample_path("mini_retail"), tmp_path / "小売 2024.csv"))


def test_suggestions_have_reasons_and_a_command_that_can_be_pasted(table: Path, capsys: pytest.CaptureFixture[str]):
    assert print_roles(str(table), read_options=["encoding=utf-8"], as_json=False, language="ja") == 0
    *lines, command = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["役割", "列", "確信度", "理由"]
    assert any(line.startswith("treatment") and "キャンペーン" in line for line in lines)
    words = shlex.split(command)
    assert words[:3] == ["cqox", "analyze", str(table)]
    assert words[words.index("--unit-id") + 1] == "店舗ID"
    assert words[-2:] == ["--read", "encoding=utf-8"]
    parsed = CliRunner().invoke(app, [*words[1:], "--help"])
    assert parsed.exit_code == 0


def test_json_is_what_the_http_interface_answers(table: Path, capsys: pytest.CaptureFixture[str]):
    assert print_roles(str(table), read_options=[], as_json=True, language="en") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["mapping"]["y"] == "売上"
    assert {"candidates", "missing", "notes", "findings", "messages"} <= answer.keys()


def test_a_role_that_no_column_plays_has_a_place_in_the_command():
    command = command_of("-a.csv", {"mapping": {"y": "a b"}, "missing": ["treatment"]}, query="SELECT 1")
    assert command == f"cqox analyze ./-a.csv --query 'SELECT 1' --y 'a b' {flag_of('treatment')} COLUMN"


def test_a_wrong_file_or_option_ends_with_its_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert print_roles(str(tmp_path / "no.csv"), read_options=["colour=1"], as_json=False, language="en") == 2
    assert print_roles(str(tmp_path / "no.csv"), read_options=[], as_json=False, language="ja") == 1
    assert "no.csv" in capsys.readouterr().err
