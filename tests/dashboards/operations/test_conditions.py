"""Conditions that rows share are those of the alert rules."""

from cqox.dashboards.operations.conditions import counted, failed, ranks, runbook
from cqox.dashboards.promql import expression
from cqox.telemetry import metric_definitions


def test_the_service_level_leaves_out_probes_and_mistakes_of_clients() -> None:
    whole, part = (expression(each("job"), window="5m", where=()) for each in (counted, failed))
    for text in (whole, part):
        assert 'http_response_status_code!~"4.."' in text
        assert 'error_type!="ClientDeadline"' in text
        assert "/health" in text
    assert 'http_response_status_code=~"5.."' in part
    assert 'http_response_status_code=~"5.."' not in whole


def test_three_ranks_of_a_histogram_have_a_word_each() -> None:
    found = ranks(metric_definitions.STORE_DURATION, ("db_system_name",))
    assert [each.rank for each in found] == [0.5, 0.95, 0.99]
    assert len({each.legend.word for each in found}) == 3


def test_a_link_to_the_runbook_names_file_and_section() -> None:
    assert runbook("CqoxDown").target == "runbook.md#CqoxDown"
