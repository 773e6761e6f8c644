from math import inf

import pytest

from cqox.vault.token import RENEW_SHARE, Token


def auth(seconds: float, *, renewable: bool = True) -> dict[str, object]:
    return {"client_token": "planted", "lease_duration": seconds, "renewable": renewable}


def test_a_token_is_renewed_at_two_thirds_of_its_life() -> None:
    token = Token.of_login(auth(30), number=1, now=100.0)
    assert (token.ends, token.renew_at, token.is_renewable) == (130.0, 120.0, True)
    assert "planted" not in repr(token)
    again = token.renewed(auth(30), now=120.0)
    assert (again.value, again.number, again.ends, again.renew_at) == ("planted", 1, 150.0, 140.0)


def test_a_token_that_is_hardly_prolonged_is_replaced_at_once() -> None:
    token = Token.of_login(auth(30), number=1, now=0.0).renewed(auth(14), now=20.0)
    assert not token.is_renewable
    assert (token.renew_at, token.ends) == (20.0, 34.0)


def test_half_of_a_life_is_worth_a_renewal() -> None:
    token = Token.of_login(auth(30), number=1, now=0.0).renewed(auth(15), now=20.0)
    assert token.is_renewable
    assert token.renew_at == 20.0 + RENEW_SHARE * 15


def test_a_token_without_an_end_is_kept() -> None:
    token = Token.of_login(auth(0, renewable=False), number=1, now=0.0)
    assert token.ends == token.renew_at == inf


@pytest.mark.parametrize("given", [{}, {"client_token": ""}, {"client_token": "x"}, {"client_token": 5}])
def test_an_answer_without_a_token_is_none(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no token"):
        Token.of_login(given, number=1, now=0.0)


def test_a_failed_renewal_is_tried_again_in_a_while() -> None:
    token = Token.of_login(auth(30), number=1, now=0.0)
    assert token.later(now=20.0).renew_at == 22.5
    assert token.later(now=29.99).renew_at == pytest.approx(30.99)
    assert Token.of_login(auth(3600), number=1, now=0.0).later(now=2400.0).renew_at == 2405.0
