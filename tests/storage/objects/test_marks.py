import pytest

from cqox import clock
from cqox.storage.objects.client import Objects
from cqox.storage.objects.marks import ErasureMarks


def test_one_listing_serves_all_tenants_for_a_moment(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    marks, other = ErasureMarks(objects), ErasureMarks(objects)
    listed, find = list[str](), objects.list
    monkeypatch.setattr(objects, "list", lambda prefix: listed.append(prefix) or find(prefix))
    assert (other.all("acme"), other.all("default")) == ({}, {})
    marks.begin("acme", "a")
    assert list(marks.all("acme")) == ["a"]
    assert marks.all("default") == {}
    assert other.all("acme") == {}
    assert len(listed) == 2
    now = clock.monotonic()
    monkeypatch.setattr("cqox.clock.monotonic", lambda: now + 60)
    assert list(other.all("acme")) == ["a"]
    other.end("acme", "a")
    assert other.all("acme") == {}


def test_marks_of_yesterday_are_removed(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = ErasureMarks(objects)
    marks.begin("default", "a")
    later = clock.wall_time() + 90_000
    monkeypatch.setattr("cqox.clock.wall_time", lambda: later)
    assert marks.all("default") == {}
    assert objects.list("erased/") == []
