"""Per-thread buffers for the temporaries of successive blocks.

The system provides fresh arrays of a megabyte page by page, which costs more than the arithmetic on them. A scratch
array must not leave the function that requested it.
"""

import threading

import numpy as np
from numpy.typing import NDArray

__all__ = ["scratch"]

_LARGEST = 4_000_000
_own = threading.local()


def scratch(name: str, *shape: int) -> NDArray[np.float64]:
    """Return an uninitialised array of this shape; the next call with the same name and thread overwrites it."""
    size = int(np.prod(shape))
    if size > _LARGEST:
        return np.empty(shape)
    buffer: NDArray[np.float64] | None = getattr(_own, name, None)
    if buffer is None or len(buffer) < size:
        buffer = np.empty(size)
        setattr(_own, name, buffer)
    return buffer[:size].reshape(shape)
