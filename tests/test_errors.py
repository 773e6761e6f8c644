"""The exception hierarchy."""

import copy
import pickle

import pytest

from cqox.contract.messages import Message, of
from cqox.errors import CircuitOpen, InputError, InvalidRequest, KeyReused, RunsElsewhere, UploadConflict

ERRORS = [
    InvalidRequest("No column is called 'yy'.", field="mapping.y", choices=["y"]),
    KeyReused(Message("request.key-reused", key="monday-7"), field="Idempotency-Key"),
    RunsElsewhere(Message("request.job-runs-elsewhere", job_id="job-1")),
    UploadConflict(Message("storage.upload-is-written"), offset=7),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_copy_has_the_same_message(error: InputError) -> None:
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is type(error)
        assert (str(other), other.detail, other.field, other.choices) == (
            error.detail,
            error.detail,
            error.field,
            error.choices,
        )
        assert of(other.detail).code == of(error.detail).code
        assert getattr(other, "offset", None) == getattr(error, "offset", None)


def test_a_copy_of_a_rejection_says_the_same_however_it_was_made() -> None:
    for error in (CircuitOpen("engine", retry_after=1.5), CircuitOpen(policy="engine", retry_after=1.5)):
        for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert type(other) is CircuitOpen
            assert (other.args, str(other), other.retry_after) == (("engine",), str(error), 1.5)
