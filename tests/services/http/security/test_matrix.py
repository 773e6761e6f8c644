"""Every operation of both services, by each role and in each mode, as a table that has to be extended with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.errors import NotAuthenticated, NotFound, PermissionMissing
from cqox.security import GATEWAY, LOCAL, Principal, Role, granted
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.app import create_app as create_engine
from services.gateway.app import create_app as create_gateway
from services.http.contract.api import OPERATIONS
from services.http.contract.audit_operations import RECORD_EVENTS
from services.http.contract.identity_operations import RESOLVE_KEY
from services.http.contract.operations import Operation
from services.http.contract.registration import register
from services.http.security.audited import Audited
from services.http.server.app import App

READERS = {"reader", "analyst", "steward"}
WRITERS = {"analyst", "steward"}
ALL = {*map(str, Role)}
PUBLIC = None

ALLOWED: dict[str, set[str] | None] = {
    "analyze": WRITERS,
    "preview": WRITERS,
    "list_analyses": READERS,
    "read_analysis_dashboard": READERS,
    "read_analysis_panel": READERS,
    "read_annotation": READERS,
    "annotate_analysis": WRITERS,
    "read_analysis": READERS,
    "delete_analysis": WRITERS,
    "read_figure": READERS,
    "export_analysis": READERS,
    "create_share": WRITERS,
    "list_shares": READERS,
    "delete_share": WRITERS,
    "read_shared": PUBLIC,
    "read_shared_annotation": PUBLIC,
    "read_shared_figure": PUBLIC,
    "export_shared": PUBLIC,
    "list_jobs": READERS,
    "read_job": READERS,
    "cancel_job": WRITERS,
    "job_events": READERS,
    "upload_dataset": WRITERS,
    "list_datasets": READERS,
    "read_dataset": READERS,
    "count_looks": READERS,
    "rename_dataset": WRITERS,
    # Analysts their own ones.
    "delete_dataset": WRITERS,
    "list_sheets": READERS,
    "read_again": WRITERS,
    "list_sources": WRITERS,
    "list_columns": WRITERS,
    "read_source": WRITERS,
    "infer_roles": READERS,
    "begin_upload": WRITERS,
    "read_upload": WRITERS,
    "append_piece": WRITERS,
    "delete_upload": WRITERS,
    "read_uploaded": WRITERS,
    "read_principal": ALL,
    "list_keys": {"steward"},
    "create_key": {"steward"},
    "revoke_key": {"steward"},
    "read_tenant": {"platform"},
    "put_tenant": {"platform"},
    "list_audit": {"auditor"},
    "request_erasure": {"steward", "platform"},
    "read_erasure": {"steward", "platform"},
    "read_retention": {"steward", "platform"},
    "put_retention": {"steward", "platform"},
    "list_estimators": ALL,
    "list_definitions": ALL,
    "list_policies": {"operator"},
    "steer_policy": {"operator"},
    "health": PUBLIC,
    "live": PUBLIC,
    "ready": PUBLIC,
    "metrics": {"operator"},
    "list_dashboards": ALL,
    "read_operations": {"operator"},
    "read_operations_panel": {"operator"},
}
OF_GATEWAYS = [RESOLVE_KEY, RECORD_EVENTS]
EVERY = [*OPERATIONS, *OF_GATEWAYS]


class As:
    """Knows one principal, or nobody."""

    def __init__(self, principal: Principal | None) -> None:
        self.principal = principal

    def recall(self, scope: object) -> Principal:
        if self.principal is None:
            raise NotAuthenticated("nobody")
        return self.principal

    async def look_up(self, scope: object) -> Principal:
        return self.recall(scope)


def with_roles(*roles: str) -> Principal:
    return Principal(subject="key:a", tenant="default", roles=roles, permissions=granted(roles), kind="key")


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, App]:
    folder: Path = tmp_path_factory.mktemp("matrix")
    keys = Settings(data_dir=folder, auth="keys", hop_key="k" * 32, keys="none")
    free = {mode: Settings(data_dir=folder, auth=mode, admin_token="t") for mode in ("local", "open")}
    return {
        "gateway": create_gateway(keys),
        "engine": create_engine(keys),
        **{f"gateway {mode}": create_gateway(each) for mode, each in free.items()},
        **{f"engine {mode}": create_engine(each) for mode, each in free.items()},
    }


def scope_of(operation: Operation, path: str) -> dict[str, object]:
    path = path.replace("{suffix}", "svg").replace("{", "").replace("}", "")
    return {"type": "http", "method": operation.method, "path": path, "headers": [], "server": ("127.0.0.1", 1)}


def test_the_table_has_every_operation_and_no_other() -> None:
    assert ALLOWED.keys() == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("service", ["gateway", "engine"])
@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_may_do_what_the_table_says(apps: dict[str, App], service: str, role: Role | None) -> None:
    app = apps[service]
    app.authenticate_by(As(None if role is None else with_roles(role)))
    held = frozenset() if role is None else granted([role])
    for operation in OPERATIONS:
        allowed = ALLOWED[operation.name]
        for path in (operation.path, *operation.aliases):
            decision = app.access.decide(scope_of(operation, path))
            shown = (service, operation.name, decision)
            if allowed is PUBLIC or (role is not None and role in allowed):
                assert decision is True, shown
            elif role is None:
                assert isinstance(decision, NotAuthenticated), shown
            else:
                family = str(operation.needs).partition(":")[0]
                hidden = "{" in path and f"{family}:read" not in held
                assert isinstance(decision, NotFound if hidden else PermissionMissing), shown


@pytest.mark.parametrize("service", ["gateway local", "gateway open", "engine local", "engine open"])
def test_without_a_login_everything_is_answered(apps: dict[str, App], service: str) -> None:
    for operation in OPERATIONS:
        assert apps[service].access.decide(scope_of(operation, operation.path)) is True, operation.name


@pytest.mark.parametrize("internal", OF_GATEWAYS, ids=lambda operation: operation.name)
def test_internal_operations_are_for_gateways_and_served_by_engines(apps: dict[str, App], internal: Operation) -> None:
    engine = apps["engine"]
    for principal in (None, with_roles(*Role), LOCAL):
        engine.authenticate_by(As(principal))
        decision = engine.access.decide(scope_of(internal, internal.path))
        # The local user is taken by no engine in this mode; see the authenticator.
        assert isinstance(decision, NotAuthenticated | PermissionMissing) or principal is LOCAL
    engine.authenticate_by(As(GATEWAY))
    assert engine.access.decide(scope_of(internal, internal.path)) is True
    for name in ("gateway", "gateway local", "engine local", "engine open"):
        assert internal.path not in {rule.rule for rule in apps[name].url_map.iter_rules()}


@pytest.mark.parametrize("service", ["gateway", "engine"])
def test_all_other_paths_state_their_needs(apps: dict[str, App], service: str) -> None:
    app = apps[service]
    app.require_needs()
    public = {rule.rule for rule in app.url_map.iter_rules() if app.needs[rule.endpoint] is None}
    of_table = {one.path.replace("{", "<").replace("}", ">") for one in OPERATIONS if one.needs is None}
    shell = {
        "/",
        "/d/<dataset_id>",
        "/j/<job_id>",
        "/a/<analysis_id>",
        "/history",
        "/s",
        "/dashboard",
        "/dashboard/<dashboard>",
    }
    files = {"/page/text.<language>.json", "/page/<path:name>", "/sign-in", "/page/sign-in", "/page/sign-in/programs"}
    assert public == of_table | ({"/"} if service == "engine" else shell | files)


@pytest.mark.trio
async def test_a_scraper_that_always_sends_credentials_is_served_without_a_login(tmp_path: Path) -> None:
    app = create_gateway(Settings(data_dir=tmp_path, auth="open"))
    async with app.test_app() as running:
        answer = await running.test_client().get("/metrics", headers={"Authorization": "Bearer none"})
    assert answer.status_code == 200


def test_a_path_without_needs_ends_the_start(tmp_path: Path) -> None:
    app = create_gateway(Settings(data_dir=tmp_path))

    async def forgotten() -> str:
        return ""

    app.add_url_rule("/api/forgotten", "forgotten", forgotten)
    with pytest.raises(ValueError, match="/api/forgotten"):
        app.require_needs()


def test_an_operation_cannot_be_written_without_needs_or_its_place_in_the_audit_log() -> None:
    with pytest.raises(TypeError, match=r"needs.*audited"):
        Operation(name="do", method="GET", path="/do", group="G", summary="Do", answers=())  # type: ignore[call-arg]
    assert all(operation.needs is None or operation.needs in granted(Role) for operation in OPERATIONS)
    with pytest.raises(ValueError, match="differ"):
        register(App(__name__, title="Gateway", settings=Settings()), {})


def test_every_change_is_recorded_before_its_answer_and_every_reading_of_data_is_recorded() -> None:
    changes = {each.name for each in OPERATIONS if each.method != "GET"}
    # These compute, or go on without the store.
    computing = {"analyze", "preview", "infer_roles", "append_piece", "steer_policy"}
    by_kind = {kind: {each.name for each in OPERATIONS if each.audited is kind} for kind in Audited}
    assert by_kind[Audited.STORED] == changes - computing
    about_nobody = {
        "read_principal",
        "list_sources",
        "list_estimators",
        "list_definitions",
        "list_policies",
        "read_retention",
    }
    of_dashboards = {"list_dashboards", "read_operations", "read_operations_panel", "read_analysis_dashboard"}
    assert by_kind[Audited.NEVER] == about_nobody | {"health", "live", "ready", "metrics"} | of_dashboards


def test_both_services_know_the_action_of_every_operation_and_alias(apps: dict[str, App]) -> None:
    for operation in OPERATIONS:
        if operation.audited is Audited.NEVER or operation.name == "steer_policy":
            continue
        for name in ("gateway", "engine", "engine local"):
            for path in (operation.path, *operation.aliases):
                endpoint, _ = apps[name].access.found(scope_of(operation, path))
                assert apps[name].actions[endpoint] == (operation.name, operation.audited)
    assert apps["engine"].recorder is not None
    assert apps["gateway"].recorder is not None
    assert [apps[f"{name} {mode}"].recorder for name in ("engine", "gateway") for mode in ("local", "open")] == [
        None
    ] * 4


@pytest.mark.parametrize("create", [create_gateway, create_engine])
def test_keys_without_a_secret_between_the_services_end_the_start(
    create: Callable[[Settings], App], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="CQOX_HOP_KEY_FILE"):
        create(Settings(data_dir=tmp_path, auth="keys", keys="none"))
