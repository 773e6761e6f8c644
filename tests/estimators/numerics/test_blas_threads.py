"""The threads of the BLAS while estimators run."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Thread

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from cqox.estimators import Data, Plan, Settings, catalog, run
from cqox.estimators.numerics.blas_threads import one_blas_thread

WANTED = 3
"""Threads that the tests give the BLAS: a number that neither the machine nor the code under test would choose."""


def threads() -> set[int]:
    """The number of threads of each BLAS of this process."""
    return {pool["num_threads"] for pool in ThreadpoolController().select(user_api="blas").info()}


@pytest.fixture(autouse=True)
def _several_threads() -> Iterator[None]:
    with ThreadpoolController().limit(limits=WANTED, user_api="blas"):
        yield


def test_one_thread_within_and_as_before_after() -> None:
    with one_blas_thread(), one_blas_thread():
        assert threads() == {1}
    assert threads() == {WANTED}


def test_a_library_that_is_loaded_later_has_one_thread_too() -> None:
    code = """
from threadpoolctl import ThreadpoolController
from cqox.estimators.numerics.blas_threads import one_blas_thread
with one_blas_thread():
    before = len(ThreadpoolController().select(user_api="blas").info())
import scipy.linalg
with ThreadpoolController().limit(limits=3, user_api="blas"), one_blas_thread():
    pools = ThreadpoolController().select(user_api="blas").info()
    print(len(pools) > before, {pool["num_threads"] for pool in pools})
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert run.stdout == "True {1}\n"


def test_as_before_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert threads() == {WANTED}


def test_as_before_after_threads_that_overlap() -> None:
    first, second = Event(), Event()

    def early() -> None:
        with one_blas_thread():
            first.set()
            second.wait(10)

    def late() -> None:
        first.wait(10)
        with one_blas_thread():
            second.set()
            other.join(10)

    other, last = Thread(target=early), Thread(target=late)
    for thread in (other, last):
        thread.start()
    last.join(10)
    assert second.is_set()
    assert not other.is_alive()
    assert not last.is_alive()
    assert threads() == {WANTED}


def test_every_estimator_runs_within() -> None:
    seen = []

    def compute(_: Plan) -> None:
        seen.append(threads())
        raise ArithmeticError

    rng = np.random.default_rng(1)
    y, t = rng.standard_normal(40), np.arange(40) % 2.0
    data = Data(n=40, y=y, treatment=t, treatment_kind="binary", row_key=np.arange(40, dtype=np.uint64))
    entry = replace(next(each for each in catalog() if each.name == "difference_in_means"), compute=compute)
    assert run(entry, Plan(data, Settings())).status == "failed"
    assert seen == [{1}]
    assert threads() == {WANTED}
