import hashlib

import numpy as np
import pytest

from cqox.estimators.numerics.folds import fold_codes, keyed

KEYS = np.array([0, 1, 2, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15], dtype=np.uint64)
MODULUS = 2**64


def mixed(value: int) -> int:
    """The finaliser of SplitMix64 in integers of any size."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % MODULUS
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % MODULUS
    return value ^ (value >> 31)


def bits(key: int, purpose: str) -> int:
    words = hashlib.blake2b(f"cqox {purpose}".encode(), digest_size=16).digest()
    return mixed(mixed(key ^ int.from_bytes(words[:8], "little")) ^ int.from_bytes(words[8:], "little"))


def test_bits_equal_a_calculation_with_integers_of_any_size() -> None:
    for purpose in ("places", "folds 0 0", ""):
        assert keyed(KEYS, purpose).tolist() == [bits(int(key), purpose) for key in KEYS]


@pytest.mark.parametrize("folds", [2, 3, 5, 10, 255])
def test_a_fold_is_the_upper_half_of_the_bits_scaled_to_the_number_of_folds(folds: int) -> None:
    codes = fold_codes(KEYS, seed=3, split=1, folds=folds)
    assert codes.dtype == np.uint8
    assert codes.tolist() == [(bits(int(key), "folds 3 1") >> 32) * folds >> 32 for key in KEYS]


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_have_nearly_equal_sizes_and_none_is_beyond_the_last(folds: int) -> None:
    codes = fold_codes(np.arange(20_000, dtype=np.uint64), seed=0, split=0, folds=folds)
    counts = np.bincount(codes, minlength=folds)
    assert len(counts) == folds
    assert np.abs(counts - 20_000 / folds).max() < 5 * np.sqrt(20_000 / folds)


def test_folds_depend_on_seed_split_and_key_and_not_on_position() -> None:
    keys = np.arange(1_000, dtype=np.uint64)
    first = fold_codes(keys, seed=0, split=0, folds=5)
    assert fold_codes(keys[::-1].copy(), seed=0, split=0, folds=5)[::-1].tolist() == first.tolist()
    for seed, split in ((1, 0), (0, 1), (10, 0)):
        same = (fold_codes(keys, seed=seed, split=split, folds=5) == first).mean()
        assert 0.1 < same < 0.3
