import subprocess
import sys
from pathlib import Path

import pytest

from cqox.chaos.simulation import runner
from cqox.chaos.simulation.mutants import Mutant, apply_mutant, read_mutants, survivors

FORGETS_NOTHING = """
[forgets-nothing]
module = "tests.chaos.simulation.toy"
old = "world.seed % 10 == 3"
new = "world.seed == -1"
seeds = "3"
why = "the invariant would not be checked"

[always-forgets]
module = "tests.chaos.simulation.toy"
old = "world.seed % 10 == 3"
new = "True"
seeds = "4"

[forgets-elsewhere]
module = "tests.chaos.simulation.toy"
old = "world.seed % 10 == 3"
new = "world.seed == 77"
seeds = "4"
why = "its seed has another course now"
"""


@pytest.fixture
def mutants(tmp_path: Path) -> Path:
    path = tmp_path / "mutants.toml"
    path.write_text(FORGETS_NOTHING)
    return path


def test_a_mutant_must_fit_exactly_once(tmp_path: Path, mutants: Path) -> None:
    assert [*read_mutants(mutants)] == ["forgets-nothing", "always-forgets", "forgets-elsewhere"]
    for old, count in (("world.seed % 10 == 4", 0), ("world", "[0-9]+")):
        mutants.write_text(FORGETS_NOTHING.replace("world.seed % 10 == 3", old))
        with pytest.raises(ValueError, match=f"forgets-nothing fits {count} places of tests.chaos"):
            read_mutants(mutants)
    mutants.write_text(FORGETS_NOTHING.replace("tests.chaos.simulation.toy", "tests.chaos.simulation.gone"))
    with pytest.raises(ValueError, match="gone, which does not exist"):
        read_mutants(mutants)
    mutants.write_text("[one]\nmodule = 3\n")
    with pytest.raises(ValueError, match="has no mutants"):
        read_mutants(mutants)


def test_a_mutant_of_a_module_that_is_loaded_is_refused() -> None:
    mutant = Mutant(name="late", module=runner.__name__, old="a", new="b", seeds="1")
    with pytest.raises(ValueError, match="is loaded already"):
        apply_mutant(mutant)


def test_a_mutant_changes_what_is_imported_after_it(mutants: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from cqox.chaos.simulation.mutants import *\n"
        "apply_mutant(read_mutants(Path(sys.argv[1]))['always-forgets'])\n"
        "import inspect; from tests.chaos.simulation.runs import violated\n"
        "print(violated(4))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(mutants)], capture_output=True, text=True, check=False)
    assert ended.stdout == "True\n", ended.stderr


def test_those_that_nothing_catches_are_returned(tmp_path: Path, mutants: Path) -> None:
    said = list[str]()
    found = survivors(
        list(read_mutants(mutants).values()),
        mutants,
        jobs=2,
        system="tests.chaos.simulation.toy:broken",
        folder=tmp_path,
        say=said.append,
    )
    assert [mutant.name for mutant in found] == ["forgets-nothing"]
    assert sorted(said) == [
        "SURVIVED forgets-nothing: nothing was violated",
        "caught   always-forgets: seed 4 violated: 240.000 s: it forgot",
        "caught   forgets-elsewhere: not by its seeds 4, but by seed 77 violated: 240.000 s: it forgot",
    ]
