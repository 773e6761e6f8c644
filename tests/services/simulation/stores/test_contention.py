"""The promises of stores to several engines hold under every fault, and a seed determines a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.simulation.stores.contention import contend

ROOT = Path(__file__).parents[4]
SCRIPT = "from tests.services.simulation.stores.contention import contend; print(contend(3, minutes=0.5).log.digest)"


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_holds_whatever_breaks(seed: int) -> None:
    world = contend(seed)
    assert world.violations == []
    *_, end = world.log.last()
    assert "end" in end


def test_a_seed_gives_the_same_run_in_another_process() -> None:
    digests = set[str]()
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    mine = contend(3, minutes=0.5).log.digest
    assert mine == digests.pop().strip()
    assert contend(4, minutes=0.5).log.digest != mine
