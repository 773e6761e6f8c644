import pytest

from cqox.analysis.workers.reply import Reply

REPLY = Reply(
    body={"object": {"a": 1}, "array": [1, None], "objects": [{"a": 1}, {}], "text": "x", "empty": []}, payload=b""
)


def test_members_of_the_expected_kind_are_returned_as_they_are() -> None:
    assert REPLY.object("object") == {"a": 1}
    assert REPLY.array("array") == [1, None]
    assert REPLY.objects("objects") == [{"a": 1}, {}]
    assert REPLY.objects("empty") == REPLY.array("empty") == []


@pytest.mark.parametrize("name", ["array", "text"])
def test_a_member_that_is_no_object_is_refused_with_its_type(name: str) -> None:
    with pytest.raises(TypeError, match=type(REPLY.body[name]).__name__):
        REPLY.object(name)


@pytest.mark.parametrize("name", ["object", "text"])
def test_a_member_that_is_no_array_is_refused_with_its_type(name: str) -> None:
    for read in (REPLY.array, REPLY.objects):
        with pytest.raises(TypeError, match=type(REPLY.body[name]).__name__):
            read(name)


def test_an_array_with_one_item_that_is_no_object_is_refused() -> None:
    with pytest.raises(TypeError, match="int"):
        REPLY.objects("array")


def test_a_member_that_is_absent_is_an_error() -> None:
    with pytest.raises(KeyError):
        REPLY.object("absent")
