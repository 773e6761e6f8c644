from cqox.exports.contrasts import contrasts
from tests.exports.reports import ENGLISH, decision, made


def test_every_other_contrast_has_its_verdict_and_headline():
    found = {"b vs a": {"decision": decision(verdict="HOLD", headline="Nothing.")}, "broken": {"decision": None}}
    (entries,) = contrasts(made(diagnostics={"contrasts": found}), ENGLISH).blocks
    (entry,) = entries.entries
    assert (entry.name, entry.badge, entry.tone, entry.text) == ("b vs a", "HOLD", "bad", "Nothing.")
    assert entry.details == ("Because.",)


def test_a_single_comparison_has_no_section():
    assert contrasts(made(), ENGLISH).blocks == ()
