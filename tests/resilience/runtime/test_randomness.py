"""The shared generator: forked processes do not draw the same jitter."""

import os

import pytest

from cqox.resilience import Retry
from cqox.resilience.runtime.randomness import shared_rng


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_processes_draw_jitter_of_their_own() -> None:
    state = shared_rng.getstate()
    drawn = {_drawn_by_a_child() for _ in range(4)}
    assert shared_rng.getstate() == state, "a child has changed the generator of its parent"
    assert len(drawn) == 4
    assert repr(Retry().rng.random()) not in drawn


def _drawn_by_a_child() -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, repr(Retry().rng.random()).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as drawn:
        return drawn.read()
