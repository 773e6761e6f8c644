from cqox.contract import Identification
from cqox.exports.ledger import ledger
from tests.exports.reports import ENGLISH, JAPANESE


def identification(**assumption: object) -> Identification:
    found = {"name": "exclusion", "statement": "Only so.", "status": "untested", "caps": True, **assumption}
    return Identification.model_validate({"design": "instrument", "statement": "It is so.", "assumptions": [found]})


def entry(**assumption: object):
    statement, entries = ledger(identification(**assumption), ENGLISH).blocks
    assert statement.text == "It is so."
    return entries.entries[0]


def test_an_entry_says_what_must_be_true_what_backs_it_and_what_to_do():
    found = entry(evidence=["p = 0.4."], remedy="Declare it.")
    assert (found.name, found.text, found.badge, found.tone) == ("exclusion", "Only so.", "untested", "caution")
    assert found.details == ("p = 0.4.",)
    assert found.action == "What to do: Declare it."


def test_what_is_settled_asks_for_nothing_and_what_holds_no_verdict_back_is_no_worry():
    assert entry(status="supported", remedy="Declare it.").action is None
    assert entry(status="supported").tone == "good"
    assert entry(status="contradicted", remedy="Find out.").tone == "bad"
    assert entry(status="contradicted", remedy="Find out.").action == "What to do: Find out."
    assert entry(caps=False).tone == "plain"
    assert entry().action is None


def test_a_report_without_a_ledger_has_no_section():
    assert ledger(None, JAPANESE).blocks == ()
