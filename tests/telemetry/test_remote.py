from cqox.telemetry import adopt, span, unfinished
from cqox.telemetry.remote import step_spans
from tests.recorded import Kept

SECOND = 1_000_000_000


def test_each_step_of_a_worker_is_a_span_that_ended_when_it_was_reported(kept: Kept) -> None:
    steps: list[dict[str, object]] = []
    with span("worker analyze") as around:
        step = step_spans(around.context.traceparent, steps.append, now_ns=lambda: 10 * SECOND)
        step({"step": "read", "seconds": 2.0, "rows": 7})
        step({"step": "estimate.ols", "seconds": 1.0, "status": "failed", "estimate": None})
        for each in steps:
            adopt(each)
    read, failed = kept.named("read"), kept.named("estimate.ols")
    parent = kept.named("worker analyze").context
    assert (read.start_time, read.end_time) == (8 * SECOND, 10 * SECOND)
    assert {read.parent.span_id, failed.parent.span_id} == {parent.span_id}
    assert read.context.trace_id == parent.trace_id
    assert read.attributes == {"cqox.rows": 7}
    assert failed.attributes == {"cqox.status": "failed", "error.type": "estimator_failed"}
    assert not failed.status.is_ok


def test_estimators_that_were_skipped_are_one_event_of_the_span_around_them(kept: Kept) -> None:
    steps: list[dict[str, object]] = []
    with span("worker analyze") as around:
        step = step_spans(around.context.traceparent, steps.append)
        for name in ("ols", "aipw"):
            step({"step": f"estimate.{name}", "seconds": 0.0001, "status": "skipped"})
        step({"step": "estimate.psm", "seconds": 1.0, "status": "ok"})
        step({"step": "estimate.did", "seconds": 0.0001, "status": "skipped"})
        step({"step": "diagnostics", "seconds": 1.0})
        for each in steps:
            adopt(each)
    assert [each.name for each in kept.spans] == ["estimate.psm", "diagnostics", "worker analyze"]
    ((name, attributes),) = [(event.name, event.attributes) for event in kept.named("worker analyze").events]
    assert name == "estimators skipped"
    assert list(attributes["cqox.estimators"]) == ["ols", "aipw", "did"]


def test_without_a_recorder_nothing_is_reported() -> None:
    assert step_spans(None, lambda body: None) is None
    assert step_spans("nonsense", lambda body: None) is None
    assert step_spans(f"00-{'1' * 32}-{'2' * 16}-00", lambda body: None) is None


def test_a_step_without_a_duration_and_a_span_that_makes_no_sense_are_left_out(kept: Kept) -> None:
    steps: list[dict[str, object]] = []
    step = step_spans(f"00-{'1' * 32}-{'2' * 16}-01", steps.append)
    step({"step": "read"})
    step({"seconds": 1.0})
    assert steps == []
    adopt({"name": "x", "parent": "nonsense", "start_ns": 1, "end_ns": 2})
    adopt({"name": "x", "parent": f"00-{'1' * 32}-{'2' * 16}-01", "start_ns": "1", "end_ns": 2})
    assert kept.spans == ()


def test_what_a_worker_was_at_when_it_was_ended_is_seen_by_what_it_had_done_before(kept: Kept) -> None:
    with span("worker analyze"):
        unfinished({"name": "estimate.ols", "end_ns": 8 * SECOND})
        # One without a report so far, or one that is not traced.
        unfinished({})
    cut = kept.named("unfinished step")
    assert cut.start_time == 8 * SECOND
    assert cut.end_time > cut.start_time
    assert cut.attributes == {"cqox.after": "estimate.ols", "cqox.cancelled": True}
    assert cut.parent.span_id == kept.named("worker analyze").context.span_id
