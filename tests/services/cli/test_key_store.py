from pathlib import Path

import pytest
import trio

from cqox.analysis.stores import StoreAddresses, open_store
from cqox.security import digest_of, parse_key
from services.cli.key_store import Wanted, create, revoke, show


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CQOX_DATA_DIR", str(tmp_path))
    return tmp_path


def wanted(**changed: object) -> Wanted:
    given = {"tenant": "default", "roles": ["reader"], "scopes": None, "name": "n", "days": None, "new_tenant": False}
    return Wanted(**given | changed)


def test_a_key_is_stored_by_its_digest(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(wanted(scopes=["datasets:read"], tenant="acme", new_tenant=True)) == 0
    key = parse_key(capsys.readouterr().out.strip())
    assert key is not None

    async def stored() -> None:
        async with open_store(data_dir, StoreAddresses(postgres_url="")) as store:
            (record,) = await store.keys("acme")
            assert (record.digest, record.scopes) == (digest_of(key), ("datasets:read",))
            tenant = await store.tenant("acme")
            assert tenant is not None

    trio.run(stored)
    assert key.text.encode() not in (data_dir / "results.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"roles": ["root"]}, 2),
        ({"scopes": ["everything"]}, 2),
        ({"days": 0.0}, 2),
        ({"tenant": "../acme", "new_tenant": True}, 2),
        ({"tenant": "acme"}, 1),
    ],
)
def test_what_cannot_be_made_ends_with_a_status_and_no_key(
    changed: dict[str, object], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(wanted(**changed)) == status
    said = capsys.readouterr()
    assert (said.out, bool(said.err)) == ("", True)


def test_an_unknown_tenant_has_no_keys_and_none_can_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("acme") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert revoke("acme", "0" * 16) == 1
    assert show("Acme") == 2
