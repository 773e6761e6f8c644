from random import Random

from cqox import randomness


def draws() -> list[object]:
    return [randomness.token_hex(16), randomness.token_urlsafe(24), randomness.uuid4(), randomness.unit()]


def test_what_is_drawn_has_its_form_and_differs() -> None:
    assert len(randomness.token_hex(16)) == 32
    assert len(randomness.token_urlsafe(24)) == 32
    assert randomness.uuid4().version == 4
    assert 0 <= randomness.unit() < 1
    assert set(draws()).isdisjoint(draws())


def test_a_seed_determines_what_is_drawn_while_it_is_installed() -> None:
    with randomness.installed(Random(1)):
        first = draws()
    with randomness.installed(Random(1)):
        assert draws() == first
    assert draws() != first
