import pytest

from cqox import clock
from cqox.storage.objects.client import Objects
from cqox.storage.objects.uses import UseTimes

FIRST, SECOND = "1" * 32, "2" * 32


@pytest.fixture
def uses(objects: Objects) -> UseTimes:
    return UseTimes(objects, "tenants/default/")


def publish(objects: Objects, edition: str) -> None:
    objects.put("tenants/default/manifests/a", f"{edition}manifest".encode())


def test_a_data_set_that_is_not_there_was_never_used(uses: UseTimes) -> None:
    assert uses.last("a") == 0.0
    uses.record("a")
    assert uses.last("a") == 0.0


def test_without_a_use_the_time_is_that_of_writing(uses: UseTimes, objects: Objects) -> None:
    publish(objects, FIRST)
    assert uses.last("a") == objects.modified_at("tenants/default/manifests/a")
    uses.record("a")
    assert uses.last("a") == objects.modified_at("tenants/default/used/a")
    uses.forget("a")
    assert objects.list("tenants/default/used/") == []


@pytest.mark.parametrize("is_used", [False, True])
def test_the_time_is_carried_over_to_an_edition_and_ends_with_it_or_the_next_use(
    uses: UseTimes, objects: Objects, is_used: bool
) -> None:
    publish(objects, FIRST)
    if is_used:
        uses.record("a")
    used_at = uses.last("a")
    uses.carry_over("a", SECOND)
    publish(objects, SECOND)
    assert uses.last("a") == used_at
    uses.carry_over("a", FIRST)
    publish(objects, FIRST)
    assert uses.last("a") == used_at
    # Another edition was uploaded.
    publish(objects, SECOND)
    assert uses.last("a") > used_at
    uses.record("a")
    assert used_at < uses.last("a") <= clock.wall_time() + 1.0


def test_a_use_while_the_time_is_carried_over_is_not_lost(
    uses: UseTimes, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(objects, FIRST)
    uses.record("a")
    before, last = uses.last("a"), uses.last

    def used(dataset_id: str) -> float:
        found = last(dataset_id)
        uses.record(dataset_id)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(uses, "last", used)
        uses.carry_over("a", SECOND)
    publish(objects, SECOND)
    assert uses.last("a") > before
