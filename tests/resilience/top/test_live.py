"""The view over a scripted app, without a wait: rates, an app that goes away, comes back and began again."""

from collections.abc import Callable

import pytest
from rich.console import Console

from cqox.resilience.top.live import View
from cqox.resilience.top.scrape import Unreachable


class App:
    """Answers in order; an exception is raised, and after the last one Ctrl-C is pressed."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)
        self.slept: list[float] = []
        self.seconds = 0.0

    def fetch(self) -> str:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        if not self._answers:
            raise KeyboardInterrupt

    def view(self) -> tuple[View, Callable[[], str]]:
        console = Console(width=160, color_system=None, record=True, quiet=False, file=_Nowhere())
        view = View(
            self.fetch,
            address="http://app",
            interval=2.0,
            console=console,
            sleep=self.sleep,
            now=lambda: self.seconds,
            clock=lambda: f"12:00:{self.seconds:02.0f}",
        )
        return view, console.export_text


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def timeouts(count: int) -> str:
    return f'cqox_timeouts_total{{policy="slow"}} {count}'


def figures(text: str) -> list[str]:
    """The column of timeouts, table by table."""
    return [line.split()[6] for line in text.splitlines() if line.startswith("slow ")]


def test_once_prints_one_table_with_the_rates_of_one_interval() -> None:
    app = App(timeouts(10), timeouts(16))
    view, printed = app.view()
    view.once()
    assert figures(printed()) == ["3.0"]
    assert app.slept == [2.0]


def test_it_goes_on_until_it_is_interrupted() -> None:
    app = App(timeouts(1), timeouts(3), timeouts(3))
    view, printed = app.view()
    with pytest.raises(KeyboardInterrupt):
        view.run()
    assert figures(printed()) == ["–", "1.0", "0"]


def test_an_app_that_goes_away_leaves_its_values_and_comes_back_without_a_false_rate() -> None:
    app = App(timeouts(1), timeouts(5), Unreachable("it is gone"), timeouts(2), timeouts(4))
    view, printed = app.view()
    with pytest.raises(KeyboardInterrupt):
        view.run()
    shown = printed()
    assert shown.count("it is gone. The values are those of 12:00:02.") == 1
    assert figures(shown) == ["–", "2.0", "2.0", "–", "1.0"]


def test_an_app_that_answers_something_else_for_a_while_is_an_app_that_is_away() -> None:
    app = App(timeouts(1), "starting ...", timeouts(1))
    view, printed = app.view()
    with pytest.raises(KeyboardInterrupt):
        view.run()
    assert "answers with something else than metrics" in printed()


@pytest.mark.parametrize("start", ["once", "run"])
@pytest.mark.parametrize("answer", [Unreachable("nobody"), "<html>"])
def test_an_app_that_cannot_be_read_at_first_ends_it(start: str, answer: str | Exception) -> None:
    view, printed = App(answer).view()
    with pytest.raises(Unreachable):
        getattr(view, start)()
    assert printed() == ""
