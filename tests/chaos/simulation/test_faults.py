from cqox.chaos.simulation.faults import Fault


def test_a_fault_says_what_breaks_when_and_for_how_long() -> None:
    fault = Fault(number=3, kind="partition", at=5, seconds=2.5, target="a|b", parameters={"side": "out", "share": 0.5})
    assert str(fault) == "fault 3: partition of a|b at 5.0 s for 2.5 s side=out share=0.5"
    assert fault.until == 7.5
    assert str(Fault(number=0, kind="crash", at=1)) == "fault 0: crash at 1.0 s"
