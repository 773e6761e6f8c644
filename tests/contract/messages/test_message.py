import copy
import math
import pickle

import pytest

from cqox.contract.messages import Message, joined, message_from, of
from cqox.contract.messages.message import as_json


def verbatim(text: object) -> Message:
    return Message("text.verbatim", text=text)


def test_a_message_is_its_english_sentence() -> None:
    message = joined([verbatim("One."), verbatim("Two.")])
    assert message == "One. Two."
    assert f"{message}" == "One. Two."
    assert (message.code, message.params) == ("text.sentences", {"sentences": ["One.", "Two."]})
    assert message.in_language("ja") == "One.Two."


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda message: pickle.loads(pickle.dumps(message))])
def test_copies_keep_code_and_parameters(again) -> None:
    message = again(joined([verbatim("One."), "Two."]))
    assert (message, message.code) == ("One. Two.", "text.sentences")
    assert message.params["sentences"][0].code == "text.verbatim"


def test_a_code_or_a_parameter_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        Message("text.absent")
    with pytest.raises(KeyError):
        Message("text.verbatim")
    with pytest.raises(TypeError, match="mapping"):
        verbatim({"a": 1})


def test_numpy_scalars_become_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    params = Message("text.clauses", clauses=[numpy.int64(3), numpy.float64(0.5), numpy.bool_(True)]).params
    assert [type(each) for each in params["clauses"]] == [int, float, bool]


def test_json_and_back() -> None:
    message = Message("text.clauses", clauses=[verbatim("a"), 1, math.inf, None])
    back = message_from(**as_json(message), english=str(message))
    assert back == message
    assert as_json(back) == as_json(message)
    assert back.in_language("ja") == "a；1；inf；None"


def test_a_message_that_the_catalogs_lost_shows_its_stored_sentence() -> None:
    old = message_from("text.gone", {"a": 1}, "As it was.")
    assert old.in_language("en") == "As it was."
    assert old.in_language("ja") == "[en] As it was."
    assert message_from("text.verbatim", {}, "Other parameters.").in_language("ja") == "[en] Other parameters."


def test_texts_without_a_code_stay_as_they_are() -> None:
    message = verbatim("a")
    assert of(message) is message
    assert of("b").in_language("ja") == "b"
