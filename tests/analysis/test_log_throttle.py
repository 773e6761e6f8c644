import logging

import pytest

from cqox.analysis.log_throttle import Outage


def test_an_outage_is_logged_when_it_begins_twice_a_minute_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = [0.0]
    outage = Outage("The store did not answer", now=lambda: clock[0])
    outage.recovered()
    for number in range(650):
        clock[0] = number / 10
        outage.failed("The store was asked for %s: %s", number, "away")
    outage.recovered()
    outage.recovered()
    assert caplog.messages == [
        "The store was asked for 0: away",
        "The store did not answer 300 more times; the last: The store was asked for 300: away",
        "The store did not answer 300 more times; the last: The store was asked for 600: away",
        "The store did not answer 650 times in 64.9 s; it has recovered.",
    ]


def test_what_comes_and_goes_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = [0.0]
    outage = Outage("It failed", level=logging.ERROR, now=lambda: clock[0])
    for number in range(100):
        clock[0] = number / 10
        outage.failed("Call %d failed", number)
        outage.recovered()
    assert caplog.messages == ["Call 0 failed", "It failed 1 time in 0.0 s; it has recovered."]
    clock[0] = 40.0
    outage.failed("Call %d failed", 100)
    assert caplog.messages[-1] == "Call 100 failed"
    assert caplog.records[-1].levelno == logging.ERROR
