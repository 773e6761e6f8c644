"""Quart and Quart-Trio as our request, connection and app rely on them, beyond what they document."""

import inspect

from quart.app import Quart
from quart.wrappers.request import Request
from quart.wrappers.response import DataBody
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

from services.http.request.request import IncomingBody, IncomingRequest
from services.http.server.app import App
from services.http.server.request_task import Connection, Lifespan


def test_an_app_is_called_through_the_classes_that_ours_replaces() -> None:
    assert "asgi_http_class" in inspect.getsource(Quart.asgi_app)
    assert "asgi_lifespan_class" in inspect.getsource(Quart.asgi_app)
    assert issubclass(App, QuartTrio)
    assert (App.asgi_http_class, App.asgi_lifespan_class, App.request_class) == (Connection, Lifespan, IncomingRequest)


def test_a_connection_makes_its_request_from_the_scope() -> None:
    assert list(inspect.signature(TrioASGIHTTPConnection.__init__).parameters) == ["self", "app", "scope"]
    made = inspect.signature(TrioASGIHTTPConnection._create_request_from_scope)
    assert list(made.parameters) == ["self", "send"]


def test_a_request_makes_its_body_with_two_lengths_and_is_fed_by_three_methods() -> None:
    assert TrioRequest.body_class is TrioBody
    assert "self.body_class(" in inspect.getsource(Request.__init__)
    assert list(inspect.signature(TrioBody.__init__).parameters) == [
        "self",
        "expected_content_length",
        "max_content_length",
    ]
    fed = {"set_complete", "set_result", "clear"}
    assert fed <= set(dir(TrioBody))
    assert fed <= set(vars(IncomingBody))


def test_a_body_that_is_there_whole_has_its_bytes_and_the_range_that_is_sent() -> None:
    body = DataBody(b"abc")
    assert (body.data, body.begin, body.end) == (b"abc", 0, 3)


def test_an_answer_is_made_by_handling_a_request() -> None:
    assert inspect.iscoroutinefunction(QuartTrio.handle_request)
    assert list(inspect.signature(QuartTrio.handle_request).parameters) == ["self", "request"]
    assert inspect.iscoroutinefunction(QuartTrio.full_dispatch_request)
