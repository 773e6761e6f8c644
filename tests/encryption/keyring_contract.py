"""The contract suite of key rings, for each of them.

A test module has a class for its ring, which inherits from `KeyRingContract` and has the fixture `ring`; where the ring
can be out of reach, also the fixture `unreachable`, a context manager in which it is.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from cqox.encryption import KEY_BYTES, MOST_WRAPPED_BYTES, DataKey, KeyDestroyed, KeyRing, KeysUnavailable
from tests.waiting import wait_until

__all__ = ["KeyRingContract", "Unreachable"]

type Unreachable = Callable[[], AbstractContextManager[None]]


class KeyRingContract:
    """The tests; tenants are named by the test, so that all may share one ring."""

    @pytest.fixture
    def ring(self) -> KeyRing:
        raise NotImplementedError("the ring that is tested")

    @pytest.fixture
    def reopened(self, ring: KeyRing) -> KeyRing:
        """The ring as another process sees it."""
        return ring

    @pytest.fixture
    def unreachable(self) -> Unreachable:
        pytest.skip("this ring is always within reach")

    def test_a_data_key_is_unwrapped_to_itself(self, ring: KeyRing, reopened: KeyRing) -> None:
        key = ring.new_data_key("unwrapped")
        assert len(key.plain) == KEY_BYTES
        assert 0 < len(key.wrapped) <= MOST_WRAPPED_BYTES
        assert key.plain not in key.wrapped
        assert ring.unwrap("unwrapped", key.wrapped) == key.plain
        assert reopened.unwrap("unwrapped", key.wrapped) == key.plain

    def test_no_two_data_keys_are_equal(self, ring: KeyRing) -> None:
        keys = [ring.new_data_key("distinct") for _ in range(20)] + [ring.new_data_key("distinct-2")]
        assert len({key.plain for key in keys}) == len({key.wrapped for key in keys}) == len(keys)

    def test_the_data_key_of_a_tenant_is_unwrapped_for_no_other(self, ring: KeyRing) -> None:
        key = ring.new_data_key("owner")
        ring.new_data_key("stranger")
        for other in ("stranger", "without-keys"):
            with pytest.raises(KeyDestroyed):
                ring.unwrap(other, key.wrapped)
        assert ring.unwrap("owner", key.wrapped) == key.plain

    def test_a_data_key_survives_rotations_of_its_tenant(self, ring: KeyRing) -> None:
        keys = [ring.new_data_key("rotated")]
        for _ in range(3):
            ring.rotate("rotated")
            keys.append(ring.new_data_key("rotated"))
        assert [ring.unwrap("rotated", key.wrapped) for key in keys] == [key.plain for key in keys]

    def test_a_rotation_makes_another_key_current(self, ring: KeyRing, reopened: KeyRing) -> None:
        old = ring.new_data_key("current")
        assert ring.is_current("current", old.wrapped)
        ring.rotate("current")
        new = ring.new_data_key("current")
        for each in (ring, reopened):
            assert not each.is_current("current", old.wrapped)
            assert each.is_current("current", new.wrapped)
            assert not each.is_current("current", b"x")
            assert not each.is_current("current-nobody", new.wrapped)

    def test_a_tenant_may_be_rotated_before_its_first_data_key(self, ring: KeyRing) -> None:
        ring.rotate("rotated-first")
        key = ring.new_data_key("rotated-first")
        assert ring.unwrap("rotated-first", key.wrapped) == key.plain

    def test_destroyed_keys_unwrap_nothing_for_ever(self, ring: KeyRing, reopened: KeyRing) -> None:
        keys = [ring.new_data_key("destroyed")]
        ring.rotate("destroyed")
        keys.append(ring.new_data_key("destroyed"))
        kept = ring.new_data_key("not-destroyed")
        assert ring.destroy("destroyed") is True
        assert ring.destroy("destroyed") is False
        self._all_destroyed((ring, reopened), keys)
        # Also once the tenant has keys again.
        again = ring.new_data_key("destroyed")
        ring.rotate("destroyed")
        self._all_destroyed((ring, reopened), keys)
        assert ring.unwrap("destroyed", again.wrapped) == again.plain
        assert ring.unwrap("not-destroyed", kept.wrapped) == kept.plain

    def _all_destroyed(self, rings: tuple[KeyRing, ...], keys: list[DataKey]) -> None:
        for ring in rings:
            for key in keys:
                with pytest.raises(KeyDestroyed):
                    ring.unwrap("destroyed", key.wrapped)

    def test_a_tenant_without_keys_has_none_to_destroy(self, ring: KeyRing) -> None:
        assert ring.destroy("never-there") is False

    def test_what_is_no_wrapped_data_key_is_unwrapped_by_none(self, ring: KeyRing) -> None:
        key = ring.new_data_key("damaged")
        middle = len(key.wrapped) // 2
        flipped = bytes([key.wrapped[middle] ^ 1])
        for damaged in (
            b"",
            b"x",
            b"\xff" * 60,
            "ä".encode(),
            key.wrapped[:-1],
            key.wrapped[:middle],
            key.wrapped[1:],
            key.wrapped[:middle] + flipped + key.wrapped[middle + 1 :],
            key.wrapped * (MOST_WRAPPED_BYTES // len(key.wrapped) + 1),
        ):
            with pytest.raises(KeyDestroyed):
                ring.unwrap("damaged", damaged)

    def test_threads_share_a_ring(self, ring: KeyRing) -> None:
        found: list[bool] = []

        def work() -> None:
            for _ in range(5):
                key = ring.new_data_key("threads")
                found.append(ring.unwrap("threads", key.wrapped) == key.plain)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 30

    def test_a_data_key_shows_its_plain_form_to_no_log(self, ring: KeyRing) -> None:
        key = ring.new_data_key("shown")
        assert repr(key.plain) not in repr(key)
        assert key.plain.hex() not in repr(key)

    def test_a_ring_that_answers_passes_its_check(self, ring: KeyRing) -> None:
        ring.check()

    def test_a_ring_out_of_reach_destroys_nothing(self, ring: KeyRing, unreachable: Unreachable) -> None:
        key = ring.new_data_key("waiting")
        with unreachable():
            for call in (
                ring.check,
                lambda: ring.new_data_key("waiting"),
                lambda: ring.unwrap("waiting", key.wrapped),
                lambda: ring.rotate("waiting"),
                lambda: ring.destroy("waiting"),
            ):
                with _unavailable():
                    call()
        wait_until(lambda: _answers(ring))
        assert ring.unwrap("waiting", key.wrapped) == key.plain


def _answers(ring: KeyRing) -> bool:
    try:
        ring.check()
    except KeysUnavailable:
        return False
    return True


@contextmanager
def _unavailable() -> Iterator[None]:
    with pytest.raises(KeysUnavailable) as raised:
        yield
    assert str(raised.value)
