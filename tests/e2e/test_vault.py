"""Both services with everything from a real vault, set up by the commands of its how-to page."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.vaulted import Vaulted, vaulted
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vaulted]:
    with vaulted(tmp_path_factory.mktemp("vaulted"), user=60, certificate=120, token=60) as running:
        yield running


def test_a_sealed_vault_ends_nothing_and_is_named_with_dates(system: Vaulted) -> None:
    wait_until(lambda: not system.degraded("engine") and not system.degraded("gateway"))
    with system.load() as load:
        # The lives are ten times as long as this takes.
        with system.bao.sealed():
            for service in ("engine", "gateway"):
                said = wait_until(lambda service=service: _of_vault(system, service))
                assert "it is sealed, since 20" in said
                assert "what it has issued is valid until 20" in said
                assert ("when the database user ends" in said) == (service == "engine")
            before = load.answers["200"]
            wait_until(lambda: load.answers["200"] > before + 50)
        wait_until(lambda: not system.degraded("engine") and not system.degraded("gateway"))
    assert load.failed == {}


def _of_vault(system: Vaulted, service: str) -> str:
    said = system.degraded(service).get("vault", "")
    return said if "since" in said else ""


def test_a_secret_of_the_vault_is_in_force(system: Vaulted) -> None:
    token = system.bao.request("GET", "secret/data/cqox/admin")["data"]["token"].strip()
    with system.client() as client:
        assert client.get("/api/admin/policies").status_code == 403
        assert client.get("/api/admin/policies", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_secrets_are_in_no_log_environment_or_command_line(system: Vaulted) -> None:
    secrets = _secrets(system)
    assert len(secrets) >= 6
    shown = [system.log]
    for service in (system.stack.engine, system.stack.gateway):
        for pid in _with_children(service.process.pid):
            for name in ("cmdline", "environ"):
                shown.append((Path("/proc") / str(pid) / name).read_bytes().decode(errors="replace"))
    everything = "\n".join(shown)
    assert "CQOX_VAULT_ADDR" in everything
    for secret in secrets:
        assert secret not in everything


def _secrets(system: Vaulted) -> set[str]:
    found = set[str]()
    for service in ("engine", "gateway"):
        found |= set(json.loads((system.folder / f"{service}.json").read_text()).values())
    found.add(system.key)
    for name, member in (("hop", "key"), ("admin", "token")):
        found.add(system.bao.request("GET", f"secret/data/cqox/{name}")["data"][member].strip())
    return found


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            found += _with_children(int(child))
    return found


def test_a_service_cannot_have_the_certificate_of_another(system: Vaulted) -> None:
    login = httpx.post(
        f"{system.bao.url}/v1/auth/approle/login",
        json=json.loads((system.folder / "engine.json").read_text()),
        trust_env=False,
    ).json()
    headers = {"X-Vault-Token": login["auth"]["client_token"]}
    for path, identity, status in (
        ("pki/issue/cqox-engine", "spiffe://cqox/engine", 200),
        ("pki/issue/cqox-engine", "spiffe://cqox/gateway", 400),
        ("pki/issue/cqox-gateway", "spiffe://cqox/gateway", 403),
    ):
        answer = httpx.post(
            f"{system.bao.url}/v1/{path}", json={"uri_sans": identity}, headers=headers, trust_env=False
        )
        assert answer.status_code == status, answer.text


def test_an_engine_starts_again_while_the_vault_is_sealed_only_with_what_it_needs(system: Vaulted) -> None:
    system.stack.engine.stop()
    with system.bao.sealed():
        system.stack.engine.start()
        assert system.stack.engine.process.wait(60) == 1
        assert "CQOX_ADMIN_TOKEN=vault:secret/cqox/admin#token: the vault at" in system.stack.engine.log
        assert "it is sealed" in system.stack.engine.log
    system.stack.engine.start()
    wait_until(lambda: _serves(system), failure=lambda: system.log)


def _serves(system: Vaulted) -> bool:
    with system.client() as client:
        return client.get("/api/analyses").status_code == 200


def test_the_users_of_an_engine_are_gone_when_it_has_ended(system: Vaulted) -> None:
    assert system.postgres.users()
    assert system.stack.engine.stop() == 0
    wait_until(lambda: not system.postgres.users())
