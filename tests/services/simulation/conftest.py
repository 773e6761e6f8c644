from pathlib import Path

import pytest

from services.simulation.recordings import Recordings
from services.simulation.system import CqoxSystem

FOLDER = Path(__file__).parents[3] / "build" / "simulation"


@pytest.fixture(scope="session")
def system() -> CqoxSystem:
    """The system, whose workers' answers are recorded."""
    made = CqoxSystem()
    made.prepare(FOLDER)
    return made


@pytest.fixture(scope="session")
def recordings(system: CqoxSystem) -> Recordings:
    """Answers of the workers."""
    assert system.recordings is not None
    return system.recordings
