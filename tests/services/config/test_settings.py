from dataclasses import replace
from pathlib import Path

from services.config.settings import Settings, shared_socket_path


def test_addresses_and_folders_follow_from_what_is_set(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine_port=9999)
    assert settings.engine_urls == ("http://127.0.0.1:9999",)
    assert settings.admin_socket_of("gateway") == tmp_path / "admin-gateway.sock"
    several = Settings(data_dir=tmp_path, engine_url=" http://a:1 ,, http://b:2,")
    assert several.engine_urls == ("http://a:1", "http://b:2")


def test_a_socket_that_is_named_is_used_as_it_is(tmp_path: Path) -> None:
    named = Settings(data_dir=tmp_path, admin_socket=tmp_path / "of-{service}.sock")
    assert named.admin_socket_of("engine") == tmp_path / "of-engine.sock"


def test_services_with_the_same_settings_share_no_socket(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, admin_socket=tmp_path / "one.sock")
    assert len({shared_socket_path(settings, service) for service in ("gateway", "engine")}) == 2
    default = replace(settings, admin_socket=tmp_path / "{service}.sock")
    assert shared_socket_path(default, "engine") == default.admin_socket_of("engine")


def test_the_pace_of_bodies_is_that_of_the_settings(tmp_path: Path) -> None:
    pace = Settings(data_dir=tmp_path, body_bytes_per_second=7, upload_idle_seconds=3.0, body_seconds=11.0).body_pace
    assert (pace.bytes_per_second, pace.window_seconds, pace.most_seconds) == (7, 3.0, 11.0)
