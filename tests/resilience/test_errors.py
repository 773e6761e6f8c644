"""Errors of the library: all that it raises by itself, and none of the services."""

import subprocess
import sys

from cqox import errors as all_errors
from cqox import resilience
from cqox.resilience import errors


def test_the_errors_are_those_of_the_library_and_no_others() -> None:
    of_the_package = {
        name
        for name in resilience.__all__
        if isinstance(found := getattr(resilience, name), type) and issubclass(found, Exception)
    }
    # What `retry_if` hands to callbacks is never raised to a caller.
    assert {*errors.__all__} == of_the_package - {"UnwantedResult"}
    assert all(getattr(errors, name) is getattr(resilience, name) for name in errors.__all__)


def test_what_the_tree_has_besides_is_of_the_services() -> None:
    named = {getattr(errors, name) for name in errors.__all__}
    rest = {
        name
        for name in all_errors.__all__
        if issubclass(found := getattr(all_errors, name), all_errors.ResilienceError) and found not in named
    }
    assert rest == {"QuotaExceeded", "TooManyListeners"}


def test_the_library_loads_no_texts_and_nothing_else_of_the_services() -> None:
    program = "import sys, cqox.resilience.errors\nprint(*(name for name in sys.modules if name.startswith('cqox.')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    others = {name.split(".")[1] for name in done.stdout.split()} - {"resilience"}
    assert others <= {"clock", "errors", "forks", "randomness", "tasks", "threads"}
