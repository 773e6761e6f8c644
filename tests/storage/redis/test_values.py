"""Serialisation of a report as one cache value."""

from dataclasses import replace
from hashlib import blake2b

import pytest
import zstandard

from cqox.storage.redis.values import DamagedValue, decode, encode
from tests.storage.records import a_report

ONE = a_report(1)
MOST = 10_000


def value_of(content: bytes) -> bytes:
    packed = zstandard.ZstdCompressor().compress(content)
    return b"CQOX\x01" + blake2b(packed, digest_size=16).digest() + packed


@pytest.mark.parametrize(
    "report",
    [ONE, replace(ONE, verdict=None, primary=None, estimate=None), replace(ONE, report=b"", figures=b"\x00\xff" * 100)],
)
def test_a_report_is_read_back_as_it_was(report) -> None:
    assert decode(encode(report), report.analysis_id, max_bytes=MOST) == report


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    value = encode(ONE)
    for at in range(len(value)):
        with pytest.raises(DamagedValue):
            decode(value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :], ONE.analysis_id, max_bytes=MOST)
        with pytest.raises(DamagedValue):
            decode(value[:at], ONE.analysis_id, max_bytes=MOST)


def test_another_report_and_one_beyond_the_bound_are_refused() -> None:
    with pytest.raises(DamagedValue, match=ONE.analysis_id):
        decode(encode(ONE), a_report(2).analysis_id, max_bytes=MOST)
    large = encode(replace(ONE, report=b"x" * MOST))
    assert len(large) < MOST
    with pytest.raises(DamagedValue, match="size"):
        decode(large, ONE.analysis_id, max_bytes=MOST)


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", b"\0\0\0\x02[]", b"\0\0\0\x02{}", b"\0\0\0\x01{", b'\0\0\0\x13{"lengths":[0,0,0]}', b"\xff" * 8],
)
def test_content_that_is_no_report_is_refused_though_its_digest_matches(content: bytes) -> None:
    with pytest.raises(DamagedValue):
        decode(value_of(content), ONE.analysis_id, max_bytes=MOST)
