"""Atomic counter: increments without a lock."""

import sys
import threading

from cqox.resilience.runtime.atomic_counter import AtomicCounter


def test_looking_changes_nothing() -> None:
    tally = AtomicCounter()
    assert [tally.value(), tally.value()] == [0, 0]
    for _ in range(3):
        tally.add()
    assert [tally.value(), tally.value()] == [3, 3]


def test_threads_lose_nothing() -> None:
    tally, interval = AtomicCounter(), sys.getswitchinterval()

    def work() -> None:
        for _ in range(20_000):
            tally.add()

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert tally.value() == 80_000
