"""Tables in place in the file of named sources."""

from pathlib import Path

import pytest

from cqox.sources import remote_address
from services.config import places as of_places
from services.config.configuration import SettingsError
from services.config.places import places
from services.config.sources import named_sources

GOOD = """
[shop]
kind = "postgres"
address = "postgresql://reader:${SHOP_PASSWORD}@db/shop"
tables = ["public.sales", "public.returns"]
key = "id"
as_of = "2026-11-30"
tenants = ["acme"]
most_concurrent = 3
meaning = "Sales by shop and week"
[lake]
kind = "parquet"
folder = "FOLDER"
[parts]
address = "FOLDER"
"""
POSTGRES = "[a]\nkind='postgres'\naddress='postgresql://h/d'\ntables=['t']\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sources.toml"


def test_tables_in_place_are_read_with_their_secrets_from_the_environment(path: Path) -> None:
    path.write_text(GOOD.replace("FOLDER", str(path.parent)))
    found = places(path, {"SHOP_PASSWORD": "xyzzy"})
    assert found.keys() == {"shop", "lake"}
    assert named_sources(path, {}).keys() == {"parts"}
    shop, lake = found["shop"], found["lake"]
    assert (shop.address, shop.tables) == ("postgresql://reader:xyzzy@db/shop", ("public.sales", "public.returns"))
    assert (shop.key, shop.as_of, shop.tenants, shop.most_concurrent) == ("id", "2026-11-30", {"acme"}, 3)
    assert (lake.folder, lake.tables, lake.key, lake.tenants) == (path.parent, ("lake",), None, None)
    assert "xyzzy" not in repr(found)


def test_kinds_of_columns_of_csv_files_are_stated(path: Path) -> None:
    path.write_text(f'[drop]\nkind = "csv"\nfolder = "{path.parent}"\n[drop.types]\n"zip code" = "word"\n')
    (drop,) = places(path).values()
    assert (drop.kind, drop.tables, drop.types) == ("csv", ("drop",), {"zip code": "word"})


def test_iceberg_tables_are_folders_and_need_their_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(f'[lake]\nkind = "iceberg"\nfolder = "{path.parent}"\ntables = ["visits"]\n')
    (lake,) = places(path).values()
    assert (lake.kind, lake.folder, lake.tables, lake.as_of) == ("iceberg", path.parent, ("visits",), None)
    monkeypatch.setattr(of_places, "find_spec", lambda name: None if name == "pyiceberg" else True)
    with pytest.raises(SettingsError, match=r"install cqox\[iceberg\]"):
        places(path)


def test_files_can_be_elsewhere(path: Path) -> None:
    path.write_text(
        "[lake]\nkind='parquet'\nurl='s3://bucket/lake'\ntables=['visits']\n"
        "[one]\nkind='csv'\nurl='https://host/one.csv?sig=${SIG}'\n"
    )
    found = places(path, {"SIG": "xyzzy"})
    lake, one = found["lake"], found["one"]
    assert (lake.is_remote, lake.address, lake.tables, lake.own) == (True, "s3://bucket/lake", ("visits",), False)
    assert (remote_address(lake, "visits"), remote_address(one, "one")) == (
        "s3://bucket/lake/visits", "https://host/one.csv?sig=xyzzy",
    )  # fmt: skip
    assert "xyzzy" not in repr(found)


def test_without_the_setting_there_are_none() -> None:
    assert places(Path()) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("['a b']\nkind='parquet'", "a name has"), (f"[{'a' * 61}]\nkind='parquet'", "at most 60 of them"),
        (f"[a]\nkind='postgres'\naddress='postgresql://h/d'\ntables=['{'t' * 131}']", "at most 130 characters"),
        ("[a]\nkind='oracle'", "kind is one of postgres, parquet, csv, iceberg"),
        ("[a]\nkind='csv'\nfolder='/tmp'\ntypes={x='number'}", "types gives columns one of whole, real"),
        ("[a]\nkind='csv'\nfolder='/tmp'\ntypes='word'", "types gives columns one of"),
        ("[a]\nkind='parquet'\nfolder='/tmp'\ntypes={x='real'}", "unknown members types"),
        (POSTGRES + "folder='/tmp'", "unknown members folder"), ("[a]\nkind='postgres'\ntables=['t']", "an address"),
        ("[a]\nkind='postgres'\naddress='postgresql://h/d'", "it needs tables"), (POSTGRES + "key=1", "key is a text"),
        (POSTGRES + "tenants='acme'", "tenants is a list"), (POSTGRES + "most_concurrent=0", "from 1 to 64"),
        ("[a]\nkind='postgres'\ntables=['t']\naddress='${ABSENT}'", "no variable ABSENT"),
        ("[a]\nkind='parquet'\nfolder='/no/such/folder'", "a folder that exists"), ("[a]\nkind='parquet'", "a folder"),
        ("[a]\nkind='parquet'\nfolder='.'\ntables=['../b']", "a folder"),
        ("[a]\nkind='parquet'\nfolder='.'\nurl='s3://b/t'", "either a folder or a url"),
        ("[a]\nkind='parquet'\nurl='/data'", "an address such as s3"), ("[a]\nkind='csv'\nurl=''", "an address such"),
        ("[a]\nkind='parquet'\nurl='ftp://xyzzy/t'", "an address such as s3"),
        ("[a]\nkind='parquet'\nurl='s3:///t'", "an address such as s3"),
        ("[a]\nkind='parquet'\nurl='${ABSENT}'", "no variable ABSENT"),
        ("[a]\nkind='parquet'\nurl='https://h/d?sig=1'\ntables=['b.parquet']", "has no query"),
        ("[a]\nkind='parquet'\nurl='s3://b/t'\ntables=['../b']", "'../b' is not the name"),
        ("[a]\nkind='iceberg'\nurl='s3://b/t'", "unknown members url"),
        ("[a]\nkind='iceberg'\nfolder='/tmp'\nas_of='2026'", "unknown members as_of"),
        ("[a]\nkind='postgres'\nurl='s3://b/t'", "unknown members url"),
        ("[a]\nkind='parquet'\nfolder='/tmp'\ntables=['../b']", "'../b' is not the name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_source(path: Path, text: str, reason: str) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError, match=f"CQOX_SOURCES: .*{reason}"):
        places(path, {})


@pytest.mark.parametrize("address", ["host=h password=xyzzy plugh", "postgresql://me:xyzzy plugh@h:x y/d?xyzzy"])
def test_an_address_that_is_none_is_not_repeated(path: Path, address: str) -> None:
    path.write_text(f"[a]\nkind='postgres'\ntables=['t']\naddress='{address}'")
    with pytest.raises(SettingsError, match="no connection string of PostgreSQL") as caught:
        places(path, {})
    assert "xyzzy" not in f"{caught.value} {caught.value.__cause__}"
    assert "plugh" not in str(caught.value)
