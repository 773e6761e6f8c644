"""Objects whose state belongs to one process: they are never copied or pickled."""

from typing import NoReturn, Self

__all__ = ["ProcessBound", "refuse_pickling"]

_SHARED_CIRCUIT = "cqox.resilience.adapters.redis_circuit"


class ProcessBound:
    """An object whose copy is the object itself, and which cannot be pickled.

    A copy would count apart from the object that it was made of, and guard nothing.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        refuse_pickling(repr(self))


def refuse_pickling(owner: str) -> NoReturn:
    """Say what to do instead of sending an object to another process.

    Args:
        owner: the object, for the message.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        f"{owner} cannot be pickled, as its state belongs to this process: make it in each process, such as at the top "
        f"of the module that uses it; circuits of several processes are shared by {_SHARED_CIRCUIT}"
    )
