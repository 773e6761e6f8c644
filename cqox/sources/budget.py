"""The most bytes that a source may give."""

from collections.abc import Iterable
from typing import IO

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded
from cqox.sources.address import shown

__all__ = ["Budget"]


class Budget:
    """Bytes that may still be fetched.

    Args:
        address: of the source, for the message.
        most: bytes in all.
    """

    def __init__(self, address: str, most: int) -> None:
        self._address = address
        self._most = self._left = most

    def take(self, size: int) -> None:
        """Count bytes.

        Raises:
            LimitExceeded: there are more than the most.
        """
        self._left -= size
        if self._left < 0:
            raise LimitExceeded(Message("sources.too-large", address=shown(self._address), most=self._most))

    def copy(self, blocks: "Iterable[bytes | bytearray | memoryview]", file: IO[bytes]) -> None:
        """Write blocks to a file and count their bytes."""
        for block in blocks:
            self.take(len(block))
            file.write(block)
