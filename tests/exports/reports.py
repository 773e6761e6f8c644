"""Reports of simulated studies with their figures, and reports made up for one test."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from cqox.analysis import run as analysis
from cqox.analysis.key import canonical_json
from cqox.contract import AnalyzeRequest, Options, Report, parse_model
from cqox.contract.messages import Language, collect_messages
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.exports import export
from cqox.exports.wording import Wording
from tests.studies.catalog import STUDIES

type Specs = Mapping[str, Mapping[str, object]]

WHEN = datetime(2025, 4, 7, 9, 30, tzinfo=UTC)
EVIL = "<script>alert('x')</script>"
EVIL_COVARIATES = ('#import "@preview/x:1"', "=cmd()|'/c calc'!A0", "a|b*c_d_`e`", "]]>&amp;\\u{41}$x$")
LONG = "令和六年度第{:02d}四半期における店舗別の平均来客数と売場面積の交互作用項目（速報値）"

STUDIES_OF = {
    "trial": "trial of a conversion rate",
    "hold": "no overlap",
    "staggered": "staggered: three starts",
    "cutoff": "cutoff: sharp, supported by its tests",
    "series": "series: months with seasons",
}
"""The designs that documents are made of here."""

ENGLISH, JAPANESE = Wording(language="en", level=95.0), Wording(language="ja", level=95.0)


@cache
def of_study(kind: str) -> tuple[Report, Specs]:
    """The report of one repetition of a study, and the specifications of its figures."""
    study = next(each for each in STUDIES if each.name == STUDIES_OF[kind])
    key = int.from_bytes(hashlib.blake2b(study.name.encode(), digest_size=8).digest())
    frame = study.generate(np.random.default_rng([key, 0]))
    return of_frame(frame, study.mapping, study.options)


@cache
def evil() -> tuple[Report, Specs]:
    """The report of a trial of three levels whose names are markup, code and formulas."""
    rng = np.random.default_rng(4)
    rows = 450
    group = rng.integers(0, 3, rows)
    covariates = {name: rng.standard_normal(rows) for name in EVIL_COVARIATES}
    y = group + covariates[EVIL_COVARIATES[0]] + rng.standard_normal(rows)
    levels = np.array(["control", "<b>A</b>", "=B()"])[group]
    frame = pl.DataFrame({"+SUM(1)": y, EVIL: levels, **covariates})
    mapping = {"y": "+SUM(1)", "treatment": EVIL, "covariates": list(covariates)}
    return of_frame(frame, mapping, {"assignment": "randomized", "estimators": ["lin_interacted", "aipw", "iv_2sls"]})


@cache
def wide(columns: int = 60) -> tuple[Report, Specs]:
    """The report of a study with 60 covariates of 41 letters."""
    rng = np.random.default_rng(5)
    rows, names = 800, [LONG.format(number) for number in range(columns)]
    x = rng.standard_normal((rows, columns))
    w = (rng.random(rows) < 1 / (1 + np.exp(-x[:, :4].sum(axis=1) / 4))).astype(int)
    y = x[:, :6].sum(axis=1) / 3 + w + rng.standard_normal(rows)
    frame = pl.DataFrame({"結果指標": y, "施策": w, **{name: x[:, at] for at, name in enumerate(names)}})
    mapping = {"y": "結果指標", "treatment": "施策", "covariates": names}
    return of_frame(frame, mapping, {"assignment": "unconfounded"})


@cache
def exported(kind: str, format: str, language: Language = "en") -> bytes:
    """The report of a study, of `evil` or of `wide` in a format, with its figures."""
    report, specs = {"evil": evil, "wide": wide}[kind]() if kind in ("evil", "wide") else of_study(kind)
    return export(report, format, specs, language=language, created_at=WHEN)


def of_frame(frame: pl.DataFrame, mapping: Mapping[str, object], options: Mapping[str, object]) -> tuple[Report, Specs]:
    """The report on a frame, as the API gives it, and the specifications of its figures."""
    content = frame.write_csv().encode()
    body = {"dataset_id": "study", "mapping": dict(mapping), "options": dict(options)}
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder) / "study.csv", Path(folder) / "table.parquet"
        source.write_bytes(content)
        write_parquet(read_table(source, name="study.csv", limits=Limits(), options=ReadOptions()), path)
        done = analysis.analyze(path, parse_model(AnalyzeRequest, body), threads=1, on_step=lambda _: None)
    key = hashlib.blake2b(content, digest_size=16).hexdigest()
    figures = {name: f"/api/analyses/{key}/figures/{name}.svg" for name in done.specs}
    provenance = {
        "dataset_digest": key, "rows": done.rows, "rows_used": done.rows_used, "code_version": "0.2.0+test",
        "seed": 0, "seconds": done.seconds, "cache": "miss",
    }  # fmt: skip
    report = {"analysis_id": key, "dataset_id": key, **done.report, "figures": figures, "provenance": provenance}
    return Report.model_validate(json.loads(canonical_json(report))), json.loads(canonical_json(done.specs))


def made(**changes: object) -> Report:
    """A report of one estimate, with changes of its members."""
    report: dict[str, object] = {
        "analysis_id": "a1",
        "dataset_id": "d1",
        "mapping": {"y": "sales", "treatment": "campaign"},
        "options": Options().model_dump(mode="json"),
        "status": "ok",
        "estimates": [estimate("aipw")],
        "results": [],
        "gates": {},
        "decision": decision(),
        "diagnostics": {},
        "figures": {},
        "provenance": {
            "dataset_digest": "d1", "rows": 120, "rows_used": 100, "code_version": "0.2.0+test", "seed": 7,
            "seconds": {"read": 0.1}, "cache": "miss",
        },
    }  # fmt: skip
    report |= changes
    report["messages"] = collect_messages(report)
    return Report.model_validate(report)


def estimate(name: str, value: float | None = 2.0, **changes: object) -> dict[str, object]:
    found: dict[str, object] = {"name": name, "family": "doubly_robust", "estimand": "ATE", "status": "ok"}
    if value is not None:
        found |= {"estimate": value, "standard_error": 0.5, "ci_lower": value - 1, "ci_upper": value + 1, "n": 100}
    return found | changes


def decision(**changes: object) -> dict[str, object]:
    return {
        "verdict": "GO", "headline": "The treatment raised sales.", "primary": "aipw", "primary_rule": "By rule.",
        "better": "higher", "minimum_effect": 0.0, "reasons": ["Because."], "estimates_computed": 1, "note": "One.",
    } | changes  # fmt: skip
