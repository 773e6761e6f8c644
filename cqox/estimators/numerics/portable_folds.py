"""Cross-fitting folds, version 2: a keyed hash in integer arithmetic that numpy and every SQL engine compute alike.

The key is reduced by two primes below 2^31 and combined linearly into w < p = 2^31 - 1; the fold is the value at w of a
polynomial of degree 5 over the integers modulo p, reduced by the number of folds (Wegman and Carter 1981,
doi:10.1016/0022-0000(81)90033-7). The eight coefficients come from seed and split by BLAKE2b. Over the seeds, the folds
of any six different w are therefore independent and uniform up to about 1e-7, and two keys have one w with probability
2^-31. Degree 5 is the most that a digest of 64 bytes gives; degrees up to 3 fail the tests of neighbouring keys. No
intermediate result is negative or reaches 2^62, so that it is the same whether `%` truncates or floors, in signed and
unsigned integers of 64 bits.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KEY_BITS",
    "MISSING_KEY",
    "fold_sql",
    "hash_keys",
    "portable_folds",
    "text_key",
    "whole_number_key_sql",
    "whole_number_keys",
]

KEY_BITS = 62
"""Keys made here are below 2 to this power."""

MISSING_KEY = 2**KEY_BITS - 2
"""The key of a missing value: the smallest that no whole number and no text has."""

_P, _Q = 2**31 - 1, 2**31 - 19
"""The two largest primes below 2^31: their residues differ for keys below their product, nearly 2^62."""
_HALF = 2**61 - 1
_BLOCK = 16_384


def portable_folds(keys: NDArray[np.int64], *, seed: int, split: int, folds: int) -> NDArray[np.uint8]:
    """Return (n,) a fold in [0, folds) for each key; `fold_sql` is the same function as SQL.

    Args:
        keys: (n,) nonnegative numbers; equal keys share a fold.
        seed: from 0.
        split: which repetition of cross-fitting, from 0.
        folds: from 1 to 255.

    Raises:
        ValueError: a key is negative.
    """
    if len(keys) and keys.min() < 0:
        raise ValueError("keys of folds are not negative")
    by_p, by_q, *polynomial = (np.uint64(each) for each in _coefficients(seed, split))
    p, q, count = np.uint64(_P), np.uint64(_Q), np.uint64(folds)
    found, other = np.empty(len(keys), dtype=np.uint8), np.empty(min(len(keys), _BLOCK), dtype=np.uint64)
    for start in range(0, len(keys), _BLOCK):
        key = keys[start : start + _BLOCK].astype(np.uint64)
        spare = other[: len(key)]
        residue = key - np.multiply(np.floor_divide(key, q, out=spare), q, out=spare)
        residue *= by_q
        residue += np.multiply(by_p, _nearly_modulo_p(key, spare), out=key)
        w = _nearly_modulo_p(residue, spare)
        value = polynomial[0] * w
        for coefficient in polynomial[1:-1]:
            value += coefficient
            value = np.multiply(_nearly_modulo_p(value, spare), w, out=value)
        value += polynomial[-1]
        value = _nearly_modulo_p(value, spare)
        value -= np.multiply(value >= p, p, out=spare)
        value -= np.multiply(np.floor_divide(value, count, out=spare), count, out=spare)
        found[start : start + _BLOCK] = value
    return found


def _nearly_modulo_p(values: NDArray[np.uint64], spare: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return, in place, numbers below p + 8 that are equal to the given ones modulo p.

    As 2^31 is 1 modulo p, the bits from 2^31 on may be added to those below it, which is faster than a division.
    """
    for _ in range(2):
        np.right_shift(values, np.uint64(31), out=spare)
        values &= np.uint64(_P)
        values += spare
    return values


def fold_sql(key: str, seed: int, split: int, folds: int) -> str:
    """Return the SQL expression of `portable_folds`, with no operator but `+`, `*` and `%` and no literal from 2^31 on.

    Args:
        key: SQL expression of a nonnegative BIGINT; it is repeated, so it should be a column.
        seed: as in `portable_folds`, as are the others.
        split: see there.
        folds: see there.
    """
    by_p, by_q, *polynomial = _coefficients(seed, split)
    first, second = (f"{factor}*({key}%{prime})" for factor, prime in ((by_p, _P), (by_q, _Q)))
    w = f"((({first})%{_P}+{second})%{_P})"
    value = f"{polynomial[0]}*{w}"
    for coefficient in polynomial[1:-1]:
        value = f"(({value}+{coefficient})%{_P})*{w}"
    return f"((({value}+{polynomial[-1]})%{_P})%{folds})"


def _coefficients(seed: int, split: int) -> list[int]:
    """Return two factors of the residues, then the polynomial from its highest power; the first three are not 0."""
    digest = hashlib.blake2b(" ".join(("cqox folds 2", str(seed), str(split))).encode()).digest()
    words = [int.from_bytes(digest[start : start + 8], "little") for start in range(0, 64, 8)]
    return [word % (_P - 1) + 1 for word in words[:3]] + [word % _P for word in words[3:]]


def whole_number_keys(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) a key for each whole number of 64 bits, so that negative numbers have keys too.

    Twice the number, reduced by 2^61 - 1 first; for a negative number x, twice -(x + 1) and one more.
    """
    negative = values < 0
    return np.where(negative, ~values, values) % _HALF * 2 + negative


def whole_number_key_sql(number: str) -> str:
    """Return the SQL expression of `whole_number_keys`.

    Args:
        number: SQL expression of a BIGINT that is not null.
    """
    below, other = (f"({each}%{_HALF})*2" for each in (f"(-1-{number})", number))
    return " ".join(("(case when", number, "<0 then", below, "+1 else", other, "end)"))


def text_key(text: str) -> int:
    """Return the first 15 hexadecimal digits of the MD5 of the text in UTF-8, as a number: every engine has it."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def hash_keys(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return (n,) the lower 62 bits of each hash, as keys."""
    return (hashes & np.uint64(2**KEY_BITS - 1)).astype(np.int64)
