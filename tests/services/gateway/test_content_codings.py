import gzip
import json
import os

import pytest
import zstandard

from services.gateway.content_codings import Coding, compressed, is_compressible, preferred_coding


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP;q=1.0,\tzstd ; Q=0.5", "gzip"),
        ("zstd;q=0.001", "zstd"),
        ("zstd;q=0, gzip;q=0.000", None),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("*;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, br", None),
        ("br, deflate", None),
        # What is malformed counts as absent, and the first of two counts.
        ("gzip;q=high, zstd;q=2", None),
        ("gzip;q=1.9", "gzip"),
        ("gzip;level=9", None),
        ("gzip;q=0, gzip", None),
        (", ,gzip,,", "gzip"),
        ("gzip," * 300, None),
    ],
)
def test_the_coding_is_the_one_that_the_client_weighs_most(field: str, coding: Coding | None) -> None:
    assert preferred_coding(field) == coding


@pytest.mark.parametrize(
    ("media", "size_bytes", "worth"),
    [
        ("application/json", 1024, True),
        ("application/json", 1023, False),
        ("application/json", 2**24 + 1, False),
        ("image/svg+xml", 5000, True),
        ("text/csv", 5000, True),
        ("image/png", 5000, False),
        ("application/pdf", 5000, False),
        ("", 5000, False),
    ],
)
def test_only_a_body_that_shrinks_is_compressed(media: str, size_bytes: int, worth: bool) -> None:
    assert is_compressible(media, size_bytes) is worth


@pytest.mark.trio
@pytest.mark.parametrize("size", [10, 2000])
async def test_a_compressed_body_is_smaller_and_expands_to_what_it_was(size: int) -> None:
    body = json.dumps([{"name": "aipw", "estimate": number / 7} for number in range(size)]).encode()
    for coding, expand in (("gzip", gzip.decompress), ("zstd", zstandard.ZstdDecompressor().decompress)):
        packed = await compressed(body, coding)
        assert expand(packed) == body
        assert len(packed) < len(body) / 2
        assert await compressed(body, coding) == packed


@pytest.mark.trio
async def test_what_cannot_be_compressed_stays_whole() -> None:
    body = os.urandom(100_000)
    assert gzip.decompress(await compressed(body, "gzip")) == body
