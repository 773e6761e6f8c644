import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from cqox.analysis.unmapped import Unmapped
from cqox.contract import DataFinding, Options, RoleMapping
from cqox.datasets import Column
from cqox.estimators import Data, Plan, Settings
from tests.estimators.designs import row_keys
from tests.validation import Validated, half_width, record

PLAIN: RoleMapping = {"y": "y", "treatment": "w"}


def described(series: pl.Series) -> Column:
    kind = "real" if series.dtype.is_float() else "count"
    if series.dtype == pl.String:
        kind = "id" if series.n_unique() == len(series) else "category"
    elif series.dtype.is_temporal():
        kind = "date"
    elif series.n_unique() == 2:
        kind = "binary"
    dtype = {"real": "float64", "date": "date", "category": "enum", "id": "string"}.get(kind, "int64")
    return Column(
        name=series.name, original_name=series.name, kind=kind, dtype=dtype, count=series.len() - series.null_count(),
        missing=series.null_count(), distinct=series.drop_nulls().n_unique(),
    )  # fmt: skip


def found(
    frame: pl.DataFrame, roles: RoleMapping = PLAIN, design: str = "comparison", **options: object
) -> dict[str, DataFinding]:
    columns = {name: described(frame[name]) for name in frame.columns}
    unmapped = Unmapped(frame.select, columns, roles, Options(**options))  # type: ignore[arg-type]
    return {finding.code: finding for finding in unmapped.findings(design)}


def around(rng: np.random.Generator, n: int) -> dict[str, object]:
    """Columns of every kind that have nothing to do with a treatment."""
    return {
        "x": rng.standard_normal(n), "price": rng.exponential(size=n).round(2), "rare": (rng.random(n) < 0.03) * 1,
        "kind": rng.choice(list("abcdefgh"), n, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.03, 0.02]),
        "age": rng.integers(18, 90, n), "visits": np.where(rng.random(n) < 0.95, 0, rng.integers(1, 99, n)),
        "city": rng.integers(0, 60, n).astype(str), "number": np.arange(n), "name": [f"n{at}" for at in range(n)],
        "day": [dt.date(2024, 1, 1) + dt.timedelta(days=int(at)) for at in rng.integers(0, 90, n)],
    }  # fmt: skip


def trial(n: int, seed: int = 0, share: float = 0.5) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    w = (rng.permutation(n) < max(2, round(share * n))) * 1
    return pl.DataFrame({"y": rng.standard_normal(n) + w, "w": w, **around(rng, n)})


def by_school(schools: int, pupils: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    school, n = np.repeat(np.arange(schools), pupils), schools * pupils
    arm = rng.permutation(np.arange(schools) % 2)
    shared = rng.standard_normal(schools)[school]
    columns = {"y": shared + rng.standard_normal(n), "w": arm[school], "school": school, **around(rng, n)}
    size = rng.integers(100, 999, schools)[school]
    return pl.DataFrame(
        {**columns, "score": rng.standard_normal(schools)[school] + rng.standard_normal(n), "size": size}
    )


def test_columns_by_which_the_arms_differ_are_named_with_what_can_be_sent() -> None:
    frame = trial(800).with_columns(x=pl.col("x") + 0.4 * pl.col("w"), more=pl.col("w") * 5 + pl.col("age"))
    finding = found(frame)["arms-differ"]
    assert sorted(finding.columns) == ["more", "x"]
    assert "'w' is related to '" in finding.message
    assert finding.severity == "caps"
    assert not finding.accepted
    assert finding.remedy is not None
    assert sorted(finding.remedy.parameters["mapping"]["covariates"]) == ["more", "x"]
    mapped = found(frame, {**PLAIN, "covariates": ("x", "age")})["arms-differ"]
    assert mapped.remedy is not None
    assert mapped.remedy.parameters["mapping"]["covariates"] == ["x", "age", "more"]


def test_of_many_columns_the_sentence_names_the_first_and_the_finding_all() -> None:
    more = {f"m{number}": pl.col("w") * 5 + pl.col("age") + number for number in range(30)}
    finding = found(trial(800).with_columns(**more))["arms-differ"]
    assert len(finding.columns) == 30
    assert "'m7' and 22 more" in finding.message
    assert "'m8'" not in finding.message


def test_what_is_named_as_measured_after_treatment_is_no_doubt_of_the_assignment() -> None:
    frame = trial(800).with_columns(x=pl.col("x") + pl.col("w"), revenue_followup=pl.col("x") + pl.col("w"))
    assert found(frame)["arms-differ"].columns == ["x"]
    assert found(frame, post_treatment=["x"]) == {}
    assert found(frame, accept=["arms-differ"])["arms-differ"].accepted


def test_copies_of_treatment_and_outcome_are_no_differences() -> None:
    frame = trial(600).with_columns(
        arm=pl.when(pl.col("w") > 0).then(pl.lit("new")).otherwise(pl.lit("old")),
        dose=pl.col("w") * (1 + pl.int_range(600) % 3),
        thousand=pl.col("y") / 1000,
        logs=pl.col("y").exp(),
    )
    assert found(frame) == {}


@pytest.mark.parametrize("design", ["trends", "sharp_cutoff", "interrupted_series", "synthetic_control", "proximal"])
def test_arms_are_compared_only_where_they_must_not_differ(design: str) -> None:
    frame = trial(600).with_columns(x=pl.col("x") + pl.col("w"))
    assert "arms-differ" not in found(frame, design=design)


def test_an_instrument_is_compared_in_the_place_of_the_treatment() -> None:
    rng = np.random.default_rng(0)
    frame = trial(900).with_columns(z=pl.Series(rng.integers(0, 2, 900)))
    frame = frame.with_columns(x=pl.col("x") + pl.col("w"), age=pl.col("age") + 9 * pl.col("z"))
    assert found(frame, {**PLAIN, "instrument": ("z",)}, "instrument")["arms-differ"].columns == ["age"]


def test_an_amount_of_treatment_is_compared_by_ranks() -> None:
    rng = np.random.default_rng(0)
    dose = rng.exponential(size=500)
    frame = trial(500).with_columns(w=pl.Series(dose), x=pl.Series(dose + rng.standard_normal(500)))
    assert found(frame)["arms-differ"].columns == ["x"]


@pytest.mark.parametrize(("schools", "pupils"), [(6, 50), (20, 10), (60, 2)])
def test_an_unmapped_cluster_is_named_with_its_mapping(schools: int, pupils: int) -> None:
    finding = found(by_school(schools, pupils))["unmapped-cluster"]
    assert finding.columns == ["school"]
    assert finding.severity == "caps"
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"mapping": {"cluster": ["school"]}}
    assert found(by_school(schools, pupils), {**PLAIN, "cluster": ("school",)}) == {}


def test_the_clusters_of_a_panel_are_those_of_whole_histories() -> None:
    rng = np.random.default_rng(0)
    unit, time = np.repeat(np.arange(60), 8), np.tile(np.arange(8), 60)
    state = unit // 5
    w = ((state % 2 > 0) & (time >= 4)) * 1
    frame = pl.DataFrame(
        {"y": rng.standard_normal(480), "w": w, "unit": unit, "time": time, "state": state,
         "size": rng.integers(0, 9, 60)[unit], "weather": rng.integers(0, 9, 480)}
    )  # fmt: skip
    roles: RoleMapping = {**PLAIN, "unit_id": "unit", "time": "time"}
    assert found(frame, roles, "trends")["unmapped-cluster"].columns == ["state"]
    assert found(frame, {**roles, "cluster": ("state",)}, "trends") == {}
    assert found(frame.with_columns(w=pl.Series(((unit % 3 > 0) & (time >= 4)) * 1)), roles, "trends") == {}


def test_a_large_table_is_read_by_some_of_its_rows() -> None:
    read: list[int] = []
    frame = by_school(1000, 40)
    columns = {name: described(frame[name]) for name in frame.columns}

    def load(names: Sequence[str]) -> pl.DataFrame:
        read.append(len(names))
        return frame.select(names)

    one = Unmapped(load, columns, PLAIN, Options()).findings("comparison")  # type: ignore[call-arg]
    assert [finding.columns for finding in one if finding.code == "unmapped-cluster"] == [["school"]]
    assert Unmapped(load, columns, PLAIN, Options()).findings("comparison") == one  # type: ignore[call-arg]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share"), [(40, 0.5), (100, 0.5), (500, 0.5), (200, 0.04), (1000, 0.04)])
def test_a_trial_is_rarely_accused_of_arms_that_differ(n: int, share: float) -> None:
    replications = 400
    accused = [found(trial(n, seed, share)) for seed in range(replications)]
    rate = float(np.mean(["arms-differ" in each for each in accused]))
    clusters = float(np.mean(["unmapped-cluster" in each for each in accused]))
    record(
        Validated(
            design=f"Trial of {n} rows, {share:.0%} treated, 10 unmapped columns of every kind",
            estimator="finding arms-differ", replications=replications, rows=n,
            note=f"found in {rate:.1%} of the trials (level 1%), unmapped-cluster in {clusters:.1%}",
        )
    )  # fmt: skip
    assert rate <= 0.01 + half_width(0.01, replications)
    assert clusters == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("schools", "pupils"), [(10, 20), (40, 10)])
def test_clusters_of_a_trial_are_found_and_once_mapped_no_doubt(schools: int, pupils: int) -> None:
    replications = 300
    frames = [by_school(schools, pupils, seed) for seed in range(replications)]
    seen = float(np.mean(["unmapped-cluster" in found(frame) for frame in frames]))
    accused = float(np.mean([bool(found(frame, {**PLAIN, "cluster": ("school",)})) for frame in frames]))
    record(
        Validated(
            design=f"Trial of {schools} schools with {pupils} pupils each", estimator="finding unmapped-cluster",
            replications=replications, rows=schools * pupils,
            note=f"found in {seen:.1%} where the schools are not mapped; any finding in {accused:.1%} where they are",
        )
    )  # fmt: skip
    assert seen >= 0.99
    assert accused <= 0.01 + half_width(0.01, replications)


def at_cutoff(seed: int, *, jump: float, n: int = 1_000) -> tuple[pl.DataFrame, Plan]:
    """Columns around a cutoff at 0, one of which jumps there, and the plan of the mapped ones."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(-1, 1, n)
    side = (score >= 0) * 1
    frame = pl.DataFrame({
        "y": score + side + rng.standard_normal(n), "w": side, "score": score,
        "income": score + jump * side + rng.standard_normal(n), "age": rng.integers(18, 80, n),
        "eligible": side * 3, "points": 100 * score,
    })  # fmt: skip
    y = frame["y"].to_numpy()
    data = Data(
        n=n, y=y, treatment=side.astype(float), treatment_kind="binary", running=score, cutoff=0.0,
        row_key=row_keys(y, score),
    )  # fmt: skip
    return frame, Plan(data, Settings())


SCORED: RoleMapping = {"y": "y", "treatment": "w", "running": "score", "cutoff": 0.0}


def at_cutoff_found(seed: int, *, jump: float, **options: object) -> DataFinding | None:
    frame, plan = at_cutoff(seed, jump=jump)
    columns = {name: described(frame[name]) for name in frame.columns}
    unmapped = Unmapped(frame.select, columns, SCORED, Options(**options))  # type: ignore[arg-type]
    found = {finding.code: finding for finding in unmapped.findings("sharp_cutoff", plan)}
    return found.get("jumps-at-cutoff")


def test_a_column_without_a_role_that_jumps_at_the_cutoff_is_named() -> None:
    found = at_cutoff_found(0, jump=2.0)
    assert found is not None
    assert (found.columns, found.severity) == (["income"], "caps")
    assert found.remedy.parameters == {"mapping": {"covariates": ["income"]}}
    assert at_cutoff_found(0, jump=2.0, post_treatment=["income"]) is None
    assert at_cutoff_found(0, jump=2.0, accept=["jumps-at-cutoff"]).accepted


def test_words_that_jump_at_the_cutoff_are_named() -> None:
    frame, plan = at_cutoff(0, jump=0.0)
    rng = np.random.default_rng(3)
    urban = rng.random(frame.height) < 0.2 + 0.6 * frame["w"].to_numpy()
    words = np.where(np.arange(frame.height) % 50 == 3, None, np.where(urban, "yes", "no"))
    frame = frame.with_columns(urban=pl.Series(words, dtype=pl.Enum(["no", "yes"])))
    columns = {name: described(frame[name]) for name in frame.columns}
    findings = Unmapped(frame.select, columns, SCORED, Options()).findings("sharp_cutoff", plan)
    assert [each.columns for each in findings if each.code == "jumps-at-cutoff"] == [["urban"]]


def test_rows_of_weight_0_do_not_shift_the_columns_at_the_cutoff() -> None:
    frame, plan = at_cutoff(0, jump=2.0)
    weight = np.where(np.arange(frame.height) % 7 == 2, 0.0, 1.0)
    frame = frame.with_columns(weight=pl.Series(weight))
    part = Plan(replace(plan.data.rows(np.flatnonzero(weight)), weights=weight[weight > 0]), Settings())
    columns = {name: described(frame[name]) for name in frame.columns}
    findings = Unmapped(frame.select, columns, {**SCORED, "weights": "weight"}, Options()).findings(
        "sharp_cutoff", part
    )
    assert [each.columns for each in findings if each.code == "jumps-at-cutoff"] == [["income"]]


def test_columns_that_pass_the_cutoff_smoothly_are_rarely_named() -> None:
    assert sum(at_cutoff_found(seed, jump=0.0) is not None for seed in range(60)) <= 4
