from contextlib import nullcontext
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cqox.cli.app import app
from cqox.cli.commands import _folder_of_figures, add_commands
from cqox.cli.doctor.check import Check, Found
from cqox.cli.installation import Installation, StorePlace
from cqox.contract.messages import Message
from services.cli.app import app as of_services

COMMANDS = (
    "analyze",
    "login",
    "logout",
    "preview",
    "roles",
    "sources",
    "power",
    "report",
    "mcp",
    "explain",
    "estimators",
    "doctor",
)


def names(of: typer.Typer) -> list[str]:
    return [str(command.name or command.callback.__name__.strip("_")) for command in of.registered_commands]


def test_both_command_lines_have_the_same_commands():
    assert names(app) == list(COMMANDS)
    assert names(of_services) == ["up", "rekey", *COMMANDS]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_a_sentence_for_every_flag(command: str):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert f"Usage: cqox {command}" in " ".join(shown.split())
    rows = [line.strip("│ ").rstrip() for line in shown.splitlines() if line.startswith("│")]
    assert rows
    assert all(len(row.split()) > 2 for row in rows if row.startswith("--"))


def test_wrong_names_are_refused_with_near_ones():
    done = CliRunner().invoke(app, ["explain", "overlapp", "--lang", "ja"])
    assert done.exit_code == 2
    assert "overlap" in done.output


def test_the_services_add_their_store_and_their_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    further = Check(name="more", run=lambda: [Found(status="fail", text=Message("doctor.ok"))])
    installation = Installation(
        check=lambda environ: None,
        checks=lambda environ: [further],
        store=lambda environ: nullcontext(StorePlace(data_dir=tmp_path)),
    )
    made = typer.Typer()
    add_commands(made, installation)
    monkeypatch.setattr("cqox.cli.doctor.examine.library_checks", lambda environ: [])
    assert CliRunner().invoke(made, ["doctor", "--json"]).exit_code == 1
    assert str(tmp_path) in CliRunner().invoke(made, ["report"]).output.replace("\n", "")


@pytest.mark.parametrize("command", ["analyze x.csv", "roles x.csv", "power", "report", "mcp"])
def test_a_wrong_variable_is_refused_before_anything_is_done(command: str):
    for used, variable, near in ((app, "CQOX_MAX_ROW", "CQOX_MAX_ROWS"), (of_services, "CQOX_PORT", "CQOX_")):
        done = CliRunner().invoke(used, [*command.split(), "--lang", "en"], env={variable: "1"})
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"There is no setting {variable}" in done.stderr
        assert near in done.stderr


@pytest.mark.parametrize(
    ("data", "folder"),
    [
        ("a/小売.2024.csv", "a/小売-figures"),
        (".hidden", "cqox-figures"),
        ("a/", "a-figures"),
        ("a/year=*/part-*.parquet", "a-figures"),
        ("*.csv", "cqox-figures"),
        (".", "cqox-figures"),
        ("https://h/x/sales.csv?token=s", "sales-figures"),
        ("duckdb://", "cqox-figures"),
    ],
)
def test_figures_are_next_to_the_file_or_in_the_current_folder(data: str, folder: str):
    assert _folder_of_figures(data) == Path(folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_points_to_commands_and_to_no_file_of_the_repository(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "docs/" not in done.output
