"""Logins, tokens and failures, at a real OpenBao."""

import json
import logging
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from cqox.vault import Vault, VaultAccess, VaultMisused, VaultRefused, VaultRejected, VaultUnavailable
from tests.servers.certificates import authority_in
from tests.servers.openbao import OpenBao
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("openbao")


def write_secret(bao: OpenBao, **fields: str) -> None:
    bao.write("secret/data/cqox/one", data=fields)


def read_secret(vault: Vault) -> object:
    return vault.read("secret/data/cqox/one")["data"]["data"]


def test_one_login_serves_many_requests(vault: Vault, bao: OpenBao) -> None:
    write_secret(bao, a="1")
    assert vault.token_number == 0
    assert [read_secret(vault) for _ in range(5)] == [{"a": "1"}] * 5
    assert vault.token_number == 1


def test_nothing_at_a_path_is_said_with_the_path(vault: Vault) -> None:
    with pytest.raises(VaultRejected, match=r"secret/data/cqox/none: there is nothing") as raised:
        vault.read("secret/data/cqox/none")
    assert raised.value.status == 404


def test_a_path_outside_of_the_policies_is_refused_without_another_login(vault: Vault) -> None:
    for _ in range(2):
        with pytest.raises(VaultRefused, match="does not allow GET secret/data/others"):
            vault.read("secret/data/others")
    assert vault.token_number == 1


def test_a_revoked_token_is_replaced_by_another_login(vault: Vault, bao: OpenBao) -> None:
    write_secret(bao, a="2")
    read_secret(vault)
    assert bao.revoke_tokens() >= 1
    assert read_secret(vault) == {"a": "2"}
    assert vault.token_number == 2


def test_a_token_serves_while_it_cannot_be_renewed(bao: OpenBao, tmp_path: Path) -> None:
    write_secret(bao, a="5")
    with Vault(VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "role.json"))) as vault:
        read_secret(vault)
        with bao.sealed():
            now = vault.clock()
            assert vault._token is not None
            vault._token = replace(vault._token, renew_at=now)
            assert vault.keep_token() > 0
            assert "is sealed" in vault.outage.problem
        wait_until(lambda: _answers(vault))
        assert read_secret(vault) == {"a": "5"}
        assert vault.outage.problem == ""
        assert vault.token_number == 1


def _answers(vault: Vault) -> bool:
    try:
        vault.look()
    except VaultUnavailable:
        return False
    return True


def test_a_sealed_vault_is_unavailable_and_recovers_by_itself(vault: Vault, bao: OpenBao) -> None:
    write_secret(bao, a="6")
    read_secret(vault)
    with bao.sealed():
        for _ in range(6):
            with pytest.raises(VaultUnavailable, match="it is sealed"):
                read_secret(vault)
        assert "it is sealed, since 2" in vault.outage.problem
        assert "its token ends" in vault.outage.problem
    wait_until(lambda: _answers(vault))
    assert read_secret(vault) == {"a": "6"}


def test_while_the_circuit_is_open_nothing_is_sent(vault: Vault, bao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    write_secret(bao, a="6")
    read_secret(vault)
    sent: list[str] = []
    answered = vault._answered

    def counted(method: str, path: str, *rest: object) -> tuple[int, bytes, str]:
        sent.append(path)
        return answered(method, path, *rest)  # type: ignore[arg-type]

    with bao.sealed():
        monkeypatch.setattr(vault, "_answered", counted)
        for _ in range(20):
            with pytest.raises(VaultUnavailable, match="it is sealed"):
                read_secret(vault)
    assert len(sent) <= 12


def test_a_vault_that_is_not_there_is_unavailable(access: VaultAccess) -> None:
    with Vault(replace(access, address="http://127.0.0.1:1")) as vault:
        with pytest.raises(VaultUnavailable, match=r"http://127\.0\.0\.1:1 is unavailable"):
            vault.read("secret/data/cqox/one")
        with pytest.raises(VaultUnavailable):
            vault.look()


def test_a_wrong_secret_id_is_refused_by_name(access: VaultAccess) -> None:
    ids = json.loads(access.role_file.read_text())
    access.role_file.write_text(json.dumps(ids | {"secret_id": "not-the-secret-id"}))
    with Vault(access) as vault:
        with pytest.raises(VaultRefused, match=r"refuses the login with .*role\.json") as raised:
            vault.read("secret/data/cqox/one")
        assert "not-the-secret-id" not in str(raised.value)
        vault.look()
        assert "refuses the login" in vault.outage.problem
        access.role_file.write_text(json.dumps(ids))
        vault.keep_token()
        assert vault.outage.problem == ""


def test_a_json_web_token_logs_in_and_its_file_is_read_each_time(bao: OpenBao, tmp_path: Path) -> None:
    write_secret(bao, a="8")
    key = ECKey.generate_key("P-256")
    if "jwt/" not in bao.request("GET", "sys/auth"):
        bao.write("sys/auth/jwt", type="jwt")
    bao.write("auth/jwt/config", jwt_validation_pubkeys=[key.as_pem(private=False).decode()], default_role="engine")
    bao.write(
        "auth/jwt/role/engine", role_type="jwt", bound_audiences=["vault"], user_claim="sub", token_policies=["cqox"]
    )
    file, role = tmp_path / "token", tmp_path / "role.json"
    role.write_text(json.dumps({"role": "engine", "jwt_file": str(file)}))
    for path in (file, role):
        path.touch()
        path.chmod(0o600)

    def write_token(audience: str) -> str:
        claims = {"sub": "pod", "aud": audience, "exp": int(time.time()) + 600, "iat": int(time.time())}
        file.write_text(jwt.encode({"alg": "ES256"}, claims, key))
        return file.read_text()

    with Vault(VaultAccess(address=bao.url, role_file=role)) as vault:
        token = write_token("other")
        with pytest.raises(VaultRefused, match="refuses the login") as raised:
            read_secret(vault)
        assert token not in str(raised.value)
        write_token("vault")
        assert read_secret(vault) == {"a": "8"}
    with Vault(VaultAccess(address=bao.url, role_file=file)) as vault:
        # The token alone, for the default role.
        assert read_secret(vault) == {"a": "8"}


def test_a_role_file_that_others_can_read_is_refused(access: VaultAccess) -> None:
    access.role_file.chmod(0o644)
    with Vault(access) as vault, pytest.raises(VaultMisused, match="chmod 600"):
        vault.keep_token()


def test_secrets_are_in_no_message_representation_or_log(
    access: VaultAccess, bao: OpenBao, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # Made here, so that no line of this test, which tracebacks quote, holds one.
    value, role, secret = (f"planted{number}" * 3 for number in range(3))
    write_secret(bao, password=value)
    ids = json.loads(access.role_file.read_text())
    with Vault(access) as vault:
        read_secret(vault)
        assert vault._token is not None
        shown = [repr(vault), repr(vault._token), repr(vault.access), str(vars(vault.outage))]
        token = vault._token.value
        for path in ("secret/data/others", "secret/data/cqox/none", "sys/seal"):
            with pytest.raises((VaultRefused, VaultRejected)) as raised:
                vault.read(path)
            shown += traceback.format_exception(raised.value)
        with bao.sealed(), pytest.raises(VaultUnavailable) as away:
            vault.write("transit/decrypt/cqox-x", {"ciphertext": value})
        shown += traceback.format_exception(away.value)
        access.role_file.write_text(json.dumps(ids | {"role_id": role, "secret_id": secret}))
        vault._token = None
        wait_until(lambda: _answers(vault))
        with pytest.raises(VaultRefused) as refused:
            read_secret(vault)
        shown += traceback.format_exception(refused.value)
    everything = "\n".join([*shown, caplog.text])
    assert caplog.text
    for planted in (token, ids["secret_id"], ids["role_id"], value, role, secret):
        assert planted not in everything


def test_a_vault_with_https_is_verified_by_the_named_authorities(tmp_path: Path) -> None:
    authority = authority_in(tmp_path / "tls", "vault", "engine")
    other = authority_in(tmp_path / "other", "vault")
    server = OpenBao(tmp_path / "tls" / "vault" / "current")
    try:
        server.start()
        server.mount("kv", "secret", options={"version": "2"})
        server.allow()
        write_secret(server, a="7")
        role = server.app_role(tmp_path / "role.json")
        trusting = VaultAccess(
            address=server.url, role_file=role, ca_file=authority.folder / "vault" / "current" / "ca.pem"
        )
        by_folder = VaultAccess(address=server.url, role_file=role, certificates=tmp_path / "tls" / "engine")
        for access in (trusting, by_folder):
            with Vault(access) as vault:
                assert read_secret(vault) == {"a": "7"}
        foreign = other.folder / "vault" / "current" / "ca.pem"
        with Vault(replace(trusting, ca_file=foreign)) as vault:
            with pytest.raises(VaultUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                read_secret(vault)
        copied = tmp_path / "ca.pem"
        copied.write_bytes(foreign.read_bytes())
        with Vault(replace(trusting, ca_file=copied)) as vault:
            with pytest.raises(VaultUnavailable):
                read_secret(vault)
            # Authorities are replaced without a restart.
            copied.unlink()
            copied.write_bytes((authority.folder / "vault" / "current" / "ca.pem").read_bytes())
            wait_until(lambda: _answers(vault))
            assert read_secret(vault) == {"a": "7"}
    finally:
        server.close()
