import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from cqox.errors import CircuitOpen, StorageFull, StoreUnavailable
from cqox.storage.objects.failures import ObjectStoreAway, object_policy, rejected, translate


@pytest.mark.parametrize("text", ["507 Insufficient Storage: no", "<Code>QuotaExceeded</Code>", "XMinioStorageFull"])
def test_a_full_store_has_an_error_of_its_own(text: str) -> None:
    assert isinstance(translate(GenericError(text)), StorageFull)


def test_a_refusal_is_no_outage() -> None:
    for error in (PermissionDeniedError("no"), GenericError("404: <Code>NoSuchBucket</Code>")):
        found = translate(error)
        assert "rejects" in str(found)
        assert not isinstance(found, ObjectStoreAway)


def test_any_other_failure_is_an_outage_in_one_line() -> None:
    found = translate(GenericError("error sending\n request.\n\nDebug source:\nsomething {\n long\n}"))
    assert isinstance(found, ObjectStoreAway)
    assert str(found) == "The object store failed: error sending request."


def test_a_reason_names_the_answer_and_no_address() -> None:
    at = "Generic S3 error: Error performing PUT http://10.0.0.7/bucket/key in 3.4ms - "
    answered = f"{at}Server returned non-2xx status code: 503 Slow Down: <Error><Code>SlowDown</Code></Error>"
    assert str(translate(GenericError(answered))) == "The object store failed: 503 Slow Down, SlowDown."
    unanswered = f"{at}HTTP error: operation timed out"
    assert str(translate(GenericError(unanswered))) == "The object store failed: operation timed out."


def test_outages_are_retried_and_open_the_circuit_and_refusals_do_neither() -> None:
    calls = list[str]()

    def fail(error: Exception) -> None:
        calls.append(str(error))
        raise error

    policy = object_policy(recovery_seconds=60.0)
    refusal, outage = StoreUnavailable("refused"), ObjectStoreAway("away")
    for _ in range(10):
        with pytest.raises(StoreUnavailable, match="refused"):
            policy.call(fail, refusal)
    assert calls == ["refused"] * 10
    for _ in range(5):
        with pytest.raises(ObjectStoreAway):
            policy.call(fail, outage)
    assert calls[10:] == ["away"] * 15
    with pytest.raises(CircuitOpen) as caught:
        policy.call(fail, outage)
    assert calls[10:] == ["away"] * 15
    assert "OPEN" in str(rejected(caught.value))
