from cqox.security import Permission
from services.http.security.operator import operator_of


def test_the_admin_token_is_the_operator_who_sees_no_data():
    operator = operator_of("secret", "secret")
    assert operator is not None
    assert operator.permissions == {Permission.API_USE, Permission.POLICIES_STEER, Permission.OPERATIONS_READ}


def test_another_token_or_none_that_is_set_is_nobody():
    assert operator_of("secre", "secret") is None
    assert operator_of("", "") is None
    assert operator_of("secret", "") is None
