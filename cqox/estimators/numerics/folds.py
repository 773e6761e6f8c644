"""Cross-fitting folds from a hash of a row's content, not from its position."""

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold_codes", "keyed"]


def fold_codes(row_key: NDArray[np.uint64], *, seed: int, split: int, folds: int) -> NDArray[np.uint8]:
    """Return (n,) a fold in [0, folds) for each key: a keyed hash of seed, split and key, equal on every machine."""
    mixed = keyed(row_key, f"folds {seed} {split}")
    return ((mixed >> np.uint64(32)) * np.uint64(folds) >> np.uint64(32)).astype(np.uint8)


def keyed(row_key: NDArray[np.uint64], purpose: str) -> NDArray[np.uint64]:
    """Return (n,) pseudo-random bits for each key, different for each purpose, equal on every machine.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014), applied twice, with a key derived by BLAKE2b.
    """
    words = hashlib.blake2b(f"cqox {purpose}".encode(), digest_size=16).digest()
    first, second = (np.uint64(int.from_bytes(part, "little")) for part in (words[:8], words[8:]))
    return _mix(_mix(row_key ^ first) ^ second)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
