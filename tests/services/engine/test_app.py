"""The engine's app: the settings that it refuses, and what it answers before its stores are open."""

from pathlib import Path

import pytest

from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.app import create_app


@pytest.mark.parametrize(
    ("setting", "value"), [("postgres_url", "mysql://host/db"), ("redis_url", "http://host"), ("data_dir", None)]
)
def test_a_store_that_cannot_be_used_is_refused_by_its_setting(tmp_path: Path, setting: str, value: str | None) -> None:
    (tmp_path / "file").touch()
    given = {"data_dir": tmp_path / "data", setting: value or tmp_path / "file" / "data"}
    with pytest.raises(SettingsError, match=setting.upper()):
        create_app(Settings(**given))


@pytest.mark.trio
async def test_the_engine_lives_before_its_stores_are_open_and_its_clients_are_gateways(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path / "data"))
    assert app.clients_are_gateways
    live = await app.test_client().get("/health/live")
    assert (live.status_code, await live.get_json()) == (200, {"status": "alive"})
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.trio
async def test_a_problem_is_in_the_language_of_the_request(tmp_path: Path) -> None:
    client = create_app(Settings(data_dir=tmp_path)).test_client()
    english, japanese = [
        await (await client.get(f"/api/nothing?lang={one}")).get_json(force=True) for one in ("en", "ja")
    ]
    assert english["type"] == japanese["type"] == "no-such-path"
    assert english["detail"] != japanese["detail"]
