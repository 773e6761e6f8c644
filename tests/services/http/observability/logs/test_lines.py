"""Every record is one bounded line."""

import json
import logging
import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox import telemetry
from cqox.telemetry.texts import Clipped
from services.http.observability.logs.lines import console_line, json_line
from services.http.observability.logs.snapshot import Entry, snapshot

RENDERERS = [
    console_line("gateway", colors=False),
    json_line("gateway", ascii_only=False),
    json_line("gateway", ascii_only=True),
]


def record(message: object, *arguments: object, logger: str = "x", exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord(logger, logging.WARNING, __file__, 1, message, arguments, exc_info)  # type: ignore[arg-type]


def lines(message: object, *arguments: object) -> list[str]:
    return [render(snapshot(record(message, *arguments))) for render in RENDERERS]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(ValueError("x\ny")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(event=ANYTHING, name=st.text(), value=ANYTHING, logger=st.text())
def test_any_logged_content_is_one_line_that_can_be_encoded(event, name: str, value, logger: str) -> None:
    for render in RENDERERS:
        line = render(snapshot(record({"event": event, name: value}, logger=logger)))
        assert line.splitlines() == [line]
        assert line.isascii() or render is not RENDERERS[2]
        line.encode()
        if line.startswith("{"):
            assert json.loads(line)["service"] == "gateway"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def endless() -> dict[str, object]:
    endless: dict[str, object] = {}
    endless["self"] = endless
    return endless


@pytest.mark.parametrize(
    "value",
    [
        "x" * 5_000_000,
        b"x" * 5_000_000,
        ["x" * 5_000] * 100_000,
        {str(number): "x" * 5_000 for number in range(10_000)},
        10**100_000,
        ValueError("x" * 5_000_000),
        endless(),
        [[[[[[["deep"]]]]]]],
    ],
    ids=["text", "bytes", "list", "mapping", "integer", "exception", "endless", "deep"],
)
def test_a_value_is_bounded_and_says_what_is_missing(value: object) -> None:
    for line in lines({"event": "e", "value": value}):
        assert len(line) < 70_000
        assert any(word in line for word in ("left out", "left_out", "more", "bits", "list of", "dict of", "..."))


def test_a_message_is_bounded_and_keeps_head_and_tail() -> None:
    for line in lines("begin %s end", "x" * 5_000_000):
        assert len(line) < 10_000
        assert "begin x" in line
        assert "x end" in line
        assert "[... 4991818 characters left out ...]" in line


def test_many_fields_are_bounded() -> None:
    for line in lines({"event": "e", **{f"f{number}": "x" * 9_000 for number in range(1_000)}}):
        assert len(line) < 80_000
        assert "left_out" in line


def test_values_that_cannot_be_shown_and_arguments_that_do_not_fit_are_said() -> None:
    assert all("Silent that cannot be shown" in line for line in lines({"event": "e", "value": Silent()}))
    assert all("its arguments do not fit" in line for line in lines("%d", "x"))
    assert all("nan" in line for line in lines({"event": "e", "value": math.nan}))
    assert all("Decimal('1')" in line for line in lines({"event": "e", "value": Decimal(1)}))


def test_a_field_cannot_pass_for_another_one_or_for_what_is_ours() -> None:
    first, second, _ = lines({"event": "e", "detail": 'x" status=200', "service": "other", "timestamp": "never"})
    assert r'detail="x\" status=200"' in first
    assert json.loads(second)["service"] == "gateway"
    assert json.loads(second)["service_"] == "other"


def test_every_form_names_the_service_and_the_trace_where_there_is_one() -> None:
    with telemetry.server_span("GET", None, parent=None, request_id="2" * 32):
        traced = lines("x")
    for line, without in zip(traced, lines("x"), strict=True):
        assert "gateway" in line
        assert "2" * 32 in line
        assert "trace_id" in line
        assert "gateway" in without
        assert "trace_id" not in without
    assert " service=gateway trace_id=" in traced[0]


def test_a_long_secret_is_masked_also_where_it_is_cut() -> None:
    for length in (100, 4_000, 9_000, 13_000, 50_000):
        for line in lines("before Cookie: %s", "hunter2-" * (length // 8)):
            assert "hunter2" not in line


def test_a_line_has_the_time_and_severity_of_its_record_and_colors_only_on_a_terminal() -> None:
    entry = Entry(at=0.25, level="error", logger="cqox.x", event=Clipped("e", 0), fields={"n": 1}, trace={}, size=1)
    assert json.loads(json_line("engine", ascii_only=False)(entry)) == {
        "timestamp": "1970-01-01T00:00:00.250000Z",
        "level": "error",
        "logger": "cqox.x",
        "service": "engine",
        "event": "e",
        "n": 1,
    }
    plain = console_line("engine", colors=False)(entry)
    assert plain.endswith("[error    ] e [cqox.x] service=engine n=1")
    colored = console_line("engine", colors=True)(entry)
    assert "\x1b[31m" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


def test_a_traceback_is_indented_on_a_terminal_and_one_member_elsewhere() -> None:
    try:
        raise ValueError("x\x1b\ny")
    except ValueError as error:
        entry = snapshot(record("failed", exc_info=(ValueError, error, error.__traceback__)))
    first, *block = console_line("engine", colors=False)(entry).split("\n")
    assert "failed" in first
    assert all(line.startswith("    ") for line in block)
    assert any("ValueError" in line for line in block)
    found = json.loads(json_line("engine", ascii_only=True)(entry))
    assert "ValueError" in found["exception"]
    assert "\x1b" not in found["exception"]
