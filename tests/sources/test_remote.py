"""Tables of a real object store and of a real HTTP server: listed, copied, and changed meanwhile."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from cqox.errors import LimitExceeded, SourceUnavailable, UnreadableFile
from cqox.sources import objects, urls
from cqox.sources.remote import RemoteTable, listed, may_be_table
from cqox.sources.remote_file import SourceChanged
from tests.servers import running
from tests.servers.http_files import HttpFiles, http_files
from tests.servers.object_store import KEYS, ObjectStore


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with running(ObjectStore()) as started:
        yield started


@pytest.fixture
def bucket(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return S3Store(server.bucket(), client_options={"allow_http": True})


@pytest.fixture
def site() -> Iterator[HttpFiles]:
    with http_files() as served:
        yield served


def put(bucket: S3Store, **contents: bytes) -> str:
    for key, content in contents.items():
        obstore.put(bucket, key, content)
    return f"s3://{bucket.config['bucket']}"


def table(address: str, suffixes: tuple[str, ...] | None = None) -> RemoteTable:
    found = listed(address, suffixes=suffixes)
    assert found is not None
    return found


def copied(found: RemoteTable, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    assert sum(found.copying(folder)) == found.size_bytes
    return {str(path.relative_to(folder)): path.read_bytes() for path in found.copies(folder).files}


def test_a_folder_of_a_store_has_the_parts_of_a_folder_on_disk(bucket: S3Store, tmp_path: Path) -> None:
    address = put(
        bucket,
        **{
            "t/year=2025/b.parquet": b"22", "t/year=2024/a%b.parquet": b"1", "t/_SUCCESS": b"", "t/.x.parquet": b"x",
            "t/_temporary/c.parquet": b"x", "t/notes.md": b"x", "tea/d.parquet": b"x",
        },
    )  # fmt: skip
    found = table(f"{address}/t/")
    assert (found.parts.format, found.size_bytes, found.is_folder) == ("parquet", 3, True)
    assert copied(found, tmp_path / "copy") == {
        "00000/year=2024/a%b.parquet": b"1", "00001/year=2025/b.parquet": b"22",
    }  # fmt: skip
    assert found.copies(tmp_path).partitions == {"year": ("2024", "2025")}
    assert table(f"{address}/t").snapshot == found.snapshot
    put(bucket, **{"t/year=2024/a%b.parquet": b"3"})
    assert table(f"{address}/t").snapshot != found.snapshot


def test_one_object_is_a_table_by_its_name(bucket: S3Store, tmp_path: Path) -> None:
    address = put(bucket, **{"one.csv": b"y\n1\n", "book.xlsx": b"x"})
    found = table(f"{address}/one.csv")
    assert (found.is_folder, found.parts.format) == (False, "text")
    assert copied(found, tmp_path / "copy") == {"00000/one.csv": b"y\n1\n"}
    assert listed(f"{address}/book.xlsx") is None
    assert listed(f"{address}/one.csv", suffixes=(".parquet",)) is None


def test_large_objects_arrive_in_several_requests(
    bucket: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_BLOCK_BYTES", 1000)
    content = bytes(range(256)) * 20
    found = table(put(bucket, **{"t/a.parquet": content, "t/b.parquet": b""}) + "/t")
    assert copied(found, tmp_path / "copy") == {"00000/a.parquet": content, "00001/b.parquet": b""}


@pytest.mark.parametrize("change", ["replace", "delete", "add"])
def test_a_change_of_a_folder_during_the_copy_is_an_error(
    bucket: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(objects, "_BLOCK_BYTES", 1000)
    found = table(put(bucket, **{"t/a.parquet": b"a" * 3000, "t/b.parquet": b"b"}) + "/t")
    (tmp_path / "copy").mkdir()
    blocks = found.copying(tmp_path / "copy")
    next(blocks)
    if change == "replace":
        put(bucket, **{"t/a.parquet": b"c" * 3000})
    elif change == "delete":
        obstore.delete(bucket, "t/b.parquet")
    else:
        put(bucket, **{"t/c.parquet": b"c"})
    with pytest.raises(SourceChanged, match="changed while they were copied"):
        list(blocks)


def test_an_object_that_is_replaced_is_noticed_with_its_next_block(
    bucket: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_BLOCK_BYTES", 1000)
    found = table(put(bucket, **{"t.parquet": b"a" * 3000}) + "/t.parquet")
    blocks = found.copying(tmp_path)
    assert next(blocks) == 1000
    put(bucket, **{"t.parquet": b"c" * 3000})
    with pytest.raises(SourceChanged):
        next(blocks)


def test_what_is_no_table_says_so(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = {"delta/_delta_log/0.json": b"x", "delta/a.parquet": b"x", "ice/metadata/v1.metadata.json": b"x"}
    address = put(bucket, **logs, **{"mixed/a.parquet": b"x", "mixed/b.csv": b"x", "texts/a.json": b"x"})
    for folder, reason in {
        "delta": "Delta Lake", "ice": "Iceberg", "mixed": r"a\.parquet.*b\.csv", "texts": "no file that ends in",
    }.items():  # fmt: skip
        with pytest.raises(UnreadableFile, match=reason):
            listed(f"{address}/{folder}/")
    with pytest.raises(SourceUnavailable, match="nothing at"):
        listed(f"{address}/none/")
    monkeypatch.setattr(objects, "_MOST_FILES", 1)
    with pytest.raises(LimitExceeded, match="more than 1 files"):
        listed(f"{address}/mixed/")


@pytest.mark.parametrize("key", ["odd/a//b.parquet", "odd/../b.parquet"])
def test_an_object_with_an_odd_key_is_named(server: ObjectStore, bucket: S3Store, key: str) -> None:
    address = put(bucket, **{"odd/a.parquet": b"x"})
    # The client of stores cannot write it.
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", f"/{bucket.config['bucket']}/{key}", body=b"x")
    assert connection.getresponse().status == 200
    connection.close()
    with pytest.raises(SourceUnavailable, match=f"there is an object '{key}', whose key has an empty part"):
        listed(f"{address}/odd/")


def test_a_store_that_is_away_or_refuses_shows_no_secret(
    server: ObjectStore, bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SourceUnavailable) as caught:
        listed("s3://me:xyzzy@bucket/t/")
    assert "xyzzy" not in f"{caught.value}{caught.value.__cause__!r}"
    assert KEYS.secret_key not in str(caught.value)


def test_a_store_that_is_killed_during_the_copy_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_BLOCK_BYTES", 1000)
    with running(ObjectStore()) as mortal:
        for name, value in {
            "AWS_ENDPOINT_URL": mortal.endpoint, "AWS_ACCESS_KEY_ID": KEYS.access_key,
            "AWS_SECRET_ACCESS_KEY": KEYS.secret_key, "AWS_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        bucket = S3Store(mortal.bucket(), client_options={"allow_http": True})
        blocks = table(put(bucket, **{"t/a.parquet": b"a" * 3000}) + "/t").copying(tmp_path)
        assert next(blocks) == 1000
        mortal.stop()
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            next(blocks)


def test_a_file_at_a_url_is_copied_as_it_was_described(site: HttpFiles, tmp_path: Path) -> None:
    site.files = {"/t.csv": b"y\n1\n"}
    site.e_tags = {"/t.csv": '"1"'}
    address = f"{site.address}/t.csv?sig=secret"
    found = table(address)
    assert "secret" not in repr(found)
    assert found.snapshot is not None
    assert copied(found, tmp_path / "copy") == {"00000/t.csv": b"y\n1\n"}
    site.e_tags["/t.csv"] = '"2"'
    (tmp_path / "other").mkdir()
    with pytest.raises(SourceChanged) as caught:
        list(found.copying(tmp_path / "other"))
    assert "secret" not in str(caught.value)
    del site.e_tags["/t.csv"]
    assert table(address).snapshot is None


def test_a_connection_that_ends_early_is_no_copy(site: HttpFiles, tmp_path: Path) -> None:
    site.files = {"/t.csv": b"y\n" * 5000}
    found = table(f"{site.address}/t.csv")
    site.most_bytes = 100
    (tmp_path / "copy").mkdir()
    with pytest.raises(SourceUnavailable, match="ended early"):
        list(found.copying(tmp_path / "copy"))


def test_long_names_become_names_that_a_disk_takes(bucket: S3Store, tmp_path: Path) -> None:
    found = table(put(bucket, **{f"t/{'é' * 150}.parquet": b"1"}) + "/t")
    (name,) = copied(found, tmp_path / "copy")
    assert name.endswith("é.parquet")


@pytest.mark.parametrize(
    ("address", "is_table"),
    [
        ("s3://b/t/", True), ("https://h/t.parquet?x=1", True), ("https://h/t.CSV.gz", True), ("https://h/t", False),
        ("https://h/t.xlsx", False), ("data/t.csv", False),
    ],
)  # fmt: skip
def test_some_addresses_can_be_those_of_tables(address: str, *, is_table: bool) -> None:
    assert may_be_table(address) == is_table
    assert urls.file_name("https://h/a%20b/t.csv?x=/y") == "t.csv"
