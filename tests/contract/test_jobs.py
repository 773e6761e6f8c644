import pytest
from pydantic import ValidationError

from cqox.contract import EstimateEvent

BODY = {"name": "aipw", "label": "AIPW", "family": "doubly_robust", "estimand": "ATE", "status": "ok", "done": 1}


def test_an_estimate_says_how_many_are_planned() -> None:
    assert EstimateEvent.model_validate({**BODY, "planned": 9}).planned == 9
    with pytest.raises(ValidationError):
        EstimateEvent.model_validate(BODY)


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(ValidationError):
        EstimateEvent.model_validate({**BODY, "planned": 9, "seconds": 1.0})
