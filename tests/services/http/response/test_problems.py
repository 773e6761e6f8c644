import json

import pytest
import trio
from structlog.testing import capture_logs
from werkzeug.datastructures import Headers
from werkzeug.exceptions import MethodNotAllowed, NotFound, RequestTimeout

from cqox import errors
from services.http.request.request import IncomingRequest
from services.http.response.problems import answer, kind_of, kinds, select_error


def asked() -> IncomingRequest:
    given = Headers({"X-Request-Id": "abc"})
    scope = {"type": "http", "headers": [], "query_string": b""}
    return IncomingRequest("POST", "http", "/there", b"", given, "", "1.1", scope, send_push_promise=None)


async def body_of(response):
    return json.loads(await response.get_data())


@pytest.mark.trio
@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (errors.InvalidRequest("x"), 400, "invalid-request"),
        (errors.NotFound("x"), 404, "not-found"),
        (errors.LimitExceeded("x"), 413, "limit-exceeded"),
        (errors.UnreadableFile("x"), 415, "unreadable-file"),
        (errors.RunsElsewhere("x"), 409, "runs-elsewhere"),
        (errors.UploadConflict("x"), 409, "upload-conflict"),
        (errors.UnusableData("x"), 422, "unusable-data"),
        (errors.KeyReused("x"), 422, "idempotency-key-reused"),
        (errors.BulkheadFull("p"), 429, "bulkhead-full"),
        (errors.RateLimited("p"), 429, "rate-limited"),
        (errors.QuotaExceeded("p", detail="x"), 429, "quota-exceeded"),
        (errors.Shed("p"), 429, "shed"),
        (errors.CircuitOpen("p"), 503, "circuit-open"),
        (errors.Draining("p"), 503, "draining"),
        (errors.WorkerLost("x"), 503, "worker-lost"),
        (errors.StoreUnavailable("x"), 503, "store-unavailable"),
        (errors.StorageFull("x"), 507, "insufficient-storage"),
        (errors.EngineUnavailable("x"), 503, "engine-unavailable"),
        (errors.DeadlineExceeded(1.0), 504, "deadline-exceeded"),
        (errors.AttemptTimeout(1.0), 504, "attempt-timeout"),
        (RequestTimeout(), 408, "request-timeout"),
        (ZeroDivisionError("secret"), 500, "internal-error"),
    ],
)
async def test_every_error_has_its_status_and_its_type(error, status, type_):
    response = answer(asked(), error)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem = await body_of(response)
    assert (problem["type"], problem["status"], problem["instance"]) == (type_, status, "/there")
    assert problem["request_id"] == "abc"
    assert problem["title"]
    assert problem["detail"]
    assert ("Retry-After" in response.headers) == (status in (429, 503))


def test_every_error_that_is_raised_on_purpose_has_a_kind():
    def below(kind):
        return {kind, *(each for child in kind.__subclasses__() for each in below(child))}

    roots = {errors.CqoxError, errors.ResilienceError}
    ours = {error for error in below(errors.CqoxError) if error.__module__ == "cqox.errors"} - roots
    assert {error for error in ours if kind_of(error.__new__(error)).status == 500} == set()
    assert len({kind.type for kind in kinds()}) == len(kinds())


@pytest.mark.trio
async def test_a_subclass_is_answered_like_its_nearest_ancestor():
    class Wrong(errors.InvalidRequest):
        pass

    assert answer(asked(), Wrong("x")).status_code == 400


@pytest.mark.trio
async def test_a_clients_mistake_says_where_and_what_would_be_right():
    response = answer(asked(), errors.InvalidRequest("There is no column 'z'.", field="mapping.y", choices=["a", "b"]))
    problem = await body_of(response)
    assert problem["detail"] == "There is no column 'z'."
    assert (problem["field"], problem["choices"]) == ("mapping.y", ["a", "b"])
    assert "choices" not in await body_of(answer(asked(), errors.InvalidRequest("x")))


@pytest.mark.trio
@pytest.mark.parametrize(("known", "said"), [(0.0, "1"), (0.2, "1"), (41.01, "42")])
async def test_retry_after_is_in_whole_seconds_rounded_up(known, said):
    assert answer(asked(), errors.CircuitOpen("p", retry_after=known)).headers["Retry-After"] == said


@pytest.mark.trio
async def test_the_wait_that_a_source_asks_for_reaches_the_client():
    assert answer(asked(), errors.SourceUnavailable("x", retry_after=6.5)).headers["Retry-After"] == "7"
    assert "Retry-After" not in answer(asked(), errors.SourceUnavailable("x")).headers


@pytest.mark.trio
async def test_the_name_of_the_open_circuit_reaches_the_client():
    problem = await body_of(answer(asked(), errors.CircuitOpen("_call_engine_analyze", retry_after=59.9)))
    assert problem["detail"].startswith("Circuit breaker OPEN for _call_engine_analyze")


@pytest.mark.trio
async def test_an_unexpected_error_is_logged_once_and_not_shown():
    with capture_logs() as logged:
        problem = await body_of(answer(asked(), ZeroDivisionError("secret")))
    assert [(entry["log_level"], entry["request_id"]) for entry in logged] == [("error", "abc")]
    assert "secret" in repr(logged[0]["exc_info"])
    assert "secret" not in json.dumps(problem)
    assert "abc" in problem["detail"]


@pytest.mark.trio
async def test_text_that_no_encoding_has_still_makes_json():
    response = answer(asked(), errors.InvalidRequest("There is no column '\ud800'."))
    assert (await body_of(response))["detail"] == "There is no column '\ud800'."


@pytest.mark.trio
async def test_unknown_paths_and_methods_name_the_right_ones():
    missing = await body_of(answer(asked(), NotFound(), routes=["/b", "/a"]))
    assert (missing["type"], missing["choices"]) == ("no-such-path", ["/a", "/b"])
    response = answer(asked(), MethodNotAllowed(valid_methods=["GET", "DELETE"]))
    assert response.headers["Allow"] == "DELETE, GET"
    assert (await body_of(response))["detail"] == "/there supports DELETE, GET, not POST."


def test_a_group_is_answered_by_its_gravest_leaf():
    mild, away, bug = errors.InvalidRequest("x"), errors.WorkerLost("x"), ValueError("x")
    assert select_error(ExceptionGroup("", [mild])) is mild
    assert select_error(ExceptionGroup("", [mild, ExceptionGroup("", [away])])) is away
    assert select_error(ExceptionGroup("", [away, bug, mild])) is bug


@pytest.mark.trio
async def test_a_cancellation_within_a_group_goes_on_its_way():
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            with pytest.raises(BaseExceptionGroup) as caught:
                select_error(BaseExceptionGroup("", [ValueError("x"), cancelled]))
            went_on = caught.value.exceptions
            was = cancelled
            raise
    assert scope.cancelled_caught
    assert went_on == (was,)
