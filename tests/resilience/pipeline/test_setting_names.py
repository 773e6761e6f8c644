"""Names of settings: the shortest that is unambiguous, and every longer one."""

import pytest

from cqox.resilience import CircuitBreaker, Policy, RateLimit, Timeout
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.pipeline.setting_names import SettingsByName


def test_settings_of_two_parts_never_collide() -> None:
    policy = Policy("engine policy", RateLimit(5, 60.0), Timeout(5.0))
    with pytest.raises(TypeError, match=r"2 settings 'seconds': give one of rate limit\.seconds, timeout\.seconds"):
        policy.reconfigure(seconds=1.0)
    assert policy.part(Timeout).seconds == 5.0
    policy.reconfigure(**{"timeout.seconds": 1.0})
    policy.reconfigure(**{"calls": 10, "RateLimit.seconds": 1.0})
    assert policy.part(Timeout).seconds == 1.0
    assert "10 calls per second" in policy.part(RateLimit).describe()
    assert {"timeout.seconds", "rate limit.seconds", "calls"} <= policy.setting_names()
    assert "seconds" not in policy.setting_names()


def test_parts_of_one_name_are_distinguished_by_kind_and_number() -> None:
    one, two = CircuitBreaker("same"), CircuitBreaker("same")
    policy = Policy("engine policy", Bulkhead(5, name="same"), one, two)
    policy.reconfigure(**{"same.max_queued": 3, "CircuitBreaker#2.failure_threshold": 2})
    assert policy.part(Bulkhead).snapshot().max_queued == 3
    assert (one.settings.failure_threshold, two.settings.failure_threshold) == (5, 2)
    for name in ("failure_threshold", "same.failure_threshold", "CircuitBreaker.failure_threshold"):
        with pytest.raises(TypeError, match=r"CircuitBreaker#1.failure_threshold, CircuitBreaker#2.failure_threshold"):
            policy.reconfigure(**{name: 4})
    for name in policy.setting_names():
        policy.check_settings({name: None})


def test_a_setting_is_not_given_by_two_of_its_names() -> None:
    policy = Policy("engine policy", Timeout(5.0))
    with pytest.raises(TypeError, match="given twice"):
        policy.reconfigure(**{"seconds": 1.0, "timeout.seconds": 2.0})
    assert policy.part(Timeout).seconds == 5.0


def test_each_setting_has_its_shortest_unambiguous_name_in_the_order_of_the_parts() -> None:
    parts = [RateLimit(5, 60.0), Timeout(1.0, name="one"), Timeout(2.0, name="two")]
    assert SettingsByName("owner", parts).names() == [
        *["burst", "calls", "max_wait", "rate limit.seconds"],
        *["one.seconds", "two.seconds"],
    ]
    assert SettingsByName("owner", [Timeout(1.0, name="t"), Timeout(2.0, name="t")]).names() == [
        *["Timeout#1.seconds", "Timeout#2.seconds"],
    ]
    assert SettingsByName("owner", []).names() == []


def test_changes_are_grouped_by_the_part_that_has_the_setting() -> None:
    slots, outer, inner = Bulkhead(5), Timeout(9.0, name="outer"), Timeout(1.0, name="inner")
    settings = SettingsByName("owner", [slots, outer, inner])
    assert settings.by_part({}) == {}
    assert settings.by_part({"max_queued": 1, "Timeout#2.seconds": 2, "outer.seconds": 3, "max_concurrent": 4}) == {
        slots: {"max_queued": 1, "max_concurrent": 4},
        outer: {"seconds": 3},
        inner: {"seconds": 2},
    }


def test_an_unknown_name_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(TypeError, match=r"^owner has no setting 'second'.*: seconds$"):
        SettingsByName("owner", [Timeout(1.0)]).by_part({"second": 1.0})
    with pytest.raises(TypeError, match=r"none$"):
        SettingsByName("owner", []).by_part({"Timeout#1.seconds": 1.0})


def test_parts_that_are_named_like_the_kinds_of_each_other_are_distinguished_by_number() -> None:
    limit, timeout = RateLimit(5, name="Timeout"), Timeout(1.0, name="RateLimit")
    settings = SettingsByName("owner", [limit, timeout])
    assert settings.names()[-2:] == ["RateLimit#1.seconds", "Timeout#1.seconds"]
    assert settings.by_part(dict.fromkeys(settings.names()[-2:], 2.0)) == {
        limit: {"seconds": 2.0},
        timeout: {"seconds": 2.0},
    }
