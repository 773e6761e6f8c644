import json
from pathlib import Path

import pytest

from tests.studies.__main__ import main
from tests.studies.catalog import STUDIES
from tests.studies.running import code_digest

FAST = "trial of counts"


def run(out: Path, *arguments: str) -> int:
    return main(["--out", str(out), "--jobs", "1", *arguments])


def test_what_is_on_record_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "studies.jsonl"
    assert run(out, "--runs", "2", "--only", FAST) == 0
    assert run(out, "--runs", "3", "--only", FAST) == 0
    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [record["run"] for record in records] == [0, 1, 2]
    assert {record["code"] for record in records} == {code_digest()}
    said = capsys.readouterr()
    assert f"good      {FAST} (3 runs" in said.out
    assert f"1 of 1: {FAST}" in said.err


def test_a_study_that_fails_is_named_and_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, code = tmp_path / "studies.jsonl", code_digest()
    answer = {"study": FAST, "verdict": "HOLD", "reasons": [], "seconds": 0.1, "code": code}
    out.write_text("".join(f"{json.dumps({**answer, 'run': number})}\n" for number in range(50)), encoding="utf-8")
    assert run(out, "--runs", "50", "--only", FAST) == 1
    assert "1 studies, 1 fail" in capsys.readouterr().out


def test_records_of_other_code_are_not_counted(tmp_path: Path) -> None:
    out = tmp_path / "studies.jsonl"
    stale = {"study": FAST, "run": 0, "verdict": "HOLD", "reasons": [], "seconds": 0.1, "code": "other"}
    out.write_text(f"{json.dumps(stale)}\n", encoding="utf-8")
    assert run(out, "--runs", "1", "--only", FAST) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2


def test_an_unknown_study_is_refused_with_the_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "studies.jsonl", "--only", "no such study") == 2
    assert STUDIES[-1].name in capsys.readouterr().out


def test_the_page_is_of_every_study(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path / "studies.jsonl", "--page", "--only", FAST)
