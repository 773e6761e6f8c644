"""A request decides for its own policy alone."""

from cqox.resilience.adapters.guarded_request import GuardedRequest
from cqox.resilience.runtime.call_context import call_safety


class Request(GuardedRequest):
    def may_repeat(self, error: Exception | None) -> bool:
        return True


def test_a_call_decides_for_its_policy_and_not_for_what_the_client_does_itself() -> None:
    request = Request()
    with request.guarded():
        assert call_safety.get() is request
        with request.sending():
            assert call_safety.get() is None
        assert call_safety.get() is request
    assert call_safety.get() is None
