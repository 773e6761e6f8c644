import json

from cqox.contract.messages import Message, collect_messages, joined, pointer_of, restore_messages, translate_document

HELLO = joined(["a", "b"])


def test_messages_are_collected_by_pointer_and_translated_in_place() -> None:
    document = {"notes": [HELLO, "plain"], "a/b~c": {"d": HELLO}, "n": 1}
    messages = json.loads(json.dumps(collect_messages(document)))
    assert set(messages) == {"/notes/0", "/a~1b~0c/d"}
    written = json.loads(json.dumps(document))
    translate_document(written, messages, "ja")
    assert written == {"notes": ["ab", "plain"], "a/b~c": {"d": "ab"}, "n": 1}
    assert pointer_of("a/b~c", 0) == "/a~1b~0c/0"


def test_messages_are_restored_where_they_were_written() -> None:
    document = {"notes": [joined([HELLO, "c"]), "plain"]}
    written, messages = json.loads(json.dumps([document, collect_messages(document)]))
    restore_messages(written, messages)
    assert written == document
    assert isinstance(written["notes"][0], Message)
    assert not isinstance(written["notes"][1], Message)
    assert collect_messages(written) == messages


def test_pointers_and_messages_that_do_not_fit_are_ignored() -> None:
    good = {"code": "text.sentences", "params": {"sentences": ["a", "b"]}}
    document = {"x": "ab", "n": 1, "list": ["ab"]}
    messages = {
        "": good,
        "/n": good,
        "/gone/0": good,
        "/list/7": good,
        "/list/-1": good,
        "/n/0": good,
        "/x": {"code": "text.sentences"},
        "/list/0": {"code": "text.sentences", "params": []},
    }
    before = json.loads(json.dumps(document))
    translate_document(document, messages, "ja")
    assert document == before
    restore_messages(document, messages)
    assert document == before
