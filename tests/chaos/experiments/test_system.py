"""The health of a process."""

from cqox.chaos.experiments.system import Health


def test_a_process_is_well_where_it_is_ready_and_lacks_nothing() -> None:
    assert Health(name="engine-1", status=200).is_well
    assert not Health(name="engine-1", status=200, degraded={"disk": "it is full"}).is_well
    assert not Health(name="engine-1", status=503).is_well
    assert not Health(name="engine-1", status=0).is_well
