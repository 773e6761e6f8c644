"""The gateway reuses the memory of bodies instead of getting each page from the kernel again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from services.gateway.heap import keep_freed_memory
if {keeps}:
    keep_freed_memory()
def exchange():
    bodies = [bytes(200_000) for _ in range(10)]
for _ in range(5):
    exchange()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    exchange()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*, keeps: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(keeps=keeps)], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator has other settings")
def test_bodies_after_the_first_ones_need_no_new_pages() -> None:
    assert page_faults(keeps=False) > 1000
    assert page_faults(keeps=True) < 50


def test_a_gateway_with_a_process_of_its_own_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.gateway import __main__, heap

    called: list[bool] = []
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: called.append(True))
    assert callable(__main__._load())
    assert called == [True]
