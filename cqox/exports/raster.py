"""Sizes of rendered PNG figures."""

import struct

__all__ = ["png_size"]


def png_size(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG in pixels, from its header."""
    width, height = struct.unpack_from(">II", picture, 16)
    return width, height
