"""Address of an object store: bucket and prefix, and how they are reached."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Keys", "ObjectStoreAddress"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Access keys, which sign requests.

    Attributes:
        access_key: which key it is.
        secret_key: the key.
        session_token: of temporary keys; empty otherwise.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreAddress:
    """A place in an object store that speaks the S3 protocol.

    Attributes:
        bucket: the bucket.
        prefix: the beginning of all keys, without a slash at its ends; empty for none.
        endpoint: address of the server; empty for that of AWS.
        region: region of the bucket.
        keys: access keys; None where the machine's role signs.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    keys: Keys | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        endpoint: str = "",
        region: str = "",
        access_key: str = "",
        secret_key: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return the address that settings describe.

        Args:
            url: `s3://bucket/prefix`.
            endpoint: address of the server, `https://…`, or `http://…` within a network that nobody else reads.
            region: region of the bucket.
            access_key: which key signs, with the next one; by default those of AWS in the environment.
            secret_key: the key.
            environ: the environment.

        Raises:
            ValueError: one is not valid; the message names the setting, and holds no secret.
        """
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
            raise ValueError("CQOX_OBJECT_STORE must be an address such as s3://bucket or s3://bucket/prefix")
        if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
            raise ValueError("CQOX_OBJECT_STORE: the prefix consists of letters, digits and the signs _ . - and /")
        server = urlsplit(endpoint)
        if endpoint and (server.scheme not in ("http", "https") or not server.hostname or "@" in server.netloc):
            raise ValueError(
                "CQOX_OBJECT_STORE_ENDPOINT must be an address without a password, such as https://objects.example.com"
            )
        if region and not _REGION.fullmatch(region):
            raise ValueError("CQOX_OBJECT_STORE_REGION must be a region such as eu-central-1")
        if bool(access_key) != bool(secret_key):
            raise ValueError("CQOX_OBJECT_STORE_ACCESS_KEY and CQOX_OBJECT_STORE_SECRET_KEY belong together: set both")
        return cls(
            bucket=parts.netloc,
            prefix=prefix,
            endpoint=endpoint.rstrip("/"),
            region=region or "us-east-1",
            keys=Keys(access_key=access_key, secret_key=secret_key) if access_key else _keys_of(environ),
        )


def _keys_of(environ: Mapping[str, str]) -> Keys | None:
    access_key, secret_key = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not access_key or not secret_key:
        return None
    return Keys(access_key=access_key, secret_key=secret_key, session_token=environ.get("AWS_SESSION_TOKEN", ""))
