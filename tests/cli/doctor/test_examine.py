import json

import pytest

from cqox.cli.doctor import examine as module
from cqox.cli.doctor.check import Check, Found
from cqox.cli.doctor.examine import examine, library_checks, results
from cqox.contract.messages import Message

FINE = Check(name="fine", run=lambda: [Found(status="ok", text=Message("doctor.figure"))])
SLOW = Check(
    name="slow",
    run=lambda: [
        Found(status="warn", text=Message("doctor.no-letters"), remedy=Message("doctor.free-memory"), data={"a": 1})
    ],
)


def broken():
    yield Found(status="ok", text=Message("doctor.figure"))
    raise RuntimeError("It broke.")


BROKEN = Check(name="broken", run=broken)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    return lambda *checks: monkeypatch.setattr(module, "library_checks", lambda environ: list(checks))


def test_each_finding_is_a_line_with_what_to_do(only, capsys: pytest.CaptureFixture[str]):
    only(FINE)
    assert examine(lambda environ: [SLOW], as_json=False, language="en") == 0
    first, second, remedy, summary = capsys.readouterr().out.splitlines()
    assert first == "ok   fine       Figures have Japanese letters"
    assert second.startswith("warn slow")
    assert remedy.startswith("     → Close other programs")
    assert summary == "1 ok, 1 warning, 0 failures"


def test_an_error_of_a_check_is_a_failure_of_it_and_the_others_run(only):
    found = [(check.name, each.status) for check, each in results([BROKEN, FINE])]
    assert found == [("broken", "ok"), ("broken", "fail"), ("fine", "ok")]


def test_json_has_the_same_in_names_and_numbers(only, capsys: pytest.CaptureFixture[str]):
    only(SLOW, BROKEN)
    assert examine(lambda environ: [], as_json=True, language="ja") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "fail"
    assert answer["checks"][0]["data"] == {"a": 1}
    assert "閉" not in answer["checks"][0]["text"]
    assert "RuntimeError" in answer["checks"][-1]["text"]


def test_the_checks_of_the_library_have_names_of_their_own():
    names = [check.name for check in library_checks({})]
    assert names == sorted(set(names), key=names.index)
    assert {"python", "packages", "memory", "disk", "clock", "analysis"} <= set(names)
