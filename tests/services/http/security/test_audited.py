"""Events of the audit log, and what they leave out of a request."""

from types import SimpleNamespace
from typing import Any

import pytest

from cqox.security import LOCAL, Principal, granted
from services.http.security.audited import event_of, note, outcome_of
from services.http.security.requester import set_principal

ID = "4f0c" * 8
KEY = Principal(subject="key:a", tenant="acme", roles=("reader",), permissions=granted(["reader"]), kind="key")


def a_request(principal: Principal | None = KEY, **arguments: str) -> Any:
    scope: dict[str, Any] = {}
    if principal is not None:
        set_principal(scope, principal)
    return SimpleNamespace(scope=scope, view_args=arguments or None, request_id="r")


def test_an_event_says_who_asked_for_what_about_which_object() -> None:
    event = event_of(a_request(dataset_id=ID), "read_dataset", "done")
    assert event is not None
    assert (event.tenant, event.subject, event.kind) == ("acme", "key:a", "key")
    assert (event.action, event.object, event.outcome, event.request_id) == (
        "read_dataset",
        f"dataset:{ID}",
        "done",
        "r",
    )
    assert event.at.endswith("+00:00")
    other = event_of(a_request(LOCAL), "list_datasets", "done")
    assert other is not None
    assert (other.subject, other.kind, other.object) == ("local", "local", "")
    assert other.event_id != event.event_id


def test_nobody_known_leaves_no_event_but_the_holder_of_a_share_link() -> None:
    assert event_of(a_request(None), "read_shared", "failed") is None
    request = a_request(None, name="forest", suffix="svg")
    note(request.scope, kind="analysis", identity=ID, tenant="acme", subject="share-link")
    event = event_of(request, "read_shared_figure", "done")
    assert event is not None
    assert (event.tenant, event.subject, event.kind, event.object) == ("acme", "share-link", "share", f"analysis:{ID}")


@pytest.mark.parametrize(
    ("arguments", "location", "expected"),
    [
        ({"analysis_id": ID, "share_id": "s"}, "", f"analysis:{ID}"),
        ({"suffix": "svg", "name": "forest", "analysis_id": ID}, "", f"analysis:{ID}"),
        ({"dataset_id": "test"}, "", "dataset:test"),
        ({"name": "warehouse"}, f"/api/datasets/{ID}", f"dataset:{ID}"),
        ({}, f"/api/uploads/{ID}", f"upload:{ID}"),
        ({}, f"/api/erasures/{ID}", f"erasure:{ID}"),
        ({}, f"/api/analyses/{ID}", f"analysis:{ID}"),
        ({"dataset_id": "a\nb"}, "", "dataset:?"),
    ],
)
def test_the_object_is_that_of_the_path_or_what_was_created(
    arguments: dict[str, str], location: str, expected: str
) -> None:
    event = event_of(a_request(**arguments), "do", "done", location=location)
    assert event is not None
    assert event.object == expected


@pytest.mark.parametrize("outcome", ["failed", "refused", "interrupted"])
def test_an_id_that_a_client_made_up_is_not_kept(outcome: Any) -> None:
    event = event_of(a_request(dataset_id="Alice.Example"), "read_dataset", outcome)
    assert event is not None
    assert event.object == "dataset:?"
    request = a_request()
    note(request.scope, kind="dataset", identity="Alice")
    event = event_of(request, "analyze", outcome)
    assert event is not None
    assert event.object == "dataset:?"


def test_the_outcome_follows_from_the_status() -> None:
    assert [outcome_of(status) for status in (200, 201, 304, 403, 404, 422, 503)] == [
        *["done"] * 3,
        "refused",
        *["failed"] * 3,
    ]
