import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cqox.api.flags import flag_of
from cqox.cli.app import app
from cqox.cli.roles import command_of, print_roles, remedies_of
from cqox.datasets import sample_path
from tests.cli.stored import served

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


def test_a_server_is_asked_for_a_file_or_a_data_set_of_its_own(table: Path, capsys: pytest.CaptureFixture[str]):
    assert print_roles(str(table), read_options=[], as_json=True, language="en") == 0
    suggested = capsys.readouterr().out
    with served({"/api/roles/infer": (200, suggested.encode())}) as url:
        assert print_roles("test", server=url, read_options=[], as_json=True, language="en") == 0
        assert json.loads(capsys.readouterr().out) == json.loads(suggested)
        assert print_roles("test", server=url, read_options=[], as_json=False, language="ja") == 0
        *_, command = capsys.readouterr().out.splitlines()
        assert shlex.split(command)[:5] == ["cqox", "analyze", "test", "--server", url]
        done = CliRunner().invoke(app, ["roles", "test", "--json", "--lang", "en"], env={"CQOX_URL": url})
        assert json.loads(done.stdout) == json.loads(suggested)
    with served({}) as url:
        assert print_roles("test", server=url, read_options=[], as_json=False, language="en") == 1
    assert "There is none." in capsys.readouterr().err


MARKED = "shop,sales,campaign\na,5,○\nb,7,\nc,6,○\nd,9,\n合計,27,\n"


def test_roles_prints_what_it_takes_and_the_command_of_an_analysis_has_every_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "marked.csv"
    table.write_text(MARKED, encoding="utf-8")
    assert print_roles(str(table), read_options=[], as_json=False, language="en") == 0
    *lines, command = capsys.readouterr().out.splitlines()
    assert not any("--option" in line for line in lines)
    (flags,) = [shlex.split(line) for line in lines if "--read" in line]
    assert any("campaign" in line and "a mark or is empty" in line for line in lines)
    words = shlex.split(command)
    assert 'yes_no=["campaign"]' in words
    assert any(word.startswith("drop_rows=") for word in words)
    assert CliRunner().invoke(app, ["roles", str(table), *flags]).exit_code == 0
    assert words[words.index("--treatment") + 1] == "campaign"
    assert CliRunner().invoke(app, [*words[1:], "--no-figures"]).exit_code == 0


def test_remedies_of_the_same_name_are_joined():
    def finding(at: str, **parameters: object) -> dict[str, object]:
        return {"remedy": {"at": at, "parameters": parameters}}

    upload, analyze = remedies_of([
        finding("analyze", drop_rows=[{"rows": [1]}]), finding("analyze", period_formats={"a": "year"}),
        finding("analyze", drop_rows=[{"duplicates": True}]), finding("analyze", period_formats={"b": "week"}),
        finding("upload", header_rows=2), {"remedy": None},
    ])  # fmt: skip
    assert upload == {"header_rows": 2}
    assert analyze == {
        "drop_rows": [{"rows": [1]}, {"duplicates": True}], "period_formats": {"b": "week", "a": "year"},
    }  # fmt: skip
    inference = {"mapping": {"y": "a"}, "missing": [], "findings": [finding("upload", header_rows=2)]}
    assert command_of("t.csv", inference) == "cqox analyze t.csv --y a --read header_rows=2"


def test_a_wrong_file_or_option_ends_with_its_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert print_roles(str(tmp_path / "no.csv"), read_options=["colour=1"], as_json=False, language="en") == 2
    assert print_roles(str(tmp_path / "no.csv"), read_options=[], as_json=False, language="ja") == 1
    assert "no.csv" in capsys.readouterr().err
