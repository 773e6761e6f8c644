"""The file of named data sources."""

from pathlib import Path

import pytest

from cqox.sources import Query
from services.config.configuration import SettingsError
from services.config.sources import named_sources

GOOD = """
[sales]
address = "postgresql://reader:${SHOP_PASSWORD}@db/shop"
query = "SELECT * FROM sales;"
meaning = "Sales by shop and week"
[daily]
address = "s3://bucket/daily/"
read = {encoding = "cp932", header_rows = 2}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sources.toml"


def test_sources_are_read_with_their_secrets_from_the_environment(path: Path) -> None:
    path.write_text(GOOD)
    found = named_sources(path, {"SHOP_PASSWORD": "secret"})
    assert found["sales"].source == Query(text="SELECT * FROM sales", address="postgresql://reader:secret@db/shop")
    assert found["sales"].meaning == "Sales by shop and week"
    assert (found["daily"].source, found["daily"].read) == (
        "s3://bucket/daily/", {"encoding": "cp932", "header_rows": "2"},
    )  # fmt: skip
    assert "secret" not in repr(found)


def test_without_the_setting_there_are_none() -> None:
    assert named_sources(Path()) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[a", "cannot be read"), ("a = 1", "source 'a': it needs an address"), ("[a]\nquery='SELECT 1'", "address"),
        ("['a b']\naddress='x.csv'", "a name has"), ("[a]\naddress='x.csv'\nadress='y'", "unknown members adress"),
        ("[a]\naddress='${ABSENT}'", "no variable ABSENT"), ("[a]\naddress='ftp://x'", "ftp://"),
        ("[a]\naddress='postgresql://h/d'", "is a database"), ("[a]\naddress='x.csv'\nquery='SELECT 1'", "no address"),
        ("[a]\naddress='x.csv'\nread='utf-8'", "'read' is a table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_source(path: Path, text: str, reason: str) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError, match=f"CQOX_SOURCES: .*{reason}") as caught:
        named_sources(path, {})
    assert "Traceback" not in str(caught.value)
    with pytest.raises(SettingsError, match="CQOX_SOURCES"):
        named_sources(path.with_name("absent.toml"), {})
