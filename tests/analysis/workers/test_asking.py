import pytest

from cqox.analysis.workers.asking import ask, asking


def test_a_question_is_answered_inside_the_context_alone() -> None:
    with asking(lambda question: str(question["number"]).encode()):
        assert ask({"number": 3}) == b"3"
    with pytest.raises(RuntimeError, match="no engine answers"):
        ask({})
