from random import Random

import pytest

from cqox.chaos.simulation.disk.content import BLOCK_BYTES, surviving_content

OLD, NEW = b"o" * (3 * BLOCK_BYTES + 5), b"n" * (5 * BLOCK_BYTES + 7)


def outcomes(synced: bytes, written: bytes, *, least: int | None = None) -> set[bytes]:
    draw = Random(1)
    return {surviving_content(synced, written, draw, least=least) for _ in range(2000)}


def test_content_that_was_synced_survives_without_a_draw() -> None:
    draw = Random(1)
    state = draw.getstate()
    assert surviving_content(NEW, NEW, draw) == NEW
    assert draw.getstate() == state


@pytest.mark.parametrize(("synced", "written"), [(OLD, NEW), (NEW, OLD), (b"", NEW), (OLD, b"")])
def test_old_new_short_zeroed_and_mixed_content_occur_and_blocks_are_whole(synced: bytes, written: bytes) -> None:
    found = outcomes(synced, written)
    assert {synced, written} <= found
    for content in found:
        assert len(content) in {len(synced), len(written)} or len(content) % BLOCK_BYTES == 0
        for start in range(0, len(content), BLOCK_BYTES):
            block = content[start : start + BLOCK_BYTES]
            of_files = [each[start : start + BLOCK_BYTES].ljust(len(block), b"\0") for each in (synced, written)]
            assert any(block == each[: len(block)] for each in of_files) or not any(block)
    if synced and written:
        assert any(b"o" in content and b"n" in content for content in found)
    if written:
        assert len(synced) >= len(written) or any(len(content) % BLOCK_BYTES == 0 for content in found)
        assert bytes(len(written)) in found or synced


def test_a_block_that_is_overwritten_in_place_is_old_or_new_and_one_that_was_cut_off_before_may_be_empty() -> None:
    assert outcomes(b"0003\n", b"0006\n") == {b"0003\n", b"0006\n"}
    assert outcomes(b"0003\n", b"0006\n", least=0) == {b"0003\n", b"0006\n", b""}


def test_a_file_that_grows_keeps_its_size() -> None:
    assert min(len(content) for content in outcomes(OLD, NEW)) == len(OLD)
    assert min(len(content) for content in outcomes(OLD, NEW, least=0)) == 0
