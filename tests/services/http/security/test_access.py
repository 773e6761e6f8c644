import pytest
import trio
import trio.testing
from werkzeug.routing import Map, Rule

from cqox.errors import DeadlineExceeded, NotAllowed, NotAuthenticated, NotFound, PermissionMissing
from cqox.security import LOCAL, Permission, Principal, granted
from services.http.security.access import Access, Everybody
from services.http.security.requester import principal_of, seconds_until_known, set_principal

NEEDS = {
    "open": None,
    "list": Permission.DATASETS_READ,
    "delete": Permission.DATASETS_DELETE,
    "steer": Permission.POLICIES_STEER,
    "tenant": Permission.TENANTS_MANAGE,
}
PATHS = Map(
    [
        Rule("/open", endpoint="open", methods=["GET"]),
        Rule("/datasets", endpoint="list", methods=["GET"]),
        Rule("/datasets/<dataset_id>", endpoint="delete", methods=["DELETE"]),
        Rule("/steer", endpoint="steer", methods=["POST"]),
        Rule("/tenants/<tenant_id>", endpoint="tenant", methods=["GET"]),
        Rule("/forgotten", endpoint="forgotten", methods=["GET"]),
    ]
)


class As:
    """Knows one principal, or nobody."""

    def __init__(self, roles: tuple[str, ...] | None, *, later: bool = False) -> None:
        self.later = later
        self.principal = roles and Principal(
            subject="key:a", tenant="acme", roles=roles, permissions=granted(roles), kind="key"
        )

    def recall(self, scope: object) -> Principal | None:
        if self.later:
            return None
        return self.found()

    async def look_up(self, scope: object) -> Principal:
        return self.found()

    def found(self) -> Principal:
        if self.principal is None:
            raise NotAuthenticated("nobody")
        return self.principal


def scope_of(method: str, path: str, **more: object) -> dict[str, object]:
    return {"type": "http", "method": method, "path": path, "headers": [], **more}


def decided(roles: tuple[str, ...] | None, method: str, path: str) -> object:
    access = Access(PATHS, NEEDS, As(roles))
    found = access.decide(scope_of(method, path))
    later = Access(PATHS, NEEDS, As(roles, later=True))
    scope = scope_of(method, path)
    if later.decide(scope) is False:
        assert type(trio.run(later.decide_later, scope)) is (type(None) if found is True else type(found))
    return found if found is True else type(found)


class AfterSeconds(As):
    """Knows a principal after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(("reader",), later=True)
        self.seconds = seconds

    async def look_up(self, scope: object) -> Principal:
        await trio.sleep(self.seconds)
        return self.found()


def test_a_look_up_is_over_with_the_deadline_of_the_client() -> None:
    scope = scope_of("GET", "/datasets")
    scope["headers"] = [(b"x-request-timeout-ms", b"2000")]

    async def decide() -> float:
        with pytest.raises(DeadlineExceeded):
            await Access(PATHS, NEEDS, AfterSeconds(5)).decide_later(scope)
        return trio.current_time()

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(decide, clock=clock) == pytest.approx(2.0)


def test_a_request_knows_how_long_it_has_waited_for_its_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cqox.clock.monotonic", trio.current_time)
    scope = scope_of("GET", "/datasets")
    assert seconds_until_known(scope) == 0.0
    access, clock = Access(PATHS, NEEDS, AfterSeconds(1.5)), trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(access.decide_later, scope, clock=clock) is None
    assert seconds_until_known(scope) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("roles", "method", "path", "decision"),
    [
        (None, "GET", "/open", True),
        (None, "HEAD", "/open", True),
        (None, "POST", "/open", NotAuthenticated),
        (None, "GET", "/datasets", NotAuthenticated),
        (None, "GET", "/nowhere", NotAuthenticated),
        (None, "GET", "/open/", NotAuthenticated),
        (("reader",), "GET", "/datasets", True),
        (("reader",), "HEAD", "/datasets", True),
        (("reader",), "GET", "/nowhere", True),
        (("reader",), "PATCH", "/datasets", True),
        (("reader",), "DELETE", "/datasets/a", PermissionMissing),
        (("steward",), "DELETE", "/datasets/a", True),
        (("operator",), "DELETE", "/datasets/a", NotFound),
        (("operator",), "GET", "/datasets", PermissionMissing),
        (("operator",), "POST", "/steer", True),
        (("reader",), "POST", "/steer", PermissionMissing),
        (("steward",), "GET", "/tenants/acme", NotFound),
        (("platform",), "GET", "/tenants/acme", True),
        (("steward", "platform", "operator"), "GET", "/forgotten", NotFound),
    ],
)
def test_a_request_is_answered_or_refused(roles, method, path, decision):
    assert decided(roles, method, path) is decision


def test_the_principal_is_left_for_the_handler():
    scope = scope_of("GET", "/datasets")
    assert Access(PATHS, NEEDS, As(("reader",))).decide(scope) is True
    assert principal_of(scope).tenant == "acme"


def test_an_operation_without_a_principal_gets_none():
    scope = scope_of("GET", "/open")
    assert Access(PATHS, NEEDS, As(("reader",))).decide(scope) is True
    assert principal_of(scope) is None


def test_the_second_wall_holds_where_the_first_matched_another_path():
    access = Access(PATHS, NEEDS, As(("reader",)))
    scope = scope_of("GET", "/nowhere")
    assert access.decide(scope) is True
    access.check("list", scope)
    access.check("open", scope)
    with pytest.raises(PermissionMissing):
        access.check("delete", scope)
    with pytest.raises(NotFound):
        access.check("forgotten", scope)
    with pytest.raises(NotFound):
        access.check("list", scope_of("GET", "/datasets"))


@pytest.mark.parametrize(
    ("server", "served"),
    [
        (("127.0.0.1", 8082), True),
        (("127.8.8.8", 8082), True),
        (("::1", 8082), True),
        (("::ffff:127.0.0.1", 1), True),
        (("10.0.0.7", 8082), False),
        (("::ffff:10.0.0.7", 1), False),
        (("fe80::1%eth0", 1), False),
        (("/run/cqox.sock", None), True),
        (None, True),
    ],
)
def test_without_a_login_only_requests_of_this_machine_are_served(server: object, served: bool):
    scope = scope_of("GET", "/datasets", server=server)
    decision = Access(PATHS, NEEDS, Everybody(loopback_only=True)).decide(scope)
    assert (decision is True) is served
    assert served or isinstance(decision, NotAllowed)
    assert Access(PATHS, NEEDS, Everybody(loopback_only=False)).decide(scope) is True


@pytest.mark.trio
async def test_the_local_user_may_do_everything():
    scope = scope_of("DELETE", "/datasets/a")
    everybody = Everybody(loopback_only=True)
    assert Access(PATHS, NEEDS, everybody).decide(scope) is True
    assert principal_of(scope) is LOCAL
    assert await everybody.look_up(scope) is LOCAL


def test_a_principal_that_was_set_is_kept_apart_from_the_needs():
    scope = scope_of("GET", "/datasets")
    set_principal(scope, LOCAL)
    Access(PATHS, NEEDS, As(None)).check("delete", scope)
