from http import HTTPStatus

import pytest

from cqox import errors
from cqox.contract.messages import Message
from services.engine.deadlines import AnalysisTimeUp, JobTimeUp
from services.http.response.error_details import ServiceDeadlineExceeded, detail_of, title_of

DEFAULT = Message("text.verbatim", text="It failed.")


@pytest.mark.parametrize(
    "error",
    [
        errors.CircuitOpen("p"),
        errors.CircuitOpen("p", retry_after=1.26),
        errors.BulkheadFull("p"),
        errors.TooManyListeners("job 1", most=3),
        errors.Draining("engine"),
        errors.AttemptTimeout(1.5),
        errors.AttemptTimeout(1.5, policy="p"),
        errors.DeadlineExceeded(),
        errors.DeadlineExceeded(0.25),
    ],
    ids=repr,
)
def test_the_detail_of_a_resilience_error_is_its_text_with_a_code(error):
    detail = detail_of(error, DEFAULT)
    assert detail == str(error)
    assert detail.code.startswith("problems.")


@pytest.mark.parametrize("kind", [errors.InvalidRequest, errors.StoreUnavailable])
def test_the_message_that_an_error_was_raised_with_keeps_its_code(kind):
    assert detail_of(kind(Message("problems.draining", policy="x")), DEFAULT).code == "problems.draining"
    assert detail_of(kind("Text."), DEFAULT) == "Text."


def test_an_error_without_text_has_the_default():
    assert detail_of(errors.WorkerLost(), DEFAULT) is DEFAULT


@pytest.mark.parametrize(
    "error",
    [AnalysisTimeUp(2.0, most=120.0), JobTimeUp(60.0), ServiceDeadlineExceeded(2.0, DEFAULT)],
    ids=lambda e: type(e).__name__,
)
def test_a_deadline_of_a_service_keeps_its_sentence_on_how_to_get_more_time(error):
    assert detail_of(error, Message("problems.draining", policy="x")) is error.detail
    assert str(error) == error.detail


@pytest.mark.parametrize("status", list(HTTPStatus))
def test_the_title_of_a_status_is_its_reason_phrase(status):
    assert title_of(status) == status.phrase
