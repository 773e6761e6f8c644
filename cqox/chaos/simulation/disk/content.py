"""Content of a file after a power loss: what was synced, what was written since, or a mixture of both by blocks."""

from random import Random

__all__ = ["BLOCK_BYTES", "surviving_content"]

BLOCK_BYTES = 512
"""A disk writes a block of this size whole or not at all: one sector."""


def surviving_content(synced: bytes, written: bytes, draw: Random, *, least: int | None = None) -> bytes:
    """Return the content of a file after a power loss.

    It is drawn which of these the disk was left with: the synced content, the written content, the written content
    cut off at the end of a block, the written size with zeros where it is longer than before, or each block of one of
    both.

    Args:
        synced: content at its last sync; empty if there was none.
        written: content at the power loss.
        draw: source of randomness; not used where both are equal.
        least: the smallest size that the file had since its last sync; that of the shorter content if None.
    """
    if synced == written:
        return written
    blocks = -(-len(written) // BLOCK_BYTES)
    smallest = min(len(synced), len(written)) if least is None else least
    match draw.randrange(5):
        case 0:
            return synced
        case 1:
            return written
        case 2:
            return written[: max(draw.randrange(max(blocks, 1)) * BLOCK_BYTES, smallest)]
        case 3:
            return synced[: len(written)].ljust(len(written), b"\0")
        case _:
            return _mixed(synced, written, draw)


def _mixed(synced: bytes, written: bytes, draw: Random) -> bytes:
    size = draw.choice((len(synced), len(written)))
    parts = list[bytes]()
    for start in range(0, size, BLOCK_BYTES):
        part = draw.choice((synced, written))[start : min(start + BLOCK_BYTES, size)]
        parts.append(part.ljust(min(BLOCK_BYTES, size - start), b"\0"))
    return b"".join(parts)
