from dataclasses import fields

from services.config.object_settings import ObjectSettings
from services.config.settings import Settings
from services.config.table import table


def test_files_are_in_the_data_directory_by_default() -> None:
    settings = Settings()
    assert settings.object_store == settings.object_store_endpoint == settings.object_store_access_key == ""
    assert settings.object_copies_bytes == 10 * 2**30


def test_keys_of_the_object_store_have_no_flag_and_are_never_shown() -> None:
    own = {field.name for field in fields(ObjectSettings) if field.name.startswith("object_")}
    secret = {one.name for one in table() if one.name in own and not one.flag}
    assert secret == {"object_store_access_key", "object_store_secret_key"}
    shown = repr(Settings(object_store_access_key="hunter2", object_store_secret_key="hunter2"))
    assert "hunter2" not in shown
