from cqox.errors import RateLimited
from cqox.resilience import KeyedRateLimit
from cqox.resilience.testing import FakeClock
from cqox.security import LOCAL, Principal
from services.http.security.quota import RequestQuota
from services.http.security.requester import set_principal


def scope_of(tenant: str = "acme", subject: str = "key:a") -> dict[str, object]:
    scope: dict[str, object] = {"type": "http"}
    set_principal(scope, Principal(subject=subject, tenant=tenant, roles=(), permissions=frozenset(), kind="key"))
    return scope


def test_each_principal_has_requests_of_its_own_and_sees_how_many_are_left() -> None:
    clock = FakeClock()
    quota = RequestQuota(2, limit=KeyedRateLimit(2, 60.0, clock=clock))
    first, last, refused = scope_of(), scope_of(), scope_of()
    assert quota.take(first) is None
    assert quota.fields(first) == {"RateLimit-Policy": '"requests";q=2;w=60', "RateLimit": '"requests";r=1;t=0'}
    assert quota.take(last) is None
    error = quota.take(refused)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 30.0
    assert quota.fields(refused)["RateLimit"] == '"requests";r=0;t=30'
    # The same subject of another tenant is somebody else.
    assert quota.take(scope_of("other")) is None
    clock.advance(30.0)
    assert quota.take(scope_of()) is None


def test_a_request_without_a_principal_is_not_counted() -> None:
    quota, scope = RequestQuota(1), {"type": "http"}
    assert [quota.take(scope) for _ in range(5)] == [None] * 5
    assert quota.fields(scope) == {}


def test_the_limit_is_one_of_a_minute() -> None:
    quota, scope = RequestQuota(1), {"type": "http"}
    set_principal(scope, LOCAL)
    assert quota.take(scope) is None
    assert isinstance(quota.take(scope), RateLimited)
