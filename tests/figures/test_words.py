from cqox.figures._words import short


def test_text_is_cut_by_its_width_and_japanese_is_twice_as_wide():
    assert short("a" * 48) == "a" * 48
    assert short("a" * 49).endswith("…")
    assert short("売" * 24) == "売" * 24
    assert len(short("売" * 40)) < 25
