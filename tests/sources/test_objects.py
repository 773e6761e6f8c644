"""Objects and folders of an object store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, SourceUnavailable
from cqox.sources.objects import Bucket, download
from tests.servers.objects import serve_objects

ODD = {"h/a#b.csv": b"y\n5\n", "h/a?b.csv": b"y\n6\n", "h/a%23b.csv": b"y\n7\n"}
OBJECTS = {
    "one.csv": b"y\n1\n", "daily/a.csv": b"y\n2\n", "daily/b.csv": b"y\n3\n", "空 白.csv": b"y\n4\n",
    "h/a/other.csv": b"y\n8\n", **ODD,
}  # fmt: skip


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serve_objects("bucket", OBJECTS) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield


def test_an_object_is_a_file(tmp_path: Path) -> None:
    download("s3://bucket/one.csv", tmp_path / "one", max_bytes=100)
    assert (tmp_path / "one").read_bytes() == b"y\n1\n"
    download("s3://bucket/空 白.csv", tmp_path / "two", max_bytes=100)
    assert (tmp_path / "two").read_bytes() == b"y\n4\n"


@pytest.mark.parametrize("key", ODD)
def test_a_key_is_what_follows_the_bucket_whatever_it_contains(key: str, tmp_path: Path) -> None:
    download(f"s3://bucket/{key}", tmp_path / "one", max_bytes=100)
    assert (tmp_path / "one").read_bytes() == ODD[key]
    assert Bucket(f"s3://bucket/{key}").key == key


@pytest.mark.parametrize("address", ["s3://bucket/daily/", "s3://bucket/daily"])
def test_what_lies_below_a_prefix_is_a_folder(address: str, tmp_path: Path) -> None:
    download(address, tmp_path / "folder", max_bytes=100)
    contents = [path.read_bytes() for path in sorted((tmp_path / "folder").iterdir())]
    assert contents == [b"y\n2\n", b"y\n3\n"]


def test_what_is_absent_or_too_large_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="nothing at 's3://bucket/none'"):
        download("s3://bucket/none", tmp_path / "none", max_bytes=100)
    with pytest.raises(SourceUnavailable, match="s3://other") as caught:
        download("s3://other/one.csv", tmp_path / "other", max_bytes=100)
    assert "secret" not in str(caught.value)
    for number, address in enumerate(("s3://bucket/one.csv", "s3://bucket/daily/")):
        with pytest.raises(LimitExceeded, match="more than 3 bytes"):
            download(address, tmp_path / str(number), max_bytes=3)


@pytest.mark.parametrize(
    "key", ["/daily/a.csv", "/", "daily//a.csv", "daily//", "daily/../one.csv", "./one.csv", "x/."]
)
def test_a_key_that_would_be_read_as_another_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"parts of its key between slashes are empty, '\.' or '\.\.'"):
        download(f"s3://bucket/{key}", tmp_path / "one", max_bytes=100)
    with pytest.raises(SourceUnavailable, match="parts of its key"):
        Bucket(f"s3://bucket/{key}")


@pytest.mark.parametrize("address", ["s3://", "s3:///", "S3:///daily/a.csv", "s3://?/a", "s3://a b/c", "s3://me:x@/a"])
def test_an_address_without_a_bucket_says_so_in_both_languages(address: str) -> None:
    with pytest.raises(SourceUnavailable, match=r"names no bucket, as s3://bucket/key does$") as caught:
        Bucket(address)
    assert isinstance(caught.value.detail, Message)
    assert "バケット名がない" in caught.value.detail.in_language("ja")


@pytest.mark.parametrize("address", ["abfss://x", "abfss://c@a/k", "s3://other/one.csv"])
def test_reasons_are_sentences_and_no_structures_of_the_library(address: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        download(address, tmp_path / "one", max_bytes=100)
    assert "Debug" not in str(caught.value)
    assert " { " not in str(caught.value)
