"""Problems of a server as exceptions: the same as were raised there."""

import json

import pytest

from cqox import errors
from cqox.client.problems import is_problem, is_retryable_problem, problem_error
from cqox.contract.messages import Message, of
from services.http.response.problems import describe, kinds

ERRORS = [
    errors.NotAuthenticated("who are you", reason="invalid_token"),
    errors.PermissionMissing("not for you", permission="datasets:read"),
    errors.InvalidRequest(Message("request.empty-body"), field="mapping.y", choices=["y", "z"]),
    errors.UnusableData("constant"),
    errors.UnreadableFile("no table"),
    errors.SourceUnavailable("gone"),
    errors.BodyCorrupted("other bytes"),
    errors.LimitExceeded("too large"),
    errors.NotFound(Message("analysis.no-job", job="j"), field="job_id"),
    errors.KeyReused(Message("request.key-reused", key="k"), field="Idempotency-Key"),
    errors.NotAllowed("It is off."),
    errors.PreconditionFailed("It was changed."),
    errors.RunsElsewhere(Message("request.job-runs-elsewhere", job_id="j")),
    errors.UploadConflict(Message("storage.upload-is-written"), offset=7),
    errors.WorkerLost("killed"),
    errors.WorkersUnavailable("none"),
    errors.StoreUnavailable("away"),
    errors.StorageFull("full"),
    errors.EngineUnavailable(Message("problems.engine-does-not-answer")),
    errors.IdentityProviderUnavailable("away"),
    errors.SourceDown(Message("sources.down", source="shop", reason="OperationalError"), retry_after=2.0),
    errors.ServiceError("broken"),
    errors.CircuitOpen("engine", retry_after=2.0),
    errors.BulkheadFull("engine"),
    errors.RateLimited("engine"),
    errors.QuotaExceeded("cpu", detail=Message("security.quota-of-cpu-seconds", amount=60, seconds=5)),
    errors.Shed("engine"),
    errors.Draining("gateway"),
    errors.Rejected("engine"),
    errors.TooManyListeners("job-1", most=3),
    errors.AttemptTimeout(2.0, policy="engine"),
    errors.DeadlineExceeded(30.0),
]


def problem_of(error: Exception, request_id: str = "request-1") -> dict[str, object]:
    return json.loads(json.dumps(describe(error, instance="/api/x", request_id=request_id)))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_on_both_sides(error: errors.CqoxError) -> None:
    found = problem_error(problem_of(error), retry_after=2.0)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.request_id == "request-1"
    assert any("request-1" in note for note in found.__notes__)
    if isinstance(error, errors.InputError):
        assert isinstance(found, errors.InputError)
        assert (found.detail, found.field, found.choices) == (error.detail, error.field, error.choices)
        assert of(found.detail).in_language("ja") == of(error.detail).in_language("ja")
    if isinstance(found, errors.UploadConflict):
        assert found.offset == 7
    if isinstance(found, errors.Rejected | errors.SourceUnavailable):
        assert found.retry_after == 2.0


def test_every_kind_of_problem_has_its_exception() -> None:
    tested = {problem_of(error)["type"] for error in ERRORS}
    # The services' own; their base class says enough.
    own = {"cross-site-request", "unsupported-media-type", "foreign-host", "internal-error"}
    assert {kind.type for kind in kinds()} - tested == own
    for kind in own:
        found = problem_error({"type": kind, "status": 403, "detail": "Why."})
        assert isinstance(found, errors.InvalidRequest if kind != "internal-error" else errors.CqoxError)


def test_details_that_the_class_does_not_say_are_notes() -> None:
    detail = Message("problems.deadline-granted", seconds=30.0, header="X-Request-Timeout-Ms", milliseconds=30000.0)
    body = {"type": "deadline-exceeded", "status": 504, "detail": detail, "trace_id": "abc"}
    body["messages"] = {"/detail": {"code": detail.code, "params": dict(detail.params)}}
    found = problem_error(json.loads(json.dumps(body)))
    assert isinstance(found, errors.DeadlineExceeded)
    assert found.seconds == 30.0
    assert found.__notes__ == [detail, "Its trace is abc."]


@pytest.mark.parametrize(
    ("status", "kind", "form"),
    [
        (404, "new", errors.NotFound), (413, "new", errors.LimitExceeded), (418, "new", errors.InvalidRequest),
        (503, "new", errors.ServiceError), (None, "new", errors.ServiceError), (True, "new", errors.ServiceError),
    ],
)  # fmt: skip
def test_a_kind_of_a_later_version_goes_by_its_status(status: object, kind: str, form: type) -> None:
    found = problem_error({"type": kind, "status": status, "detail": "Why.", "choices": "none"})  # type: ignore[dict-item]
    assert type(found) is form
    assert str(found) == "Why."


@pytest.mark.parametrize(
    "damaged",
    [
        {"messages": {"/detail": 3}}, {"messages": []}, {"messages": {"/detail": {"code": "x", "params": {}}}},
        {"field": 3, "choices": [1, None]}, {"request_id": 5, "trace_id": None}, {"status": "400"},
    ],
)  # fmt: skip
def test_damaged_members_do_no_harm(damaged: dict[str, object]) -> None:
    for kind in ("invalid-request", "bulkhead-full", "deadline-exceeded", "too-many-listeners", "attempt-timeout"):
        found = problem_error({"type": kind, "status": 400, "detail": "Why.", **damaged})  # type: ignore[dict-item]
        assert "Why." in "\n".join([str(found), *getattr(found, "__notes__", ())])


def test_what_may_pass_is_repeated() -> None:
    repeated = {error["type"] for error in map(problem_of, ERRORS) if is_retryable_problem(error)}  # type: ignore[arg-type]
    assert repeated == {
        *("content-digest-mismatch", "worker-lost", "workers-unavailable", "store-unavailable", "engine-unavailable"),
        *("unavailable", "circuit-open", "bulkhead-full", "rate-limited", "shed", "draining", "rejected"),
        *("attempt-timeout", "source-down"),
    }


def test_a_problem_has_a_type_and_a_detail() -> None:
    assert is_problem({"type": "x", "detail": "y"})
    for other in ({"type": "x"}, {"detail": "y"}, {"type": 3, "detail": "y"}, [], None, "x"):
        assert not is_problem(other)
