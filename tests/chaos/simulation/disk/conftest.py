"""A program on a simulated disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cqox.fault_points import hooked
from tests.chaos.simulation.disk.programs import Program


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    with program.disk, hooked(program.disk.at_fault_point):
        yield program
