"""Settings of an object store, in which engines without a common file system keep their files."""

from dataclasses import dataclass, field
from typing import Annotated

from services.config.about import About
from services.config.vault_settings import VaultSettings

__all__ = ["ObjectSettings"]

_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSettings(VaultSettings):
    """The part of the settings that is about an object store."""

    object_store: Annotated[
        str,
        About(
            "CQOX_OBJECT_STORE",
            "Object store for data sets, originals, uploads in pieces and figures, such as s3://bucket/prefix, so that "
            "engines need no common directory; it needs POSTGRES_URL.",
            services=("engine", "up"),
            shown="the data directory",
        ),
    ] = ""
    object_store_endpoint: Annotated[
        str,
        About(
            "CQOX_OBJECT_STORE_ENDPOINT",
            "Address of a server that speaks the S3 protocol, such as https://objects.example.com.",
            services=("engine", "up"),
            shown="that of AWS in the region",
        ),
    ] = ""
    object_store_region: Annotated[
        str,
        About("CQOX_OBJECT_STORE_REGION", "Region of the bucket.", services=("engine", "up")),
    ] = "us-east-1"
    object_store_access_key: Annotated[
        str,
        About(
            "CQOX_OBJECT_STORE_ACCESS_KEY",
            "Access key of the object store.",
            services=("engine", "up"),
            shown="AWS_ACCESS_KEY_ID, or the role of the machine",
            secret="token",
        ),
    ] = field(default="", repr=False)
    object_store_secret_key: Annotated[
        str,
        About(
            "CQOX_OBJECT_STORE_SECRET_KEY",
            "Secret key of that access key.",
            services=("engine", "up"),
            shown="AWS_SECRET_ACCESS_KEY, or the role of the machine",
            secret="token",
        ),
    ] = field(default="", repr=False)
    object_copies_bytes: Annotated[
        int,
        About(
            "CQOX_OBJECT_COPIES_BYTES",
            "Space in the data directory for copies of data sets from the object store; the least recently used are "
            "removed first, also where the disk needs the space.",
            unit="bytes",
            minimum=0,
            services=("engine", "up"),
        ),
    ] = 10 * _GIB
