from cqox.errors import RateLimited
from cqox.resilience import KeyedRateLimit
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.resilience.testing import FakeClock
from cqox.security import LOCAL, Principal
from services.http.security.quota import BudgetQuota, Quotas, RequestQuota, joined
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


def test_a_budget_says_what_its_tenant_has_left() -> None:
    budget = KeyedBudget(10, 10.0, name="cpu-seconds", clock=FakeClock())
    quota = BudgetQuota(budget)
    budget.spend("acme", 12.0)
    assert quota.take(scope_of()) is None
    assert quota.fields(scope_of()) == {
        "RateLimit-Policy": '"cpu-seconds";q=10;w=10',
        "RateLimit": '"cpu-seconds";r=0;t=3',
    }
    assert quota.fields(scope_of("other"))["RateLimit"] == '"cpu-seconds";r=10;t=0'
    assert quota.fields({"type": "http"}) == {}


def test_several_quotas_share_the_fields_and_the_first_that_refuses_decides() -> None:
    budget = KeyedBudget(10, 10.0, name="uploaded-bytes", clock=FakeClock())
    both = Quotas(RequestQuota(1, limit=KeyedRateLimit(1, 60.0, clock=FakeClock())), BudgetQuota(budget))
    scope = scope_of()
    assert both.take(scope) is None
    assert both.fields(scope) == {
        "RateLimit-Policy": '"requests";q=1;w=60, "uploaded-bytes";q=10;w=10',
        "RateLimit": '"requests";r=0;t=60, "uploaded-bytes";r=10;t=0',
    }
    assert isinstance(both.take(scope), RateLimited)


def test_the_fields_of_the_engine_come_before_those_of_the_gateway() -> None:
    assert joined({"RateLimit": '"cpu"', "Vary": "x"}, {"RateLimit": '"requests"', "A": "b"}) == {
        "RateLimit": '"cpu", "requests"',
        "A": "b",
    }
