"""Warnings about questionable orders of parts, and the sections of the page that explain them."""

import ast
import inspect
import pydoc
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    Drain,
    FailureRate,
    Fallback,
    Retry,
    Timeout,
    deadline,
    is_transient,
)
from cqox.resilience.composition import advice
from cqox.resilience.composition.advice import order_warnings
from cqox.resilience.pipeline.part import Part

ROOT = Path(__file__).parents[3]


def anchors(page: Path) -> list[str]:
    """Anchors of the headings of a page, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def sections() -> set[str]:
    """Every section that the source of the warnings names."""
    return {
        keyword.value.value
        for node in ast.walk(ast.parse(inspect.getsource(advice)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OrderWarning"
        for keyword in node.keywords
        if keyword.arg == "section" and isinstance(keyword.value, ast.Constant)
    }


@pytest.mark.parametrize(
    ("parts", "warning"),
    [
        (lambda: (Retry(), Timeout(1.0)), "not idempotent"),
        (lambda: (Retry(), Timeout(1.0)), "repeated, unless an adapter of a client judges them by their method"),
        (lambda: (Retry(idempotent=True),), "no timeout bounds an attempt"),
        (lambda: (Timeout(9.0), Retry(idempotent=True)), "the only timeout is outside of the retry"),
        (lambda: (Retry(idempotent=True), Bulkhead(5), Timeout(1.0)), "each attempt must be admitted again"),
        (
            lambda: (Retry(3, idempotent=True), CircuitBreaker("x", failure_threshold=3), Timeout(1.0)),
            "one call of 3 reaches its threshold of 3",
        ),
        (lambda: (Retry(3, idempotent=True), Retry(4, idempotent=True), Timeout(1.0)), "3 x 4 attempts"),
        (lambda: (Timeout(1.0), Bulkhead(5, 5), Timeout(0.5)), "counts the time in its queue"),
        (lambda: (CircuitBreaker("x"), Bulkhead(5, 5), Timeout(0.5)), "makes probes wait in its queue"),
        (lambda: (Timeout(1.0), Retry(idempotent=True), Timeout(2.0)), "never expires"),
        (lambda: (Timeout(1.0), Timeout(1.0)), "never expires"),
        (
            lambda: (deadline(1.0), Timeout(5.0)),
            "timeout of 5 s never expires: the outer deadline of 1 s expires first",
        ),
        (lambda: (deadline(9.0), Retry(idempotent=True)), "no timeout bounds an attempt"),
        (lambda: (Retry(idempotent=True), Fallback(str), Timeout(1.0)), "never see a failure"),
        (lambda: (Retry(idempotent=True), Drain(), Timeout(1.0)), "the Drain is inside of the retry"),
        (
            lambda: (Retry(exceptions=(KeyError, ConnectionError), idempotent=True), Timeout(1.0)),
            "the exceptions of the retry do not list AttemptTimeout: an attempt that hangs is not repeated",
        ),
        (
            lambda: (CircuitBreaker("x", failures=ConnectionError), Retry(idempotent=True), Timeout(1.0)),
            "the failures of the circuit breaker x do not list AttemptTimeout: a call that hangs is ignored",
        ),
    ],
)
def test_questionable_orders_are_warned_of(parts: Callable[[], tuple[Part, ...]], warning: str) -> None:
    assert [line for line in order_warnings(parts()) if warning in line.text]


@pytest.mark.parametrize(
    "parts",
    [
        lambda: (Timeout(1.0),),
        lambda: (deadline(9.0), CircuitBreaker("x")),
        lambda: (Retry(idempotent=True), deadline(1.0)),
        lambda: (deadline(9.0), Retry(idempotent=True), Timeout(2.0)),
        lambda: (Fallback(str), Bulkhead(5, 5), CircuitBreaker("x"), Retry(3, idempotent=True), Timeout(1.0)),
        lambda: (Timeout(9.0), Retry(3, idempotent=True), Timeout(1.0)),
        lambda: (Retry(1), Timeout(1.0)),
        lambda: (Retry(3, idempotent=True), CircuitBreaker("x", failure_threshold=4), Timeout(1.0)),
        lambda: (Retry(5, idempotent=True), CircuitBreaker("x", failure_rate=FailureRate()), Timeout(1.0)),
        lambda: (
            CircuitBreaker("x", failures=OSError),
            Retry(exceptions={TimeoutError}, idempotent=True),
            Timeout(1.0),
        ),
        lambda: (CircuitBreaker("x", failures=is_transient), Timeout(1.0)),
        lambda: (Timeout(1.0), CircuitBreaker("x", failures=KeyError)),
        lambda: (Retry(1, exceptions=KeyError, idempotent=True), Timeout(1.0)),
    ],
)
def test_sound_orders_are_not_warned_of(parts: Callable[[], tuple[Part, ...]]) -> None:
    assert list(order_warnings(parts())) == []


def test_no_parts_have_no_timeout_and_nothing_else_to_warn_of() -> None:
    (warning,) = order_warnings(())
    assert "no timeout" in warning.text


def test_a_warning_names_the_page_and_the_section_that_explain_it() -> None:
    (warning,) = order_warnings((Retry(1),))
    assert warning.page == "docs/resilience/order-of-parts.md#no-timeout"
    assert str(warning) == f'{warning.text} (no-timeout: see help("cqox.resilience.composition.advice"))'


def test_the_help_that_a_warning_names_explains_each_topic_without_the_repository() -> None:
    (warning,) = order_warnings((Retry(1),))
    (module,) = re.findall(r'see help\("([a-z.]+)"\)\)$', str(warning))
    shown = pydoc.plain(pydoc.render_doc(module))
    topics = re.findall(r"^ {4}([a-z-]+): \w", shown.partition("CLASSES")[0], re.MULTILINE)
    assert sorted(topics) == sorted(sections())


def test_the_page_has_a_section_for_each_warning_and_no_other() -> None:
    page, _, _ = next(order_warnings(())).page.partition("#")
    written = anchors(ROOT / page)
    assert len(sections()) == 11
    assert sections() == {anchor for anchor in written[1:] if anchor != "where-nothing-speaks-against-it"}
