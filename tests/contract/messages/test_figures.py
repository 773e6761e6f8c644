import copy

from cqox.contract.messages import joined, translate_figure, width
from cqox.contract.messages.message import as_json

LONG = "広告配信の効果は売上高を平均して増やす。"


def message(*texts, most=None):
    entry = as_json(joined(texts))
    return entry if most is None else {**entry, "width": most}


def spec(messages, **parts):
    return {"usermeta": {"messages": messages}, **parts}


def test_texts_are_translated_in_a_copy_that_has_no_messages():
    before = spec({"/title/text": message("a", "b")}, title={"text": "a b"}, height=3)
    kept = copy.deepcopy(before)
    assert translate_figure(before, "ja") == {"usermeta": {}, "title": {"text": "ab"}, "height": 3}
    assert before == kept


def test_in_english_the_copy_is_equal():
    before = spec({"/title/text": message("a", "b", most=1)}, title={"text": "a b"})
    after = translate_figure(before, "en")
    assert after == before
    assert after is not before
    assert translate_figure({"height": 3}, "ja") == {"height": 3}


def test_a_long_text_becomes_lines_after_translation_and_a_short_one_stays_text():
    messages = {"/title/text": message(LONG, LONG, most=30), "/axis/title": message("a", "b", most=30)}
    after = translate_figure(spec(messages, title={"text": f"{LONG} {LONG}"}, axis={"title": "a b"}), "ja")
    lines = after["title"]["text"]
    assert "".join(lines) == LONG + LONG
    assert len(lines) == 3
    assert max(map(width, lines)) <= 30
    assert after["axis"]["title"] == "ab"


def test_lines_of_a_list_take_the_place_of_their_text():
    texts = [f"{number} {LONG}" for number in range(12)]
    messages = {f"/subtitle/{number}": message(str(number), LONG, most=24) for number in range(12)}
    lines = translate_figure(spec(messages, subtitle=texts), "ja")["subtitle"]
    assert len(lines) == 24
    assert "".join(lines) == "".join(f"{number}{LONG}" for number in range(12))


def test_a_pointer_into_a_row_stands_for_every_row_with_this_text_in_this_field():
    rows = [{"arm": "a b", "names": ["x", "a b"]}, {"arm": "a b", "x": "a b"}, {"arm": "c", "names": ["a b"]}]
    messages = {"/data/values/0/arm": message("a", "b"), "/data/values/0/names/1": message("a", "b")}
    after = translate_figure(spec(messages, data={"values": rows}), "ja")["data"]["values"]
    assert after == [{"arm": "ab", "names": ["x", "ab"]}, {"arm": "ab", "x": "a b"}, {"arm": "c", "names": ["a b"]}]


def test_what_does_not_fit_is_ignored():
    messages = {
        "": message("a", "b"),
        "/title": {"code": "text.sentences"},
        "/gone/0": message("a", "b"),
        "/data/values/7/arm": message("a", "b"),
        "/data/values/1": message("a", "b"),
        "/height": message("a", "b"),
        "/x": "text",
    }
    parts = {"title": "a b", "height": 3, "data": {"values": [{"arm": "a b"}, 7]}, "x": "a b"}
    assert translate_figure(spec(messages, **parts), "ja") == {"usermeta": {}, **parts}
    assert translate_figure({"usermeta": {"messages": []}}, "ja") == {"usermeta": {}}
