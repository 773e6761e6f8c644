import subprocess
import sys

import pytest

from cqox.contract import ESTIMATORS, AnalyzeRequest, Options, parse_model
from cqox.contract.estimators import near_estimators
from cqox.errors import InvalidRequest
from cqox.estimators import entries


def request(**options: object) -> dict[str, object]:
    return {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}, "options": options}


def test_the_names_are_those_of_the_catalog() -> None:
    assert sorted(ESTIMATORS) == sorted(entry.name for entry in entries())


@pytest.mark.parametrize(
    ("options", "field", "name", "near"),
    [
        ({"estimators": ["aipw", "aipww"]}, "options.estimators", "aipww", "aipw"),
        ({"primary": "IPW"}, "options.primary", "IPW", "ipw_ate"),
        ({"estimators": ["aipw"], "primary": "2sls"}, "options.primary", "2sls", "iv_2sls"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest_before_any_data_are_read(
    options: dict[str, object], field: str, name: str, near: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"There is no estimator '{name}'\. Did you mean {near}") as caught:
        parse_model(AnalyzeRequest, request(**options))
    assert caught.value.field == field
    assert caught.value.choices[0] == near
    assert sorted(caught.value.choices) == sorted(ESTIMATORS)


def test_a_name_like_no_other_is_refused_with_all_of_them() -> None:
    with pytest.raises(InvalidRequest, match=r"There is no estimator 'magic'\.$") as caught:
        parse_model(AnalyzeRequest, request(estimators=["magic"]))
    assert caught.value.choices == ESTIMATORS


def test_every_name_is_taken_and_none_may_be_named_at_all() -> None:
    assert Options(estimators=list(ESTIMATORS), primary=ESTIMATORS[-1]).primary == ESTIMATORS[-1]
    assert parse_model(AnalyzeRequest, request(primary=None)).options.estimators is None


@pytest.mark.parametrize(
    ("word", "first"), [("ols", "ols_adjustment"), ("AIPW", "aipw"), ("iv-2sls", "iv_2sls"), ("", None)]
)
def test_the_nearest_names_are_those_that_hold_the_word_or_look_like_it(word: str, first: str | None) -> None:
    assert next(iter(near_estimators(word)), None) == first


def test_names_are_checked_without_numerics() -> None:
    program = (
        "import sys; from cqox.contract import Options; Options(primary='aipw'); "
        "print('numpy' in sys.modules, 'cqox.estimators' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False False\n"
