import logging

import pytest

from cqox.analysis.workers.failures import TaskFailed, raised
from cqox.analysis.workers.protocol import Frame
from cqox.errors import InvalidRequest, LimitExceeded, SourceDown, StorageFull


def failed(**body: object) -> Exception:
    return raised("analyze", Frame(kind="error", job=1, body={"detail": "why", **body}))


def test_an_expected_error_is_that_of_its_class() -> None:
    error = failed(error="InvalidRequest", field="mapping.y", choices=["a", "b"])
    assert isinstance(error, InvalidRequest)
    assert (error.field, tuple(error.choices), str(error.detail)) == ("mapping.y", ("a", "b"), "why")
    assert isinstance(failed(error="MemoryError"), LimitExceeded)
    assert isinstance(failed(error="StorageFull"), StorageFull)
    assert isinstance(failed(error="SourceDown"), SourceDown)


@pytest.mark.parametrize("kind", ["KeyError", "CqoxError", "WorkerLost", "Message"])
def test_any_other_is_a_failed_task_with_its_traceback_in_the_log(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "cqox.analysis.workers"):
        assert isinstance(failed(error=kind), TaskFailed)
    assert caplog.records[0].exc_info is not None
    assert "why" in str(caplog.records[0].exc_info[1])
