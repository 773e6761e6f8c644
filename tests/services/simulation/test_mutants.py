"""The planted defects: each still fits its module, and the simulation catches them.

All of them run in `make simulate-mutants`.
"""

from collections import Counter
from pathlib import Path

import pytest

from cqox.chaos.simulation.mutants import Mutant, read_mutants, survivors

ROOT = Path(__file__).parents[3]
FILE = ROOT / "services/simulation/mutants.toml"
SYSTEM = "services.simulation.system:system"
MUTANTS = read_mutants(FILE)


def test_there_are_at_least_24_and_no_two_are_the_same() -> None:
    assert len(MUTANTS) >= 24
    changes = Counter((each.module, each.old, each.new) for each in MUTANTS.values())
    assert changes.most_common(1)[0][1] == 1


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_a_defect_is_a_program_and_says_what_a_user_would_suffer(mutant: Mutant) -> None:
    # `read_mutants` has checked that it fits once.
    source = (ROOT / (mutant.module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    compile(mutant.replaced(source), mutant.module, "exec")
    assert mutant.why.endswith(".")
    assert mutant.minutes >= 3


def test_planted_defects_are_caught(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = list[str]()
    chosen = [MUTANTS[name] for name in ("outage-is-501",)]
    folder = tmp_path_factory.getbasetemp() / "simulation"
    left = survivors(chosen, FILE, jobs=1, system=SYSTEM, folder=folder, say=said.append)
    assert not left, said
    # By what a client sees, and not by an end of the run.
    assert "which the contract does not name" in said[0]
