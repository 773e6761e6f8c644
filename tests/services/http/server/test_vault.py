"""The vault of a service, at a real OpenBao."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from cqox.tasks import open_task_group
from cqox.vault.errors import VaultUnavailable
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.config.vault import VaultAway
from services.http.endpoints.health import add_health
from services.http.server.app import App
from services.http.server.vault import ServiceVault
from tests.servers.openbao import OpenBao


@pytest.fixture(scope="module")
def server() -> Iterator[OpenBao]:
    made = OpenBao()
    try:
        made.start()
        made.allow()
        made.authority()
        yield made
    finally:
        made.close()


@pytest.fixture
def bao(server: OpenBao) -> OpenBao:
    server.unseal()
    return server


@pytest.fixture
def settings(bao: OpenBao, tmp_path: Path) -> Settings:
    return Settings(
        vault_addr=bao.url,
        vault_role_file=bao.app_role(tmp_path / "{service}.json".replace("{service}", "engine")),
        tls_dir=tmp_path / "tls" / "{service}",
        vault_pki_role="cqox",
        allowed_hosts="cqox.example.com,*.example.org",
    )


def opened(settings: Settings) -> ServiceVault:
    vault = ServiceVault.of(settings, "engine")
    assert vault is not None
    return vault


def test_without_settings_there_is_none() -> None:
    assert ServiceVault.of(Settings(), "engine") is None


@pytest.mark.trio
async def test_a_service_has_its_certificate_before_it_is_made(settings: Settings) -> None:
    vault = opened(settings)
    app = App(__name__, title="Engine", settings=settings, vault=vault)
    assert app.tls is not None
    assert app.tls.credentials.current().identity == "spiffe://cqox/engine"
    async with vault.opened():
        await app.check_certificates()
        await vault.check()


@pytest.mark.trio
async def test_health_names_a_sealed_vault_and_the_certificate_it_does_not_renew(
    settings: Settings, bao: OpenBao
) -> None:
    vault = opened(settings)
    app = App(__name__, title="Engine", settings=settings, vault=vault)
    add_health(app, {})
    app.lifecycle.warmed()
    assert vault.issuer is not None

    async def degraded() -> dict[str, str]:
        response = await app.test_client().get("/health/ready")
        assert response.status_code == 200
        return dict((await response.get_json())["degraded"])

    async with vault.opened(), open_task_group("tasks of the app") as app.tasks:
        assert await degraded() == {}
        with bao.sealed():
            vault.issuer._due = 0.0
            with trio.fail_after(60):
                while set(found := await degraded()) != {"certificates", "vault"}:
                    await trio.sleep(0.05)
        assert "it is sealed; the certificate in force is valid until 20" in found["certificates"]
        assert "since 20" in found["vault"] or "not answered" in found["vault"]
        vault.issuer._due = 0.0
        with trio.fail_after(60):
            while await degraded():
                await trio.sleep(0.05)
        app.tasks.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_vault_that_is_silent_delays_no_health(settings: Settings, bao: OpenBao) -> None:
    vault = opened(settings)
    async with vault.opened():
        with bao.frozen():
            with trio.fail_after(30), pytest.raises(VaultUnavailable, match=r"has not answered within 0\.4 s"):
                await vault.check()
        with trio.fail_after(60):
            while True:
                try:
                    await vault.check()
                    break
                except VaultUnavailable:
                    await trio.sleep(0.05)


@pytest.mark.trio
async def test_the_token_ends_with_the_service(settings: Settings, bao: OpenBao) -> None:
    bao.revoke_tokens()
    vault = opened(settings)
    async with vault.opened():
        assert vault.vault.token_number == 1
    assert bao.revoke_tokens() == 0


def test_a_sealed_vault_ends_the_start_unless_the_certificate_is_valid(settings: Settings, bao: OpenBao) -> None:
    with bao.sealed(), pytest.raises(VaultAway, match=r"it is sealed.*Start again once it answers"):
        ServiceVault.of(settings, "engine")
    opened(settings).close()
    with bao.sealed():
        vault = opened(settings)
        assert "it is sealed" in vault.vault.outage.problem
        vault.close()


def test_a_refused_login_and_a_refused_name_end_the_start(settings: Settings, bao: OpenBao, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"other\.example\.org"):
        ServiceVault.of(Settings(**(_values(settings) | {"allowed_hosts": "other.example.org"})), "engine")
    settings.vault_role_file.write_text('{"role_id": "a", "secret_id": "b"}')
    with pytest.raises(SettingsError, match="refuses the login") as raised:
        ServiceVault.of(settings, "engine")
    assert not isinstance(raised.value, VaultAway)


def _values(settings: Settings) -> dict[str, object]:
    names = ("vault_addr", "vault_role_file", "tls_dir", "vault_pki_role")
    return {name: getattr(settings, name) for name in names}
