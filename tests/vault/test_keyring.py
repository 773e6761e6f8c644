"""The key ring in the transit engine of a real OpenBao."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.encryption import KeyDestroyed, KeyRing, KeysUnavailable
from cqox.vault import TransitKeyRing, Vault, VaultAccess, open_transit
from tests.encryption.keyring_contract import KeyRingContract, Unreachable
from tests.servers.openbao import OpenBao
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("openbao")


class TestTransitKeyRing(KeyRingContract):
    @pytest.fixture
    def ring(self, access: VaultAccess) -> Iterator[KeyRing]:
        with open_transit(access) as ring:
            yield ring

    @pytest.fixture
    def reopened(self, access: VaultAccess) -> Iterator[KeyRing]:
        with open_transit(access) as ring:
            yield ring

    @pytest.fixture
    def unreachable(self, bao: OpenBao) -> Unreachable:
        return bao.sealed


def answers(ring: KeyRing) -> bool:
    try:
        ring.check()
    except KeysUnavailable:
        return False
    return True


def test_a_vault_that_is_silent_destroys_nothing(access: VaultAccess, bao: OpenBao) -> None:
    with Vault(access, seconds=0.3) as vault:
        ring = TransitKeyRing(vault)
        key = ring.new_data_key("silent")
        with bao.frozen():
            with pytest.raises(KeysUnavailable, match=r"no answer within 0\.3 s"):
                ring.unwrap("silent", key.wrapped)
        wait_until(lambda: answers(ring))
        assert ring.unwrap("silent", key.wrapped) == key.plain


def test_a_login_that_is_not_allowed_to_use_a_key_destroys_nothing(bao: OpenBao, tmp_path: Path) -> None:
    bao.allow("reader", 'path "secret/*" { capabilities = ["read"] }')
    access = VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "reader.json", "reader"))
    with open_transit(access) as ring:
        for call in (lambda: ring.unwrap("x", b"vault:v1:AAAA"), lambda: ring.destroy("x"), ring.check):
            with pytest.raises(KeysUnavailable, match="does not allow"):
                call()


def test_an_engine_that_is_not_there_destroys_nothing(bao: OpenBao, tmp_path: Path) -> None:
    bao.allow("elsewhere", 'path "elsewhere/*" { capabilities = ["create", "read", "update", "delete"] }')
    access = VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "elsewhere.json", "elsewhere"))
    with open_transit(access, mount="elsewhere") as ring:
        for call in (
            lambda: ring.unwrap("x", b"vault:v1:AAAA"),
            lambda: ring.new_data_key("x"),
            lambda: ring.destroy("x"),
            lambda: ring.rotate("x"),
            ring.check,
        ):
            with pytest.raises(KeysUnavailable, match="no handler for route"):
                call()


def test_a_version_that_an_operator_withdraws_is_not_destroyed(access: VaultAccess, bao: OpenBao) -> None:
    with open_transit(access) as ring:
        key = ring.new_data_key("withdrawn")
        ring.rotate("withdrawn")
        bao.write("transit/keys/cqox-withdrawn/config", min_decryption_version=2)
        with pytest.raises(KeysUnavailable, match="too old"):
            ring.unwrap("withdrawn", key.wrapped)
        bao.write("transit/keys/cqox-withdrawn/config", min_decryption_version=1)
        assert ring.unwrap("withdrawn", key.wrapped) == key.plain


def test_a_server_that_lags_behind_destroys_nothing(access: VaultAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    with Vault(access) as vault:
        ring = TransitKeyRing(vault)
        key = ring.new_data_key("lagging")
        answered, asked = vault._answered, list[tuple[str, str]]()

        def lagging(method: str, path: str, headers: Mapping[str, str], body: object) -> tuple[int, bytes, str]:
            index = headers.get("X-Vault-Index", "")
            asked.append((path, index))
            if path.startswith("transit/decrypt") and len(asked) == 1:
                return 400, b'{"errors": ["encryption key not found"]}', ""
            return answered(method, path, headers, body)  # type: ignore[arg-type]

        monkeypatch.setattr(vault, "_answered", lagging)
        assert ring.unwrap("lagging", key.wrapped) == key.plain
        decrypt = "transit/decrypt/cqox-lagging"
        assert [path for path, _ in asked] == [decrypt, "cubbyhole/cqox", decrypt]
        assert asked[-1][1] not in ("", asked[0][1])
        # Also where the server that knows of the write is not there.
        monkeypatch.setattr(vault, "_answered", lambda *_: (412, b"{}", ""))
        with pytest.raises(KeysUnavailable, match="it answers 412"):
            ring.unwrap("lagging", key.wrapped)


def test_a_key_cannot_leave_the_vault(access: VaultAccess, bao: OpenBao) -> None:
    with open_transit(access) as ring:
        ring.new_data_key("kept-inside")
    about = bao.request("GET", "transit/keys/cqox-kept-inside")
    assert about["exportable"] is about["allow_plaintext_backup"] is False
    assert about["type"] == "aes256-gcm96"


def test_what_the_key_of_a_tenant_has_encrypted_otherwise_is_no_data_key(access: VaultAccess, bao: OpenBao) -> None:
    with open_transit(access) as ring:
        ring.new_data_key("otherwise")
        made = bao.write("transit/encrypt/cqox-otherwise", plaintext="c2hvcnQ=")
        with pytest.raises(KeyDestroyed):
            ring.unwrap("otherwise", made["ciphertext"].encode())


def test_the_name_of_a_tenant_cannot_lead_to_another_path(access: VaultAccess) -> None:
    with open_transit(access) as ring:
        for name in ("a/../b", "a/rotate", "a?b", "a#b"):
            with pytest.raises((KeysUnavailable, KeyDestroyed)):
                ring.unwrap(name, b"vault:v1:AAAA")


def test_a_vault_that_is_away_from_the_start_is_named(access: VaultAccess) -> None:
    away = replace(access, address="http://127.0.0.1:1")
    with open_transit(away) as ring, pytest.raises(KeysUnavailable, match=r"http://127\.0\.0\.1:1 is unavailable"):
        ring.check()
