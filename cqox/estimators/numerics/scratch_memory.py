"""Memory that a thread writes the temporaries of one block after another to.

Fresh arrays of a megabyte come from the system page by page, which costs more than the arithmetic on them. What is kept
in scratch must not leave the function that asked for it.
"""

import threading

import numpy as np
from numpy.typing import NDArray

__all__ = ["scratch"]

_LARGEST = 4_000_000
_own = threading.local()


def scratch(name: str, *shape: int) -> NDArray[np.float64]:
    """An uninitialised array of this shape; the next call of the same name on the same thread overwrites it."""
    size = int(np.prod(shape))
    if size > _LARGEST:
        return np.empty(shape)
    buffer: NDArray[np.float64] | None = getattr(_own, name, None)
    if buffer is None or len(buffer) < size:
        buffer = np.empty(size)
        setattr(_own, name, buffer)
    return buffer[:size].reshape(shape)
