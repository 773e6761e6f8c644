import inspect
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cqox.cli.app import app
from cqox.cli.power import plan
from cqox.cli.power_flags import COLUMNS, NUMBERS, power_flags
from cqox.planning import power

ROWS = [(float(number % 7 + 3 * (number % 2)), f"c{number % 12}") for number in range(120)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "年.csv"
    path.write_text("\n".join(["売上,店舗", *(f"{y},{cluster}" for y, cluster in ROWS)]), encoding="cp932")
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["power", *map(str, arguments)], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def test_every_argument_of_the_function_is_a_flag():
    flags = {each.name for each in power_flags()} - {"json", "lang", "read", "query"}
    assert flags == set(inspect.signature(power).parameters)
    assert not set(COLUMNS) & set(NUMBERS)


def test_numbers_give_the_answer_of_the_function():
    status, out, err = run("--baseline", 0.1, "--effect", 0.02, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["n"] == power(effect=0.02, baseline=0.1).n == 7682
    assert run("--effect", 1, "--sd", "1,2")[1] == f"{power(effect=1, sd=(1.0, 2.0))}\n"


def test_data_are_read_like_those_of_an_analysis(table: Path):
    status, out, _ = run(table, "--read", "encoding=cp932", "--y", "売上", "--cluster", "店舗", "--lang", "ja")
    frame = {"y": [y for y, _ in ROWS], "cluster": [cluster for _, cluster in ROWS]}
    assert (status, out.splitlines()[0]) == (0, power(frame, y="y", cluster="cluster").headline.in_language("ja"))


def test_the_result_of_a_query_and_a_folder_are_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("CREATE TABLE t (y REAL, c TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
        connection.commit()
    address = f"sqlite://{tmp_path / 't.db'}"
    assert plan(address, {"y": "y"}, query="SELECT y FROM t", as_json=True, language="en") == 0
    of_query = json.loads(capsys.readouterr().out)
    (tmp_path / "parts").mkdir()
    for number in (0, 1):
        lines = ["y,c", *(f"{y},{cluster}" for y, cluster in ROWS[60 * number :][:60])]
        (tmp_path / "parts" / f"{number}.csv").write_text("\n".join(lines), encoding="utf-8")
    assert plan(str(tmp_path / "parts"), {"y": "y"}, as_json=True, language="en") == 0
    assert json.loads(capsys.readouterr().out) == of_query


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--effect", "1", "--sd", "a,b"], 2, "--sd takes one or two numbers"),
        (["--effect", "1", "--sd", "1,2,3"], 2, "sd"),
        (["--effect", "1", "--sd", "1", "--power", "2"], 2, "power"),
        (["none.csv", "--y", "y"], 1, "none.csv"),
        (["--rate-test", "chi"], 2, "score"),
        (["--effect", "0", "--sd", "1"], 2, "effect"),
        (["--effect", "1", "--sd", "1", "--ratio", "0"], 2, "ratio"),
    ],
)
def test_a_mistake_ends_with_its_status_and_what_to_change(arguments: list[str], status: int, said: str):
    code, out, err = run(*arguments)
    assert (code, out) == (status, "")
    assert said in err
