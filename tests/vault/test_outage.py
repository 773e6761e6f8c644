import logging

import pytest

from cqox.vault.outage import Outage


class Times:
    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return 1000.0 + self.seconds

    def now(self) -> float:
        return 1_795_900_000.0 + self.seconds


def test_an_outage_says_why_since_when_and_until_when() -> None:
    times = Times()
    outage = Outage(times.clock, times.now)
    assert outage.problem == ""
    outage.began("answer", "it is sealed")
    times.seconds = 60.0
    outage.began("answer", "no answer")
    assert outage.problem == "no answer, since 2026-11-28 21:06:40 UTC"
    outage.leases |= {"its token": 1000.0 + 120, "the certificate": 1000.0 + 3600, "the database user": 1000.0 + 1800}
    assert outage.problem == (
        "no answer, since 2026-11-28 21:06:40 UTC; what it has issued is valid until 2026-11-28 21:36:40 UTC, when the "
        "database user ends"
    )
    times.seconds = 1810.0
    assert outage.problem.endswith("; the database user has ended at 2026-11-28 21:36:40 UTC")


def test_the_token_counts_where_there_is_nothing_else() -> None:
    times = Times()
    outage = Outage(times.clock, times.now)
    outage.leases["its token"] = 1000.0 + 120
    outage.began("answer", "it is sealed")
    assert outage.problem.endswith("valid until 2026-11-28 21:08:40 UTC, when its token ends")


def test_an_answer_does_not_end_a_refused_login() -> None:
    times = Times()
    outage = Outage(times.clock, times.now)
    outage.began("login", "refused")
    outage.began("answer", "sealed")
    outage.ended("answer")
    assert outage.problem.startswith("refused, since")
    outage.ended("login")
    assert outage.problem == ""


def test_begin_and_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cqox.vault")
    times = Times()
    outage = Outage(times.clock, times.now)
    for _ in range(3):
        outage.began("answer", "the vault is sealed")
    for _ in range(3):
        outage.ended("answer")
    assert caplog.messages == ["the vault is sealed", "The vault is available again."]
