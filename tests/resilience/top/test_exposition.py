"""The parser of exposition texts, held to the parser of `prometheus_client`."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from cqox.resilience.top.exposition import NotMetrics, Sample, samples


@given(value=st.text(), number=st.floats())
def test_any_label_and_any_number_come_back_as_they_were(value: str, number: float) -> None:
    registry = CollectorRegistry()
    Gauge("level", "A level.", ["policy", "state"], registry=registry).labels(value, "x").set(number)
    text = generate_latest(registry).decode("utf-8", errors="surrogatepass")
    if len(text.splitlines()) != text.count("\n"):
        return  # a separator of lines that is no newline: not written by hand in any name
    (sample,) = samples(text)
    assert sample.labels == {"policy": value, "state": "x"}
    assert sample.value == number or math.isnan(sample.value) == math.isnan(number) is True


def test_a_real_text_gives_the_samples_of_the_parser_of_prometheus_client() -> None:
    registry = CollectorRegistry()
    Counter("hits", "Hits.", ["policy"], registry=registry).labels('a "quoted" {name}, with = and \\').inc(3)
    Histogram("seconds", "Seconds.", registry=registry).observe(0.2)
    text = generate_latest(registry).decode()
    expected = [
        Sample(name=sample.name, labels=sample.labels, value=sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert list(samples(text)) == expected
    assert {sample.name for sample in samples(text, "hits")} == {"hits_total", "hits_created"}


def test_exemplars_times_and_the_end_of_openmetrics_are_passed_over() -> None:
    registry = CollectorRegistry()
    Counter("hits", "Hits.", registry=registry).inc(2, exemplar={"trace_id": "abc"})
    text = generate_openmetrics(registry).decode()
    assert text.endswith("# EOF\n")
    assert [sample.value for sample in samples(text, "hits_total")] == [2.0]
    assert [sample.value for sample in samples('a{b="c",} 4 1700000000000')] == [4.0]


def test_names_in_quotes_have_underscores() -> None:
    (sample,) = samples('{"cqox.circuit.state",policy="x","odd name"="y"} 1')
    assert sample == Sample(name="cqox_circuit_state", labels={"policy": "x", "odd name": "y"}, value=1.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"status": "ok"}',
        "<html>",
        "hello world",
        "name",
        'a{b="c" 1',
        'a{b="c"} one',
        '{policy="x"} 1',
        "{} 1",
        'a{"b} 1',
    ],
)
def test_what_is_not_in_the_format_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(NotMetrics, match="line 2"):
        list(samples(f"fine 1\n{text}"))


def test_nothing_has_no_samples() -> None:
    assert list(samples("")) == list(samples("# TYPE a counter\n\n")) == []


@pytest.mark.parametrize("letter", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_label_may_hold_any_end_of_a_line_but_the_newline(letter: str) -> None:
    (sample,) = samples(f'name{{policy="a{letter}b"}} 1\r\n')
    assert sample.labels == {"policy": f"a{letter}b"}
