from cqox.security import LOCAL
from services.http.security.requester import principal_of, set_principal


def test_the_principal_is_in_the_state_of_the_scope():
    scope: dict[str, object] = {"type": "http"}
    assert principal_of(scope) is None
    set_principal(scope, LOCAL)
    assert principal_of(scope) is LOCAL
    assert scope["state"] == {"principal": LOCAL}


def test_a_state_of_another_kind_is_no_principal():
    assert principal_of({"state": {"principal": "local"}}) is None
