"""Numbers do not change with order, names and formats, nor from one request to the next."""

import io
import json
import re

import httpx
import numpy as np
import polars as pl
import pytest

from tests.e2e.stack import Stack, build
from tests.e2e.test_main_job import analyze, by_name, upload

ROLES = {"y": "y", "treatment": "w", "covariates": ["a", "b", "c"]}


def table() -> pl.DataFrame:
    rng = np.random.default_rng(20260101)
    n = 400
    a, b = rng.normal(size=n).round(3), rng.integers(0, 9, n)
    c = rng.choice(["x", "y", "z"], n)
    w = (rng.random(n) < 1 / (1 + np.exp(-0.5 * a))).astype(int)
    y = (1.5 * w + a + 0.2 * b + (c == "z") + rng.normal(size=n)).round(4)
    return pl.DataFrame({"y": y, "w": w, "a": a, "b": b, "c": c})


def csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def numbers(api: httpx.Client, content: bytes, roles: dict[str, object] | None = None) -> dict[str, tuple[float, ...]]:
    dataset_id = str(upload(api, content)["dataset_id"])
    estimates = by_name(analyze(api, dataset_id, roles or ROLES))
    return {
        name: tuple(estimate[key] for key in ("estimate", "standard_error", "ci_lower", "ci_upper"))  # type: ignore[misc]
        for name, estimate in estimates.items()
        if estimate["status"] in ("ok", "warning")
    }


@pytest.fixture(scope="module")
def expected(stack: Stack) -> dict[str, tuple[float, ...]]:
    with stack.client() as api:
        found = numbers(api, csv(table()))
    assert len(found) >= 10
    return found


JAPANESE = {"y": "売上", "w": "施策", "a": "年齢", "b": "来店回数", "c": "地域"}
VARIANTS = {
    "rows in another order": (csv(table().sample(fraction=1.0, shuffle=True, seed=5)), None),
    "columns in another order": (csv(table().select("c", "w", "b", "y", "a")), None),
    "covariates named in another order": (csv(table()), {**ROLES, "covariates": ["c", "b", "a"]}),
    "Japanese names": (
        csv(table().rename(JAPANESE)),
        {"y": "売上", "treatment": "施策", "covariates": ["年齢", "来店回数", "地域"]},
    ),
    "Parquet instead of CSV": (parquet(table()), None),
    "numbers as other types": (
        parquet(table().with_columns(pl.col("b").cast(pl.Float64), pl.col("w").cast(pl.Boolean))),
        None,
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_numbers_stay(api: httpx.Client, expected: dict[str, tuple[float, ...]], variant: str) -> None:
    content, roles = VARIANTS[variant]
    found = numbers(api, content, roles)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def without_times(text: str) -> str:
    text = re.sub(r'"seconds":(\{[^}]*\}|[0-9.e-]+)', '"seconds":0', text)
    return re.sub(r'"trace_id":("[^"]*"|null)', '"trace_id":0', text)


def test_the_same_request_computed_twice_gives_the_same_bytes_but_for_times(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    body = {
        "dataset_id": "test",
        "mapping": {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]},
        "options": {"seed": 3},
    }
    with stack.client() as api:
        first = api.post("/api/analyze/comprehensive", json=body).text
    other = build(tmp_path_factory.mktemp("other"))
    other.engine.start()
    try:
        other.engine.wait_ready()
        second = httpx.post(
            f"{other.engine.url}/api/analyze/comprehensive", json=body, trust_env=False, timeout=60
        ).text
    finally:
        other.engine.stop()
    first = first.replace('"cache":"hit"', '"cache":"miss"')
    assert json.loads(second)["provenance"]["cache"] == "miss"
    assert without_times(first) == without_times(second)


def test_another_seed_moves_the_split_and_nothing_that_has_no_split(api: httpx.Client) -> None:
    mapping = {"y": "y", "treatment": "w", "covariates": ["x1", "x2", "x3", "x4"]}
    one, two = (by_name(analyze(api, "test", mapping, seed=seed)) for seed in (1, 2))
    assert one["dml_plr"]["estimate"] != pytest.approx(two["dml_plr"]["estimate"], rel=1e-8)
    # Cross-products are summed by fold for all that use them, so that the last digits may differ.
    assert one["aipw"]["estimate"] == pytest.approx(two["aipw"]["estimate"], rel=1e-13)
