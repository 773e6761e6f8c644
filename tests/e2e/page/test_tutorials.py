"""The tutorials in the voice of the page: the same sentences and verdicts as from Python and over HTTP."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import Visitors
from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack
from tools.examples import blocks

DOCS = Path(__file__).parents[3] / "docs"
FOLDERS = {"en": DOCS / "tutorial", "ja": DOCS / "ja" / "tutorial"}


def tutorial(language: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Write the files of a tutorial into a folder; return headline and verdict of each answer that it shows."""
    monkeypatch.chdir(folder)
    page = blocks((FOLDERS[language] / f"{name}.md").read_text(encoding="utf-8"))
    with contextlib.redirect_stdout(io.StringIO()):
        exec("".join(each.content for each in page if each.language == "python" and each.shared), {})
    shown = [each.content.splitlines() for each in page if each.language == "text"]
    answers = [lines for lines in shown if len(lines) == 2 and lines[1].split()[0] in ("GO", "CANARY", "HOLD")]
    return [(headline, verdict.split()[0]) for headline, verdict in answers]


def open_file(visitor: Visitor, path: Path) -> None:
    visitor.goto("/")
    visitor.upload(path)
    visitor.page.wait_for_url("**/d/*")
    visitor.page.locator("#role-y").wait_for()


def choose_roles(visitor: Visitor, outcome: str, treatment: str, covariates: Sequence[str] = ()) -> None:
    for role, column in (("y", outcome), ("treatment", treatment)):
        visitor.page.locator(f"#role-{role}").select_option(column)
    for role in ("unit_id", "time"):
        visitor.page.locator(f"#role-{role}").select_option("")
    choose_covariates(visitor, covariates)


def choose_covariates(visitor: Visitor, covariates: Sequence[str]) -> None:
    boxes = visitor.page.locator("#role-covariates")
    for name in boxes.get_by_role("listitem").all_inner_texts():
        boxes.get_by_role("checkbox", name=name.strip(), exact=True).set_checked(name.strip() in covariates)


def enter_minimum(visitor: Visitor, value: str) -> None:
    field = visitor.page.get_by_label(visitor.text("minimum-effect"), exact=True)
    field.fill(value)
    field.blur()


def check(visitor: Visitor, answer: tuple[str, str]) -> None:
    visitor.answer()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(answer[0])
    expect(visitor.page.locator(".verdict .badge")).to_contain_text(answer[1])


def back_to_roles(visitor: Visitor) -> None:
    visitor.page.get_by_role("link", name=visitor.text("step-roles")).first.click()
    visitor.page.locator("#role-y").wait_for()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_first_answer(
    page_stack: Stack, visitors: Visitors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    answers = tutorial(language, "first-answer", tmp_path, monkeypatch)
    visitor = visitors.enter(page_stack.gateway.url, language)
    open_file(visitor, tmp_path / "customers.csv")
    choose_roles(visitor, "sales", "coupon")
    check(visitor, answers[0])
    back_to_roles(visitor)
    choose_covariates(visitor, ["tenure", "member"])
    check(visitor, answers[1])
    back_to_roles(visitor)
    visitor.page.get_by_role("radio", name=visitor.text("assignment-unconfounded")).check()
    enter_minimum(visitor, "3")
    check(visitor, answers[2])


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_trial(
    page_stack: Stack, visitors: Visitors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    answers = tutorial(language, "trial", tmp_path, monkeypatch)
    visitor = visitors.enter(page_stack.gateway.url, language)
    for name, covariates, answer in (
        ("trial.csv", [], answers[0]),
        ("trial.csv", ["before"], answers[1]),
        ("lost.csv", ["before"], answers[2]),
    ):
        open_file(visitor, tmp_path / name)
        choose_roles(visitor, "spend", "letter", covariates)
        visitor.page.get_by_role("radio", name=visitor.text("assignment-randomized")).check()
        enter_minimum(visitor, "1")
        check(visitor, answer)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_panel(
    page_stack: Stack, visitors: Visitors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    answers = tutorial(language, "panel", tmp_path, monkeypatch)
    visitor = visitors.enter(page_stack.gateway.url, language)
    for name, answer in zip(("shops.csv", "growing.csv"), answers, strict=True):
        open_file(visitor, tmp_path / name)
        enter_minimum(visitor, "1")
        check(visitor, answer)
