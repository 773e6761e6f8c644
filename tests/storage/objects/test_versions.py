import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cqox.errors import ObjectStoreUnfit, StoreUnavailable
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.address import Keys, ObjectStoreAddress
from cqox.storage.objects.failures import ObjectStoreAway
from cqox.storage.objects.versions import Versions, signed_headers
from tests.servers import ObjectStore
from tests.servers.object_store import KEYS

pytestmark = pytest.mark.xdist_group("servers")

_SIGN = """
import json, sys
from unittest import mock
import datetime
from botocore import auth, awsrequest, credentials
given = json.loads(sys.argv[1])
now = datetime.datetime(2026, 11, 29, 9, 30, 15)
for name in ("get_current_datetime",):
    if hasattr(auth, name):
        mock.patch.object(auth, name, lambda *_, **__: now).start()
request = awsrequest.AWSRequest(method=given["method"], url=given["url"], headers={})
keys = credentials.Credentials("which", "hush", given["token"] or None)
auth.S3SigV4Auth(keys, "s3", "eu-central-1").add_auth(request)
print(json.dumps(dict(request.headers.items())))
"""


@pytest.mark.parametrize("token", ["", "for an hour"])
@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/bucket", {"versioning": ""}),
        ("GET", "/bucket", {"versions": "", "prefix": "of/cqox/tenants/a b/ä+~", "key-marker": "k/=&"}),
        ("DELETE", "/bucket/of/cqox/a%20b/%C3%A4", {"versionId": "v.1/+="}),
    ],
)
def test_requests_are_signed_as_the_client_of_aws_signs_them(
    method: str, path: str, query: dict[str, str], token: str
) -> None:
    from urllib.parse import quote, urlencode

    url = f"https://objects.example.com{path}?{urlencode(sorted(query.items()), quote_via=quote, safe='-_.~')}"
    python = Path(sys.prefix) / "object-store/bin/python"
    given = json.dumps({"method": method, "url": url, "token": token})
    ran = subprocess.run([python, "-c", _SIGN, given], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    theirs = {name.lower(): value for name, value in json.loads(ran.stdout).items()}
    ours = signed_headers(
        method,
        host="objects.example.com",
        path=path,
        query=query,
        region="eu-central-1",
        keys=Keys(access_key="which", secret_key="hush", session_token=token),
        now=datetime(2026, 11, 29, 9, 30, 15, tzinfo=UTC),
    )
    assert ours["x-amz-date"] == theirs["x-amz-date"]
    assert ours["authorization"] == theirs["authorization"]


def test_a_bucket_says_whether_it_keeps_versions(object_store: ObjectStore) -> None:
    assert not Versions(object_store.address(), KEYS).are_kept()
    assert Versions(object_store.address(versions=True), KEYS).are_kept()


def test_all_versions_are_deleted_of_one_object_or_of_all_below_a_prefix(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    address = object_store.address(versions=True)
    volume = ObjectVolume.open(address, tmp_path, copies_bytes=0)
    volume.ready()
    assert object_store.versions(address.bucket) == []
    for key in ("a/b", "a/bc", "a/c", "ab"):
        for content in (b"first", b"second"):
            volume.objects.put(key, content)
    assert len(object_store.versions(address.bucket)) == 8
    # Another client deletes the current version alone, which leaves a marker.
    ObjectVolume.open(address, tmp_path, copies_bytes=0).objects.delete("a/c")
    assert len(object_store.versions(address.bucket)) == 9
    volume.objects.delete("a/b", "nothing")
    assert sorted(set(object_store.versions(address.bucket))) == ["of/cqox/a/bc", "of/cqox/a/c", "of/cqox/ab"]
    volume.objects.delete_below("a/")
    assert object_store.versions(address.bucket) == ["of/cqox/ab"] * 2


def test_former_versions_are_deleted_and_current_ones_stay(object_store: ObjectStore, tmp_path: Path) -> None:
    address = object_store.address(versions=True)
    volume = ObjectVolume.open(address, tmp_path, copies_bytes=0)
    volume.ready()
    for key in ("a/b", "a/c", "ab"):
        for content in (b"first", b"second"):
            volume.objects.put(key, content)
    volume.objects.delete_former("a/")
    assert object_store.versions(address.bucket) == ["of/cqox/a/b", "of/cqox/a/c", "of/cqox/ab", "of/cqox/ab"]
    assert volume.objects.get("a/b") is not None
    assert volume.objects.head("a/c", 6) == b"second"


def test_a_versioned_bucket_without_keys_is_refused(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = object_store.address(versions=True)
    # The role of a machine signs; here these variables stand for it.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the role")
    of_role = ObjectStoreAddress(bucket=address.bucket, endpoint=address.endpoint)
    with pytest.raises(ObjectStoreUnfit, match="former versions"):
        ObjectVolume.open(of_role, tmp_path, copies_bytes=0).ready()


def test_many_versions_are_listed_page_by_page(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    address = object_store.address(versions=True)
    volume = ObjectVolume.open(address, Path(), copies_bytes=0)
    volume.ready()
    versions = Versions(address, KEYS)
    for number in range(7):
        volume.objects.put(f"a/{number}", b"")
    request = versions._request

    def small(method: str, key: str, query: dict[str, str]) -> object:
        return request(method, key, {**query, "max-keys": "3"} if "versions" in query else query)

    monkeypatch.setattr(versions, "_request", small)
    versions.delete_below("a/")
    assert object_store.versions(address.bucket) == []


def test_a_store_that_is_away_or_refuses_is_said_so(object_store: ObjectStore) -> None:
    with pytest.raises(ObjectStoreAway):
        Versions(ObjectStoreAddress(bucket="bucket", endpoint="http://127.0.0.1:1"), KEYS).are_kept()
    with pytest.raises(StoreUnavailable, match="404"):
        Versions(ObjectStoreAddress(bucket="nowhere", endpoint=object_store.endpoint), KEYS).are_kept()
