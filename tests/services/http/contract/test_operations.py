import pytest

from cqox.contract import AnalyzeRequest
from services.http.contract.operations import Answer, Operation
from services.http.security.audited import Audited


def made(**about: object) -> Operation:
    given = {"name": "do", "method": "GET", "path": "/api/do", "group": "G", "summary": "Do", "answers": ()}
    return Operation(**{"needs": None, "audited": Audited.NEVER} | given | about)


@pytest.mark.parametrize(
    ("about", "refusals"),
    [
        ({}, (400, 421)),
        ({"path": "/health/live"}, ()),
        ({"method": "DELETE"}, (400, 421, 403)),
        ({"method": "POST", "body": "file"}, (400, 421, 403)),
        ({"method": "PATCH", "body": "piece"}, (400, 421, 403)),
        ({"method": "POST", "body": AnalyzeRequest}, (400, 421, 403, 415)),
    ],
)
def test_the_checks_before_an_operation_depend_on_its_path_method_and_body(
    about: dict[str, object], refusals: tuple[int, ...]
) -> None:
    assert made(**about).refusals == refusals


def test_an_answer_is_200_unless_said_otherwise() -> None:
    assert (Answer(meaning="It.").status, Answer(meaning="It.").media) == (200, ())
