import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cqox.cli.app import app
from cqox.contract import ROLES
from cqox.contract.messages import Message, message_from
from cqox.datasets import sample_path
from tests.waiting import PATIENCE_SECONDS

COMMAND = [sys.executable, "-m", "cqox", "analyze"]
ROLES_GIVEN = ["--y", "y", "--treatment", "w", "--unit-id", "id", "--covariates", "x1,x2", "--covariates", "x3, x4"]

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def table(tmp_path) -> Path:
    return Path(shutil.copy(sample_path("test"), tmp_path / "試験.csv"))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    given = ["analyze", *map(str, arguments)]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    return subprocess.CompletedProcess(given, done.exit_code, done.stdout, done.stderr)


def run_apart(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_a_file_is_analysed_without_a_server_and_figures_are_written_next_to_it(table):
    done = run(table, *ROLES_GIVEN, "--option", "alpha=0.1", "--format", "svg", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "90% interval" in done.stdout
    assert "aipw" in done.stdout
    assert "Verdict: " in done.stdout
    assert "estimate.aipw" in done.stderr
    assert "estimate.iv_2sls" not in done.stderr
    written = {path.name for path in (table.parent / "試験-figures").iterdir()}
    assert {"forest.svg", "forest.json"} <= written
    assert str(table.parent / "試験-figures" / "forest.svg") in done.stdout


def test_a_folder_and_a_pattern_are_analysed_where_they_are(table, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    header, *lines = table.read_bytes().splitlines(keepends=True)
    (folder / "part-1.csv").write_bytes(header + b"".join(lines[:50]))
    (folder / "part-2.csv").write_bytes(header + b"".join(lines[50:]))
    flags = [*ROLES_GIVEN, "--option", "estimators=difference_in_means", "--json", "--no-figures"]
    whole, placed, named = (
        json.loads(run(data, *flags, *more).stdout)
        for data, more in ((table, []), (folder, ["--option", "engine=duckdb"]), (folder / "part-*.csv", []))
    )
    assert placed["provenance"]["source"] == "files"
    assert (placed["provenance"]["table"], "source" in named["provenance"]) == ("parts", False)
    for each in (placed, named):
        assert each["provenance"]["rows"] == len(lines)
        assert each["estimates"][0]["estimate"] == pytest.approx(whole["estimates"][0]["estimate"], rel=1e-10)
    missing = run(folder / "none-*.csv", *flags)
    assert missing.returncode == 1
    assert "No file matches" in missing.stderr


def test_json_goes_to_standard_output_and_nothing_else_does(table):
    done = run_apart(table, *ROLES_GIVEN, "--json", "--no-figures")
    report = json.loads(done.stdout)
    assert report["mapping"]["covariates"] == ["x1", "x2", "x3", "x4"]
    assert {"aipw", "difference_in_means"} <= {estimate["name"] for estimate in report["estimates"]}
    assert report["figures"] == {}
    assert list(table.parent.iterdir()) == [table]


@pytest.mark.parametrize(
    ("given", "used"),
    [("aipw", {"aipw"}), ("aipw, ipw_ate", {"aipw", "ipw_ate"}), ('["aipw", "ipw_ate"]', {"aipw", "ipw_ate"})],
)
def test_an_option_of_several_values_takes_them_separated_by_commas(table, given, used):
    options = ["--option", f"estimators={given}", "--option", "outcome_range=-100,100.5", "--option", "seed=7"]
    done = run(table, *ROLES_GIVEN, *options, "--json", "--no-figures")
    report = json.loads(done.stdout)
    assert {estimate["name"] for estimate in report["estimates"]} == used
    assert (report["options"]["outcome_range"], report["options"]["seed"]) == ([-100.0, 100.5], 7)


def test_read_notes_are_printed_even_where_a_column_is_missing(tmp_path):
    table = tmp_path / "t.csv"
    rows = [f"{1000 + number * 37 % 900:,}" for number in range(40)]
    table.write_text("größe,w\n" + "\n".join(f'"{value}",{place % 2}' for place, value in enumerate(rows)), "cp1252")
    done = run(table, "--y", "größe", "--treatment", "w", "--no-figures", "--read", "encoding=cp1252")
    assert "file: größe: Commas were read as thousands separators." in done.stderr
    failed = run(table, "--y", "größe", "--treatment", "w", "--no-figures")
    assert failed.returncode == 2
    assert "encoding to cp1252" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--y", "nope", "--treatment", "w"], 2, "Valid: id, w, y"),
        (["--y", "y", "--y", "x1", "--treatment", "w"], 2, "--y was given 2 times"),
        (["--y", "y", "--treatment", "w", "--option", "seed"], 2, "--option takes name=value"),
        (["--y", "y", "--treatment", "w", "--option", "estimators=aipww"], 2, "Did you mean aipw"),
        (["--y", "y", "--treatment", "w", "--option", "primary=2sls"], 2, "Valid: iv_2sls, proximal_2sls"),
        (["--y", "y", "--treatment", "w", "--option", "sead=1"], 2, "seed"),
        (["--y", "y", "--treatment", "w", "--read", "colour=red"], 2, "colour"),
    ],
)
def test_a_mistake_ends_with_its_status_and_what_to_change(table, arguments, status, said):
    done = run(table, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_documents_are_written_by_their_suffix_and_wrong_ones_are_refused_before_the_file_is_read(table):
    targets = [table.parent / f"report.{suffix}" for suffix in ("json", "html", "md", "csv", "pdf")]
    exports = [word for target in targets for word in ("--export", target)]
    done = run(table, *ROLES_GIVEN, "--no-figures", *exports, "-o", "estimators=aipw", "--lang", "ja")
    assert done.returncode == 0, done.stderr
    assert all(f"書き込み済み：{target}" in done.stdout for target in targets)
    document, page, text, rows, printed = (target.read_bytes() for target in targets)
    assert json.loads(document)["mapping"]["y"] == "y"
    assert "判定" in page.decode()
    assert "判定" in text.decode()
    assert b"aipw" in rows
    assert printed.startswith(b"%PDF")
    for wrong, said in (
        (table.parent / "report.xls", "Valid: html"),
        (table.parent / "no" / "a.html", "does not exist"),
    ):
        refused = run(table, *ROLES_GIVEN, "--export", wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert said in refused.stderr
        assert "read" not in refused.stderr.split()


def test_limits_come_from_the_environment(table, monkeypatch):
    monkeypatch.setenv("CQOX_MAX_ROWS", "10")
    done = run_apart(table, *ROLES_GIVEN, "--no-figures")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CQOX_MAX_ROWS" in done.stderr
    monkeypatch.setenv("CQOX_MAX_ROWS", "many")
    assert run(table, *ROLES_GIVEN, "--no-figures").returncode == 2


def test_the_result_of_a_query_is_analysed(tmp_path):
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (y REAL, w INTEGER)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?)", [(number % 7 + number % 2, number % 2) for number in range(60)]
        )
        connection.commit()
    done = run(f"sqlite://{path}", "--query", "SELECT * FROM t", "--y", "y", "--treatment", "w", "--no-figures")
    assert done.returncode == 0, done.stderr
    assert "difference_in_means" in done.stdout


def test_a_file_that_is_not_there_is_said(tmp_path):
    done = run(tmp_path / "nothing.csv", "--y", "y")
    assert done.returncode == 1
    assert "nothing.csv cannot be read" in done.stderr


def test_an_interrupt_ends_the_computation_and_its_process(table):
    process = subprocess.Popen(
        [*COMMAND, str(table), *ROLES_GIVEN, "--no-figures", "--option", "repetitions=100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stderr is not None
        assert any("estimate.ols_adjustment" in line for line in process.stderr)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert "Traceback" not in process.stderr.read()


def test_every_role_has_a_flag_and_lists_are_explained():
    text = " ".join(run("--help").stdout.replace("│", " ").split())
    assert "several values are separated by commas" in text
    for role in ROLES:
        assert f"--{role.replace('_', '-')}" in text


def test_report_and_figures_can_be_japanese(table):
    done = run(table, *ROLES_GIVEN, "--lang", "ja", "--json", "--format", "json")
    report = json.loads(done.stdout)
    assert report["decision"]["note"] == of_code(report, "/decision/note").in_language("ja")
    assert "効果" in (table.parent / "試験-figures" / "forest.json").read_text(encoding="utf-8")


def of_code(report: dict, pointer: str) -> Message:
    return message_from(**report["messages"][pointer], english="")


def test_findings_are_printed_and_their_flags_settle_them(tmp_path):
    path = tmp_path / "shops.csv"
    rows = [(f"S{number}", number % 2, 100 + 40 * (number % 2) + number % 7) for number in range(30)]
    lines = ["shop,w,y", *(f"{shop},{w},{y}" for shop, w, y in rows), f"合計,1,{sum(y for _, _, y in rows)}"]
    path.write_text("\n".join(lines), encoding="utf-8")
    given = [path, "--y", "y", "--treatment", "w", "--no-figures", "--lang", "ja"]
    done = run(*given)
    assert (
        "データの指摘 totals-rows：「shop」の 1 行（'合計'）は、ほかの行の合計であり、観測値ではない。" in done.stdout
    )
    assert "  --option accept=totals-rows" in done.stdout
    assert "is a total of other rows" in done.stderr
    settled = run(*given, "--option", 'drop_rows=[{"column": "shop", "values": ["合計"]}]')
    assert settled.returncode == 0, settled.stderr
    assert "データの指摘" not in settled.stdout
    accepted = run(*given, "--option", "accept=totals-rows,wide-panel")
    assert "データの指摘 totals-rows" in accepted.stdout
    assert "--option accept" not in accepted.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give either DATA, or --source and --table"),
        (["trial.csv", "--source", "shop", "--table", "t"], "Give either DATA, or --source and --table"),
        (["--source", "shop", "--server", "http://127.0.0.1:1"], "--source and --table go together"),
        (["--table", "t", "--server", "http://127.0.0.1:1"], "--source and --table go together"),
        (["--source", "shop", "--table", "t"], "Say which with --server"),
        (["--source", "shop", "--table", "t", "--query", "SELECT 1"], "--query is for data"),
        (["--source", "shop", "--table", "t", "--read", "encoding=cp932"], "--read is for data"),
    ],
)
def test_a_table_in_place_excludes_what_is_for_data(arguments, said, monkeypatch):
    monkeypatch.delenv("CQOX_URL", raising=False)
    done = run(*arguments, "--y", "y", "--treatment", "w", "--no-figures")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_server_that_does_not_answer_is_named(table):
    done = run("absent", *ROLES_GIVEN, "--no-figures", "--server", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The server at http://127.0.0.1:1 cannot be reached: Connection refused." in done.stderr
    assert "Traceback" not in done.stderr
    wrong = run(table, *ROLES_GIVEN, "--server", "localhost:8082")
    assert wrong.returncode == 2
    assert "'localhost:8082' is no address of a server." in wrong.stderr
