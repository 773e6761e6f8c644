"""Map-reduce over rows: blocks of rows → partial statistics → merge.

A partial statistic is a tuple of arrays that add up. Merging is associative and done in row order, so the result does
not depend on the number of threads. A data source outside memory needs another `Rows` and nothing else.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, reduce

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.numerics.array_store import drop_pages

__all__ = ["Partial", "Rows", "merge", "merge_all"]

_ROWS_HELD = 2**20

type Partial = tuple[NDArray[np.float64], ...]
"""Sums over some rows."""


def merge(left: Partial, right: Partial) -> Partial:
    """Return the statistic of both sets of rows together."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def merge_all(parts: Iterable[Partial]) -> Partial:
    """Return the statistic of all parts, merged from the first to the last."""
    return reduce(merge, parts)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return a persistent thread pool, so that a pass does not pay for its start and scratch memory stays warm."""
    return ThreadPoolExecutor(threads, thread_name_prefix="cqox-rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a sample, in blocks that fit into a core's cache.

    Attributes:
        n: number of rows, at least 1.
        block: rows per block, at least 1.
        threads: number of blocks processed at a time.
    """

    n: int
    block: int
    threads: int

    def blocks(self) -> list[slice]:
        """Return the blocks, in row order."""
        return [slice(start, min(start + self.block, self.n)) for start in range(0, self.n, self.block)]

    def each[Result](self, work: Callable[[slice], Result]) -> list[Result]:
        """Return the results of `work` for each block, in row order; `work` must not start a pass itself.

        The calling thread works too; each thread takes the next free block.
        """
        checkpoint()
        blocks = self.blocks()
        if len(blocks) == 1:
            return [work(blocks[0])]
        results: dict[int, Result] = {}
        waiting, every = iter(range(len(blocks))), max(1, _ROWS_HELD // self.block // self.threads)

        def take(*, asking: bool) -> None:
            try:
                for done, number in enumerate(waiting, 1):
                    results[number] = work(blocks[number])
                    if asking and done % every == 0:
                        drop_pages()
            except BaseException:
                deque(waiting, maxlen=0)
                raise

        others = min(self.threads, len(blocks)) - 1
        helping = [_pool(others).submit(take, asking=False) for _ in range(others)]
        try:
            take(asking=True)
        finally:
            started = [helper for helper in helping if not helper.cancel()]
            wait(started)
            drop_pages()
        for helper in started:
            helper.result()
        return [results[number] for number in range(len(blocks))]

    def total(self, work: Callable[[slice], Partial]) -> Partial:
        """Return the statistic of all rows, where `work` returns that of one block."""
        return merge_all(self.each(work))
