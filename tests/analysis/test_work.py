import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cqox.analysis.work import perform
from cqox.analysis.workers import Reply
from cqox.analysis.workers.environment import template_environment
from cqox.analysis.written import read
from cqox.errors import InvalidRequest
from tests.exports.reports import made

ARGUMENTS = {"request": {"dataset_id": "x", "mapping": {"y": "y", "treatment": "w", "covariates": ["a", "b"]}}}


class _Abandoned(BaseException):
    pass


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, object]:
    draw = random.Random(7)
    rows = [(draw.random(), draw.randint(0, 1), draw.random(), draw.randint(0, 3)) for _ in range(400)]
    source = tmp_path / "a.csv"
    source.write_text("y,w,a,b\n" + "".join(f"{y + w},{w},{a},{b}\n" for y, w, a, b in rows))
    perform("ingest", {"path": str(source), "folder": str(tmp_path), "name": "a.csv"}, lambda _: None)
    return {"path": str(tmp_path / "table.parquet"), **ARGUMENTS}


def report(arguments: dict[str, object]) -> str:
    body, payload = perform("analyze", arguments, lambda _: None)
    written = read(Reply(body=body, payload=payload))
    report = json.loads(written.report)
    for estimate in report["estimates"]:
        del estimate["seconds"]
    return json.dumps([report, json.loads(written.specs)])


def test_a_process_that_abandoned_an_analysis_anywhere_computes_the_next_as_if_it_had_not(
    arguments: dict[str, object],
) -> None:
    expected, passed = report(arguments), 0

    def count() -> None:
        nonlocal passed
        passed += 1

    perform("analyze", arguments, lambda _: None, count)
    assert passed > 100  # so often that hardly any task has to be killed
    for at in random.Random(3).sample(range(passed), 12):
        left = at

        def check() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise _Abandoned

        with pytest.raises(_Abandoned):
            perform("analyze", arguments, lambda _: None, check)
        assert report(arguments) == expected


def test_a_report_is_exported_with_what_its_owner_wrote() -> None:
    document = {"report": made().model_dump(mode="json"), "specs": {}, "format": "md"}
    more = {"language": "ja", "created_at": "2025-04-07T09:30:00+00:00", "title": "T", "remarks": "R"}
    answer, written = perform("export", {**document, **more}, lambda _: None)
    assert answer == {}
    for part in ("# T\n", "計算日時 2025-04-07 09:30 UTC", "> R\n", "## 推定値"):
        assert part in written.decode()
    _, plain = perform("export", document, lambda _: None)
    assert plain.decode().startswith("# Effect of campaign on sales\n\nData set d1\n")
    with pytest.raises(InvalidRequest, match="no export format 'odt'"):
        perform("export", {**document, "format": "odt"}, lambda _: None)
    with pytest.raises(InvalidRequest, match="not a JSON object"):
        perform("export", {**document, "report": []}, lambda _: None)


def test_an_analysis_draws_its_figures_without_altair(arguments: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "arguments.json").write_text(json.dumps(arguments))
    code = (
        "import json, sys; from cqox.analysis.work import perform, warm; from cqox.analysis.workers import Reply;"
        "from cqox.analysis.written import read; warm();"
        "body, payload = perform('analyze', json.load(open(sys.argv[1])), lambda _: None);"
        "specs = json.loads(read(Reply(body=body, payload=payload)).specs);"
        "print(json.dumps([list(specs), 'altair' in sys.modules]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "arguments.json")]
    figures, loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {"forest", "overlap", "love_plot", "weights"} <= set(figures)
    assert not loaded


def test_loading_starts_no_thread_and_leaves_nothing_to_import_to_a_worker_that_is_forked() -> None:
    code = (
        "import json, sys; from cqox.analysis.workers.late_threads import LateThreads, other_threads;"
        "late = LateThreads(); late.install();"
        "from cqox.analysis.work import load, warm; load();"
        "threads, before = other_threads(), set(sys.modules);"
        "late.start(); warm();"
        "print(json.dumps([threads, sorted(set(sys.modules) - before)]))"
    )
    environment = template_environment(os.environ, threads=2)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    threads, imported = json.loads(done.stdout)
    assert threads == []
    assert not [name for name in imported if name.partition(".")[0] in ("cqox", "numpy", "polars", "scipy")]
