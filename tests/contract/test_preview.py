import pytest
from pydantic import ValidationError

from cqox.contract import PreviewedPower, PreviewedRows
from cqox.contract.messages import Message


def test_a_sentence_stays_a_message_until_it_is_written() -> None:
    reason = Message("preview.power-of-amount")
    found = PreviewedPower(power=0.8, alpha=0.05, reason=reason)
    assert found.model_dump()["reason"].code == reason.code


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(ValidationError):
        PreviewedRows.model_validate({"read": 3, "kept": 3, "dropped": 0, "lost": 0})
