from cqox.exports.document import Entries, Folded, Paragraph, Table
from cqox.exports.estimates import estimates
from tests.exports.reports import ENGLISH, JAPANESE, decision, estimate, made


def blocks(*found: dict[str, object], **changes: object):
    return estimates(made(estimates=list(found), **changes), ENGLISH).blocks


def tables(found) -> list[Table]:
    return [block for block in found if isinstance(block, Table)]


def test_the_primary_comes_first_and_the_others_in_their_order():
    primary, others = tables(blocks(estimate("g_computation_ate", 1.5), estimate("aipw"), estimate("ols_adjustment")))
    assert primary.caption == "Primary estimate"
    assert primary.rows == (("Augmented weighting (AIPW)", "ATE", "2.00", "[1.00, 3.00]", "0.500", "–", "100"),)
    assert [row[0] for row in others.rows] == ["G-computation", "Regression adjustment (OLS)"]
    assert [column.heading for column in primary.columns] == [
        "Estimator", "Estimand", "Estimate", "95% interval", "Standard error", "p", "Rows",
    ]  # fmt: skip


def test_small_p_values_are_bounds_and_warnings_are_marked():
    (table,) = tables(blocks(estimate("aipw", p_value=1e-9, status="warning", n=12345)))
    assert table.rows[0][0] == "Augmented weighting (AIPW) (with a warning)"
    assert table.rows[0][-2:] == ("< 0.001", "12,345")
    (table,) = tables(blocks(estimate("aipw", p_value=0.0123)))
    assert table.rows[0][-2] == "0.012"


def test_an_estimate_without_an_interval_has_dashes():
    (table,) = tables(blocks(estimate("aipw", ci_lower=None, ci_upper=None, standard_error=None, n=None)))
    assert table.rows[0][2:] == ("2.00", "–", "–", "–", "–")
    (table,) = tables(blocks(estimate("aipw", ci_upper=None)))
    assert table.rows[0][3] == "[1.00, ∞]"


def test_failures_are_named_with_their_reason_and_what_does_not_apply_is_folded_by_reason():
    skipped = [estimate(name, None, status="skipped", reason="No instrument.") for name in ("iv_2sls", "iv_wald")]
    found = blocks(estimate("aipw"), estimate("psm_ate", None, status="failed", reason="It broke."), *skipped)
    failed = next(block for block in found if isinstance(block, Entries))
    assert (failed.tone, failed.entries[0].name, failed.entries[0].text) == (
        "bad", "Propensity score matching", "It broke.",
    )  # fmt: skip
    folded = next(block for block in found if isinstance(block, Folded))
    assert folded.summary == "Estimators that do not apply (2)"
    assert folded.lines == ("Two-stage least squares, Wald ratio: No instrument.",)


def test_contrasts_have_a_column_and_the_primary_is_that_of_the_decision():
    found = [estimate("aipw", 1.0, contrast="b vs a"), estimate("aipw", 5.0, contrast="c vs a")]
    others = {"b vs a": {"decision": decision()}}
    primary, other = tables(blocks(*found, diagnostics={"contrasts": others}))
    assert primary.rows[0][:2] == ("Augmented weighting (AIPW)", "c vs a")
    assert other.rows[0][1] == "b vs a"


def test_without_any_number_that_is_said():
    found = blocks(estimate("aipw", None, status="failed", reason="No."), decision=decision(primary=None))
    texts = [block.text for block in found if isinstance(block, Paragraph)]
    assert texts == ["By rule.", "No estimator gave a number."]
    section = estimates(made(estimates=[]), JAPANESE)
    assert section.heading == "推定値"


def test_how_the_primary_was_chosen_and_how_many_estimates_there_are_is_said():
    found = blocks(estimate("aipw"), estimate("ols_adjustment"))
    assert [block.text for block in found if isinstance(block, Paragraph)] == ["By rule.", "One."]
