import polars as pl
import pytest

from cqox.analysis.encoding import encoded
from cqox.contract import Options
from cqox.estimators.by_moments.encoded import Encoded, NotByMoments
from cqox.estimators.numerics.moments import ArrayMoments, Column, Exp, Is

FRAME = pl.DataFrame(
    {"y": [1.0, 2.0, 4.0], "t": ["control", "b", "a"], "x": [1, 2, 3], "word": ["u", "v", "w"], "p": [-1.0, -2.0, -0.5]}
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


def test_an_amount_is_a_number() -> None:
    assert roles({"y": "y", "treatment": "x"}, amount=True).treatment == Column("x")


@pytest.mark.parametrize(
    ("mapping", "options", "code"),
    [
        ({"y": "y", "treatment": "t"}, {"missing": "indicator"}, "by_moments.indicators"),
        ({"y": "y", "time": "x", "cohort": "x"}, {}, "by_moments.no-treatment"),
    ],
)
def test_what_has_no_expression_is_refused(mapping: dict[str, object], options: dict[str, object], code: str) -> None:
    with pytest.raises(NotByMoments) as caught:
        roles(mapping, **options)
    assert caught.value.why.code == code
