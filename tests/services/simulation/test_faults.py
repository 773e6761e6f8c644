from random import Random

from services.simulation.faults import _BREAKS, CALM_SECONDS, KINDS, draw_faults


def test_every_kind_of_fault_does_something() -> None:
    assert set(KINDS) == set(_BREAKS)


def test_the_faults_of_a_run_end_before_its_calm_and_name_what_is_there() -> None:
    for seed in range(200):
        faults = draw_faults(Random(seed), 6, engines=2, gateways=1, on_servers=seed % 2 == 0)
        assert [fault.number for fault in faults] == list(range(len(faults)))
        assert all(fault.at >= 2 and fault.until <= 360 - CALM_SECONDS for fault in faults)
        assert all("engine-2" not in fault.target and "gateway-1" not in fault.target for fault in faults)
        assert any(fault.target in ("database", "cache") for fault in faults) <= (seed % 2 == 0)


def test_each_kind_is_drawn() -> None:
    drawn = {
        fault.kind
        for seed in range(200)
        for fault in draw_faults(Random(seed), 6, engines=3, gateways=2, on_servers=seed % 2 == 0)
    }
    assert drawn == set(KINDS)


def test_a_seed_draws_the_same_faults() -> None:
    assert draw_faults(Random(7), 6, engines=3, gateways=2, on_servers=True) == draw_faults(
        Random(7), 6, engines=3, gateways=2, on_servers=True
    )
