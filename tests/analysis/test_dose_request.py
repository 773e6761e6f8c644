import json
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    age = rng.integers(20, 70, 900)
    spent = (3 + 0.03 * (age - 45) + rng.standard_normal(900)).round(3)
    shown = rng.random(900) < 1 / (1 + np.exp(-(age - 45) / 15))
    aware = (40 + 6 * shown + 0.2 * age + 5 * rng.standard_normal(900)).round(2)
    sales = (100 + 8 * np.log1p(np.exp(spent)) + shown + 0.5 * aware + 0.3 * age + 4 * rng.standard_normal(900)).round(
        2
    )
    folder = tmp_path_factory.mktemp("dose")
    lines = ["年齢,広告費,配信,認知度,売上高"]
    lines += [f"{a},{s},{int(t)},{m},{y}" for a, s, t, m, y in zip(age, spent, shown, aware, sales, strict=True)]
    (folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    table = read_table(folder / "t.csv", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(table, folder / "t.parquet")
    return folder / "t.parquet"


def run(table: Path, mapping: dict[str, object], **options: object) -> Finished:
    request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
    finished = analyze(table, request, threads=1, on_step=lambda _: None)
    json.dumps(finished.report, allow_nan=False)
    json.dumps(finished.specs, allow_nan=False)
    return finished


def by_name(finished: Finished) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in finished.report["estimates"]}


def test_a_dose_has_a_curve_under_its_own_name(table: Path) -> None:
    finished = run(table, {"y": "売上高", "dose": "広告費", "covariates": ["年齢"]})
    assert "dose_curve" in finished.specs
    assert finished.specs["dose_curve"]["title"]["text"] == "Mean 売上高 by 広告費"
    found = by_name(finished)
    assert {found[name]["status"] for name in ("dose_curve", "dose_average_derivative", "ols_adjustment")} == {"ok"}
    assert finished.report["decision"]["primary"] == "ols_adjustment"


def test_a_randomised_dose_is_decided_by_its_average_derivative(table: Path) -> None:
    finished = run(table, {"y": "売上高", "dose": "広告費"})
    assert finished.report["decision"]["primary"] == "dose_average_derivative"


def test_a_mediator_splits_the_effect_and_leaves_the_decision_to_the_whole_one(table: Path) -> None:
    finished = run(table, {"y": "売上高", "treatment": "配信", "mediator": "認知度", "covariates": ["年齢"]})
    found = by_name(finished)
    parts = [found[f"mediation_{effect}"]["estimate"] for effect in ("acme", "ade", "total")]
    assert parts[0] + parts[1] == pytest.approx(parts[2])
    assert finished.report["decision"]["primary"] == "aipw"
    assert "notes" not in found["mediation_acme"]["diagnostics"]


def test_the_interaction_is_asked_for_by_an_option(table: Path) -> None:
    mapping = {"y": "売上高", "treatment": "配信", "mediator": "認知度", "covariates": ["年齢"]}
    found = by_name(run(table, mapping, mediation_interaction=True))
    assert {"acme_untreated", "acme_treated"} <= found["mediation_acme"]["diagnostics"].keys()
