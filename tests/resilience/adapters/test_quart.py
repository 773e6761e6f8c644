"""The adapter for Quart; what clients receive is tested in `test_frameworks`."""

import pytest
from quart import Quart

from cqox.resilience.adapters.quart import install
from cqox.resilience.propagation.asgi import DeadlineMiddleware


def test_a_nonsense_maximum_is_refused_and_the_app_stays_as_it_was() -> None:
    app = Quart(__name__)
    before = app.asgi_app
    with pytest.raises(ValueError, match="max_seconds must be above 0"):
        install(app, max_seconds=-1.0)
    assert app.asgi_app == before
    assert not app.error_handler_spec


def test_the_app_is_wrapped() -> None:
    app = Quart(__name__)
    install(app, max_seconds=30.0)
    assert isinstance(app.asgi_app, DeadlineMiddleware)
