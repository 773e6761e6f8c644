"""All assignments of a small network, to compare probabilities with."""

from dataclasses import replace
from itertools import product

import numpy as np

from cqox.estimators import Data
from tests.estimators.designs import connected


def small(seed: int = 1) -> Data:
    """Nine rows, one without neighbours, with chances of their own."""
    rng = np.random.default_rng(seed)
    data = connected(9, seed)
    edges = np.asarray([[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 4], [4, 3], [5, 3], [5, 4], [6, 7], [7, 0], [3, 0]])
    return replace(data, edges=edges, pscore=rng.uniform(0.2, 0.8, 9))


def classes_of(data: Data, z: np.ndarray, threshold: float | None = None) -> np.ndarray:
    h = np.zeros(data.n, dtype=int)
    for row in range(data.n):
        near = [z[b] for a, b in data.edges if a == row]
        if near:
            h[row] = np.mean(near) >= threshold if threshold else max(near)
    return 2 * z.astype(int) + h


def enumerated(data: Data, threshold: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the classes, and of the classes of two rows, over all assignments."""
    chances, joint = np.zeros((4, data.n)), np.zeros((4, 4, data.n, data.n))
    rows = np.arange(data.n)
    for assignment in product((0.0, 1.0), repeat=data.n):
        z = np.asarray(assignment)
        p = np.prod(np.where(z > 0, data.pscore, 1 - data.pscore))
        found = classes_of(data, z, threshold)
        chances[found, rows] += p
        for i in rows:
            joint[found[i], found, i, rows] += p
    return chances, joint
