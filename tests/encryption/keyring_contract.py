"""The contract of `KeyRing`; a test module of each ring imports these tests and has a fixture `ring`."""

import threading

import pytest

from cqox.encryption import KEY_BYTES, MOST_WRAPPED_BYTES, DataKey, KeyDestroyed, KeyRing

__all__ = [
    "test_a_data_key_is_unwrapped_for_its_tenant_alone",
    "test_a_destroyed_key_unwraps_nothing_and_a_new_one_is_another",
    "test_after_a_rotation_both_are_unwrapped_and_the_new_one_is_current",
    "test_changed_wrapped_keys_are_refused",
    "test_many_threads_get_keys_of_one_tenant",
    "test_no_secret_is_in_what_is_shown",
]


def test_a_data_key_is_unwrapped_for_its_tenant_alone(ring: KeyRing) -> None:
    ring.check()
    one, two = ring.new_data_key("acme"), ring.new_data_key("acme")
    other = ring.new_data_key("other")
    assert one.plain != two.plain != other.plain
    for key in (one, two):
        assert len(key.plain) == KEY_BYTES
        assert len(key.wrapped) <= MOST_WRAPPED_BYTES
        assert key.plain not in key.wrapped
        assert ring.unwrap("acme", key.wrapped) == key.plain
        for tenant in ("other", "nobody"):
            with pytest.raises(KeyDestroyed):
                ring.unwrap(tenant, key.wrapped)


def test_changed_wrapped_keys_are_refused(ring: KeyRing) -> None:
    wrapped = ring.new_data_key("acme").wrapped
    changed = [
        wrapped[:-1] + bytes([wrapped[-1] ^ 1]),
        wrapped[:-2],
        b"",
        b"x",
        b"vault:v9:AAAA",
        b"file:9:" + bytes(60),
    ]
    for each in changed:
        with pytest.raises(KeyDestroyed):
            ring.unwrap("acme", each)


def test_after_a_rotation_both_are_unwrapped_and_the_new_one_is_current(ring: KeyRing) -> None:
    old = ring.new_data_key("acme")
    assert ring.is_current("acme", old.wrapped)
    ring.rotate("acme")
    assert not ring.is_current("acme", old.wrapped)
    new = ring.new_data_key("acme")
    assert ring.is_current("acme", new.wrapped)
    assert ring.unwrap("acme", old.wrapped) == old.plain
    assert ring.unwrap("acme", new.wrapped) == new.plain


def test_a_destroyed_key_unwraps_nothing_and_a_new_one_is_another(ring: KeyRing) -> None:
    lost, kept = ring.new_data_key("acme"), ring.new_data_key("other")
    ring.rotate("acme")
    assert ring.destroy("acme") is True
    assert ring.destroy("acme") is False
    with pytest.raises(KeyDestroyed):
        ring.unwrap("acme", lost.wrapped)
    assert ring.unwrap("other", kept.wrapped) == kept.plain
    again = ring.new_data_key("acme")
    assert ring.unwrap("acme", again.wrapped) == again.plain
    with pytest.raises(KeyDestroyed):
        ring.unwrap("acme", lost.wrapped)


def test_many_threads_get_keys_of_one_tenant(ring: KeyRing) -> None:
    found: list[DataKey] = []
    threads = [threading.Thread(target=lambda: found.append(ring.new_data_key("acme"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.plain for key in found}) == 16
    assert [ring.unwrap("acme", key.wrapped) for key in found] == [key.plain for key in found]


def test_no_secret_is_in_what_is_shown(ring: KeyRing) -> None:
    key = ring.new_data_key("acme")
    assert key.plain.hex() not in repr(key)
    assert repr(key.plain) not in repr(key)
