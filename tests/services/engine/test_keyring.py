"""The key ring by the settings, and what ends the start of an engine."""

from pathlib import Path

import pytest

from cqox.sources import Place
from cqox.storage import Sealing
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.keyring import check_copies, check_sealing, open_sealing


def test_by_default_nothing_is_sealed(tmp_path: Path) -> None:
    for keys in ("", "none"):
        settings = Settings(data_dir=tmp_path, keys=keys)
        assert open_sealing(settings).ring is None
        check_sealing(settings, open_sealing(settings))


def test_the_ring_lies_in_the_data_directory_or_where_it_is_said(tmp_path: Path) -> None:
    for place in (Path(), tmp_path / "ring.json"):
        sealing = open_sealing(Settings(data_dir=tmp_path, keys="file", key_ring=place))
        sealing.of("acme").seal(b"x", "a")
    assert {"keyring.json", "ring.json"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("auth", ["keys", "oidc"])
def test_with_logins_encryption_is_decided_on(tmp_path: Path, auth: str) -> None:
    with pytest.raises(SettingsError, match="set CQOX_KEYS"):
        check_sealing(Settings(data_dir=tmp_path, auth=auth), Sealing())  # type: ignore[arg-type]
    check_sealing(Settings(data_dir=tmp_path, auth=auth, keys="none"), Sealing())  # type: ignore[arg-type]


def test_a_ring_that_others_can_read_ends_the_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, keys="file")
    open_sealing(settings).of("acme").seal(b"x", "a")
    (tmp_path / "keyring.json").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        check_sealing(settings, open_sealing(settings))


def test_a_ring_in_one_data_directory_goes_with_no_object_store(tmp_path: Path) -> None:
    given = {"data_dir": tmp_path / "data", "keys": "file", "object_store": "s3://bucket"}
    alone = Settings(**given)
    with pytest.raises(SettingsError, match="CQOX_KEY_RING"):
        check_sealing(alone, open_sealing(alone))
    shared = Settings(**given, key_ring=tmp_path / "ring")
    check_sealing(shared, open_sealing(shared))


def test_nothing_is_copied_in_plain_where_everything_is_sealed(tmp_path: Path) -> None:
    sealing = open_sealing(Settings(data_dir=tmp_path, keys="file"))
    folder = Place(name="lake", kind="parquet", folder=tmp_path, tables=("lake",))
    address = Place(name="far", kind="parquet", address="s3://xyzzy/t", tables=("far",))
    check_copies({"lake": folder}, sealing)
    check_copies({"far": address}, Sealing())
    with pytest.raises(SettingsError, match=r"source 'far'.*CQOX_KEYS") as caught:
        check_copies({"lake": folder, "far": address}, sealing)
    assert "xyzzy" not in str(caught.value)
