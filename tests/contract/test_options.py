"""Options are checked before any data are read."""

import pytest

from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import InvalidRequest


def parsed(**options: object) -> AnalyzeRequest:
    return parse_model(
        AnalyzeRequest, {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}, "options": options}  # type: ignore[dict-item]
    )  # fmt: skip


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, {"a": 0.7, "b": 0.7}, {"a": 0.0}])
def test_a_share_outside_0_and_1_is_refused(share: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(expected_share=share)
    assert refused.value.field is not None
    assert refused.value.field.startswith("options.expected_share")


@pytest.mark.parametrize("share", [0.5, 0.04, {"a": 0.5, "b": 0.5}, {"a": 0.2}])
def test_a_share_between_0_and_1_is_taken(share: object) -> None:
    assert parsed(expected_share=share).options.expected_share == share


def test_an_unknown_assignment_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(assignment="random")
    assert refused.value.field == "options.assignment"
    assert set(refused.value.choices or ()) == {"unknown", "randomized", "unconfounded"}


@pytest.mark.parametrize("version", [0, 3, "2"])
def test_a_version_of_the_folds_that_does_not_exist_is_refused(version: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(folds_version=version)
    assert refused.value.field == "options.folds_version"
    assert (parsed().options.folds_version, parsed(folds_version=1).options.folds_version) == (2, 1)
