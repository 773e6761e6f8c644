"""Events: delivered to all listeners, and free without any."""

import itertools
import pickle
import threading
from dataclasses import FrozenInstanceError, replace

import pytest

from cqox.resilience import CircuitBreaker, CircuitHalfOpened, CircuitOpened, Event, Policy, Retry, Timeout, subscribe
from cqox.resilience.pipeline import events
from cqox.resilience.testing import FakeClock, Script, capture_events


def test_without_listeners_no_event_is_built(monkeypatch) -> None:
    def built(self, *args: object, **kwargs: object) -> None:
        raise AssertionError("an event was built although nobody listens")

    assert events.listeners == ()
    for kind in Event.__subclasses__():
        monkeypatch.setattr(kind, "__init__", built)
    clock = FakeClock()
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=1.0, clock=clock)
    call = Policy("p", breaker, Retry(2, 0.0, idempotent=True, clock=clock), Timeout(5.0))
    with pytest.raises(ConnectionError):
        call(Script(ConnectionError()).__call__)()
    clock.advance(1)
    call(lambda: None)()
    breaker.isolate()


def test_subscriptions_end_one_by_one() -> None:
    seen: list[Event] = []
    end_first, end_second = subscribe(seen.append), subscribe(seen.append)
    event = Event(name="x", at=0.0)
    events.emit(event)
    end_first()
    end_first()
    events.emit(event)
    end_second()
    events.emit(event)
    assert len(seen) == 3
    assert events.listeners == ()


@pytest.mark.parametrize("owner", ["the process", "a breaker"])
def test_what_could_never_hear_an_event_is_no_listener(owner: str) -> None:
    async def never_awaited(event: Event) -> None: ...

    register = subscribe if owner == "the process" else CircuitBreaker("engine").subscribe
    for listener in (None, "print", never_awaited):
        with pytest.raises(ValueError, match="listener must be"):
            register(listener)  # type: ignore[arg-type]
    assert events.listeners == ()


def test_a_listener_that_raises_is_logged_and_changes_nothing(caplog) -> None:
    def broken(event: Event) -> None:
        raise ZeroDivisionError

    seen: list[Event] = []
    ends = [subscribe(broken), subscribe(seen.append)]
    try:
        events.emit(Event(name="engine", at=0.0))
    finally:
        for end in ends:
            end()
    assert len(seen) == 1
    assert "a listener failed on Event of engine" in caplog.text


def test_capture_collects_the_kinds_that_are_named() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    with capture_events(CircuitOpened) as opened, capture_events() as everything:
        with pytest.raises(ConnectionError), breaker:
            raise ConnectionError
        breaker.reset()
    assert [type(event).__name__ for event in opened] == ["CircuitOpened"]
    assert [type(event).__name__ for event in everything] == ["CircuitOpened", "CircuitClosed"]
    assert opened[0].reason == "1 failures in a row"
    breaker.isolate()
    assert len(everything) == 2


def test_events_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Event(name="x", at=0.0).name = "y"


def test_transitions_of_many_threads_are_delivered_once_and_in_their_order() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=0.0)
    seen: list[str] = []
    breaker.subscribe(lambda event: seen.append(type(event).__name__))

    def work() -> None:
        for number in range(300):
            try:
                with breaker:
                    if number % 2:
                        raise ConnectionError
            except Exception:  # what happened is in the events
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    followers = {
        "CircuitOpened": {"CircuitHalfOpened"},
        "CircuitHalfOpened": {"CircuitOpened", "CircuitClosed"},
        "CircuitClosed": {"CircuitOpened"},
    }
    assert len(seen) > 100
    assert seen[0] == "CircuitOpened"
    assert all(after in followers[before] for before, after in itertools.pairwise(seen))


def test_an_event_is_a_frozen_record_that_compares_shows_and_travels_as_its_values() -> None:
    event = CircuitOpened(name="x", at=1.0, reason="5 failures in a row", recovery_timeout=60.0, key="tenant")
    same = replace(event)
    assert (event == same, hash(event) == hash(same), pickle.loads(pickle.dumps(event)) == event) == (True, True, True)
    assert event != replace(event, key="another")
    assert Event(name="x", at=1.0) != CircuitHalfOpened(name="x", at=1.0)
    assert repr(event) == "CircuitOpened(name='x', at=1.0, reason='5 failures in a row', recovery_timeout=60.0)"
    with pytest.raises(FrozenInstanceError):
        event.reason = "another"
    with pytest.raises(TypeError):
        CircuitOpened("x", 1.0, "", 60.0)
    assert not hasattr(event, "__dict__")
