import pytest

from cqox.storage.objects.address import Keys, ObjectStoreAddress


def parsed(url: str, **more: str) -> ObjectStoreAddress:
    return ObjectStoreAddress.parse(url, environ={}, **more)


def test_an_address_has_a_bucket_and_perhaps_a_prefix() -> None:
    assert parsed("s3://bucket") == ObjectStoreAddress(bucket="bucket")
    given = parsed("s3://bucket/a/b/", endpoint="https://objects.example.com/", region="eu-central-1")
    assert (given.bucket, given.prefix, given.endpoint) == ("bucket", "a/b", "https://objects.example.com")
    assert given.region == "eu-central-1"


@pytest.mark.parametrize(
    "url", ["", "bucket", "https://bucket/a", "s3://", "s3://Bucket", "s3://b", "s3://bucket?x=1", "s3://bucket/a#b"]
)
def test_anything_else_is_refused_by_the_name_of_the_setting(url: str) -> None:
    with pytest.raises(ValueError, match="CQOX_OBJECT_STORE must be an address"):
        parsed(url)


@pytest.mark.parametrize("prefix", ["a//b", "a/../b", "./a", "ä", "a b"])
def test_a_prefix_consists_of_plain_parts(prefix: str) -> None:
    with pytest.raises(ValueError, match="the prefix"):
        parsed(f"s3://bucket/{prefix}")


@pytest.mark.parametrize("endpoint", ["objects", "ftp://objects", "https://", "https://user:pass@objects"])
def test_an_endpoint_is_a_web_address_without_a_password(endpoint: str) -> None:
    with pytest.raises(ValueError, match="CQOX_OBJECT_STORE_ENDPOINT") as caught:
        parsed("s3://bucket", endpoint=endpoint)
    assert "pass@" not in str(caught.value)


def test_a_region_is_a_word() -> None:
    with pytest.raises(ValueError, match="CQOX_OBJECT_STORE_REGION"):
        parsed("s3://bucket", region="eu central")


def test_keys_belong_together_and_are_never_shown() -> None:
    given = parsed("s3://bucket", access_key="which", secret_key="hush")
    assert given.keys == Keys(access_key="which", secret_key="hush")
    assert "hush" not in repr(given)
    for alone in ({"access_key": "which"}, {"secret_key": "hush"}):
        with pytest.raises(ValueError, match="belong together") as caught:
            parsed("s3://bucket", **alone)
        assert "hush" not in str(caught.value)


def test_without_keys_those_of_the_environment_are_used() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "which", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "for an hour"}
    given = ObjectStoreAddress.parse("s3://bucket", environ=environ)
    assert given.keys == Keys(access_key="which", secret_key="hush", session_token="for an hour")
    assert "for an hour" not in repr(given)
    assert ObjectStoreAddress.parse("s3://bucket", environ={"AWS_ACCESS_KEY_ID": "which"}).keys is None
