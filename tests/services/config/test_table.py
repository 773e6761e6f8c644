from dataclasses import fields

import pytest

from services.config.settings import Settings
from services.config.table import table

ROWS = {row.name: row for row in table()}


def test_each_field_of_the_settings_has_a_row_in_its_order() -> None:
    assert list(ROWS) == [field.name for field in fields(Settings)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("max_upload_bytes", "1 GiB"),
        ("max_body_bytes", "4 MiB"),
        ("analysis_seconds", "120 seconds"),
        ("max_rows", "20000000"),
        ("postgres_url", "a SQLite file in the data directory"),
    ],
)
def test_a_default_is_shown_with_its_unit(name: str, shown: str) -> None:
    assert ROWS[name].default == shown


def test_a_token_has_a_file_and_no_flag_and_an_address_has_both() -> None:
    assert (ROWS["admin_token"].flag, ROWS["admin_token"].file_variable) == ("", "CQOX_ADMIN_TOKEN_FILE")
    assert (ROWS["redis_url"].flag, ROWS["redis_url"].file_variable) == ("--redis-url", "REDIS_URL_FILE")
    assert ROWS["host"].file_variable == ""


def test_an_enumeration_has_its_words_and_is_a_string() -> None:
    assert (ROWS["log_format"].kind, ROWS["log_format"].choices) == (str, ("auto", "console", "json"))
