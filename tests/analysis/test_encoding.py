import numpy as np
import polars as pl
import pytest

from cqox.analysis.encoding import encoded
from cqox.analysis.prepare import started
from cqox.contract import Options
from cqox.estimators.by_moments.encoded import Encoded, NotByMoments
from cqox.estimators.numerics.moments import ArrayMoments, Column, Constant, Exp, Is

FRAME = pl.DataFrame(
    {
        "y": [1.0, 2.0, 4.0],
        "t": ["control", "b", "a"],
        "x": [1, 2, 3],
        "word": ["u", "v", "w"],
        "p": [-1.0, -2.0, -0.5],
        "month": [202311, 202312, 202401],
    }
)


def roles(mapping: dict[str, object], contrast: int = 0, *, amount: bool = False, **options: object) -> Encoded:
    source = ArrayMoments(columns={name: FRAME[name].to_numpy() for name in FRAME.columns})
    return encoded(
        source,
        FRAME,
        {},
        mapping,
        Options(**options),
        contrast=contrast,
        amount=amount,
        fold_key="k",
        units_repeat=None,
    )


def test_words_enter_by_their_levels_and_numbers_as_they_are() -> None:
    found = roles({"y": "y", "treatment": "t", "covariates": ("x", "word")})
    assert found.covariates == (Column("x"), Is(Column("word"), "=", "v"), Is(Column("word"), "=", "w"))
    assert found.propensity_covariates == found.covariates
    assert found.row_key == Column("k")


@pytest.mark.parametrize(("contrast", "level"), [(0, "a"), (1, "b")])
def test_a_contrast_has_its_level_and_the_reference(contrast: int, level: str) -> None:
    found = roles({"y": "y", "treatment": "t"}, contrast)
    assert found.treatment == Is(Column("t"), "=", level)
    assert found.source.count() == 2


def test_a_logarithm_of_a_probability_is_a_probability() -> None:
    assert roles({"y": "y", "treatment": "t", "log_propensity": "p"}).pscore == Exp(Column("p"))


@pytest.mark.parametrize("dated", [False, True])
def test_a_treatment_that_follows_from_cohorts_is_that_of_memory(*, dated: bool) -> None:
    rng = np.random.default_rng(4)
    time = pl.Series(rng.integers(0, 6, 400)).cast(pl.Float64)
    start = pl.Series(rng.choice([-2.0, 0.0, 1.0, 3.0, 9.0] if dated else [-1.0, 0.0, 1.0, 3.0, np.inf], 400))
    gaps = pl.Series(rng.random(400) < 0.1)
    frame = pl.DataFrame({"time": time, "start": start, "y": rng.normal(size=400)}).with_columns(
        time=pl.when(~gaps).then("time"), start=pl.when(~gaps.reverse()).then("start")
    )
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    if dated:
        frame = frame.with_columns(pl.col("time", "start").cast(pl.Int32).cast(pl.Date))
    mapping: dict[str, object] = {"y": "y", "time": "time", "cohort": "start"}
    found = encoded(
        ArrayMoments(columns=columns), frame, {}, mapping, Options(), contrast=0, amount=False, fold_key=None,
        units_repeat=None,
    )  # fmt: skip
    values = found.source.fetch({"t": found.treatment}, Constant(0.0), 1.0)["t"]
    np.testing.assert_array_equal(values, started(frame, mapping))
    assert 0 < np.nansum(values) < np.isfinite(values).sum() < 400


def test_an_amount_is_a_number() -> None:
    assert roles({"y": "y", "treatment": "x"}, amount=True).treatment == Column("x")


@pytest.mark.parametrize(
    ("mapping", "options", "code"),
    [
        ({"y": "y", "treatment": "t"}, {"missing": "indicator"}, "by_moments.indicators"),
        ({"y": "y", "time": "x", "cohort": "word"}, {}, "by_moments.no-treatment"),
        ({"y": "y", "time": "word", "cohort": "x"}, {}, "by_moments.no-treatment"),
        ({"y": "y", "time": "month", "cohort": "month"}, {}, "by_moments.no-treatment"),
        ({"y": "y", "time": "x", "cohort": "x", "dose": "x"}, {}, "by_moments.no-treatment"),
    ],
)
def test_what_has_no_expression_is_refused(mapping: dict[str, object], options: dict[str, object], code: str) -> None:
    with pytest.raises(NotByMoments) as caught:
        roles(mapping, **options)
    assert caught.value.why.code == code
