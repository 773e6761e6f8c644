"""The seam of every row pass: blocks of rows → partial statistics → merge.

A partial statistic is a tuple of arrays that add up. Merging is associative and done in the order of the rows, so the
result does not depend on how many threads worked. A source that is not in memory needs another `Rows`, nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, reduce

import numpy as np
from numpy.typing import NDArray

from cqox.estimators._room import let_go

__all__ = ["Partial", "Rows", "merge", "merge_all"]

_ROWS_HELD = 2**20

type Partial = tuple[NDArray[np.float64], ...]
"""Sums over some rows."""


def merge(left: Partial, right: Partial) -> Partial:
    """The statistic of both sets of rows together."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def merge_all(parts: Iterable[Partial]) -> Partial:
    """The statistic of all parts, merged from the first to the last."""
    return reduce(merge, parts)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay, so that a pass does not pay for them and their scratch memory is warm."""
    return ThreadPoolExecutor(threads, thread_name_prefix="cqox-rows")


def _watched[Result](results: Iterable[Result], block: int) -> Iterator[Result]:
    """The results as they come, letting go now and then, and at the end, of what a pass over files has mapped."""
    every = max(1, _ROWS_HELD // block)
    for number, result in enumerate(results, 1):
        if number % every == 0:
            let_go()
        yield result
    let_go()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a sample, cut into blocks that stay in a core's cache.

    Attributes:
        n: how many rows, at least 1.
        block: rows in a block, at least 1.
        threads: how many blocks are worked on at a time.
    """

    n: int
    block: int
    threads: int

    def blocks(self) -> list[slice]:
        """The blocks, in the order of the rows."""
        return [slice(start, min(start + self.block, self.n)) for start in range(0, self.n, self.block)]

    def each[Result](self, work: Callable[[slice], Result]) -> list[Result]:
        """What `work` returns for each block, in the order of the rows; `work` itself must start no pass."""
        blocks = self.blocks()
        if self.threads < 2 or len(blocks) < 2:
            return list(_watched(map(work, blocks), self.block))
        return list(_watched(_pool(self.threads).map(work, blocks), self.block))

    def total(self, work: Callable[[slice], Partial]) -> Partial:
        """The statistic of all rows, where `work` returns that of one block."""
        return merge_all(self.each(work))
