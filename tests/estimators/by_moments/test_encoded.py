from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import Encoded, NotByMoments
from cqox.estimators.numerics.moments import Column
from tests.estimators.by_moments.tables_of import encoded, study


def test_a_role_has_its_expressions() -> None:
    found = encoded(study(clusters=40, weights=True))
    assert found.of("y") == (Column("y"),)
    assert found.of("covariates") == tuple(Column(f"x{number}") for number in range(4))
    assert found.of("cluster") == (Column("g0"),)
    assert found.of("pscore") == found.of("instrument") == ()
    assert isinstance(found, Encoded)


def test_a_refusal_keeps_its_reason() -> None:
    assert NotByMoments(Message("by_moments.few-rows")).why.code == "by_moments.few-rows"
