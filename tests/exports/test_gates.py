from cqox.contract import Gate
from cqox.exports.gates import gates
from tests.exports.reports import ENGLISH, JAPANESE

FOUND = {
    "overlap": Gate(status="pass", value=0.004, threshold=0.1, rule="At most 10%.", reason=None),
    "balance": Gate(status="fail", value=2.5, threshold=0.25, rule="At most 0.25.", reason="It is 2.5."),
    "donor_fit": Gate(status="not_applicable", value=None, threshold=None, rule="Fits.", reason="No donors."),
    "agreement": Gate(status="warn", value=1.2, threshold=1.0, rule="At most 1.", reason="They differ."),
    "arm_rows": Gate(status="pass", value=1234.0, threshold=10.0, rule="At least 10.", reason=None),
    "precision": Gate(status="pass", value=0.12345, threshold=None, rule="Bounded.", reason=None),
}


def test_gates_are_grouped_by_what_to_do_and_those_that_do_not_apply_are_folded():
    stop, look, passed, folded = gates(FOUND, ENGLISH).blocks
    assert [block.heading for block in (stop, look, passed)] == ["Stop", "Look at", "Pass"]
    assert [block.tone for block in (stop, look, passed)] == ["bad", "caution", "good"]
    assert [[entry.name for entry in block.entries] for block in (stop, look, passed)] == [
        ["balance"], ["agreement"], ["overlap", "arm_rows", "precision"],
    ]  # fmt: skip
    assert folded.summary == "Gates that do not apply (1)"
    assert folded.lines == ("donor_fit: No donors.",)


def test_a_gate_says_its_reason_before_its_rule_and_its_value_with_the_limit():
    (stop, _, passed, _) = gates(FOUND, ENGLISH).blocks
    assert (stop.entries[0].text, stop.entries[0].details) == ("It is 2.5.", ("At most 0.25.",))
    assert (passed.entries[0].text, passed.entries[0].details) == ("At most 10%.", ())
    badges = [entry.badge for entry in (*stop.entries, *passed.entries)]
    assert badges == ["2.5 (limit 0.25)", "0.004 (limit 0.1)", "1,234 (limit 10)", "0.123"]


def test_groups_without_a_gate_are_left_out():
    assert [block.heading for block in gates({"overlap": FOUND["overlap"]}, JAPANESE).blocks] == ["合格"]
    assert gates({}, ENGLISH).blocks == ()
