import pytest

from services.config.configuration import SettingsError, load
from services.config.settings import Settings


def test_without_a_setting_only_this_machine_is_served_and_nothing_is_signed():
    assert (Settings().auth, Settings().hop_keys) == ("local", ())


def test_the_mode_is_one_of_those_that_there_are():
    assert load({"CQOX_AUTH": "KEYS"}).settings.auth == "keys"
    with pytest.raises(SettingsError, match="local, open, keys, oidc"):
        load({"CQOX_AUTH": "saml"})


def test_the_secret_between_the_services_comes_from_a_file_and_is_not_shown(tmp_path):
    (tmp_path / "key").write_text(f"{'a' * 32},{'b' * 32}\n")
    settings = load({"CQOX_HOP_KEY_FILE": str(tmp_path / "key")}).settings
    assert settings.hop_keys == ("a" * 32, "b" * 32)
    assert "a" * 32 not in repr(settings)
