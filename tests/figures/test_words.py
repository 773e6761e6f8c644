from cqox.contract.messages import width
from cqox.figures._words import short, short_names


def test_text_is_cut_by_its_width_and_japanese_is_twice_as_wide():
    assert short("a" * 48) == "a" * 48
    assert short("a" * 49) == f"{'a' * 29}…{'a' * 18}"
    assert short("売" * 24) == "売" * 24
    assert len(short("売" * 40)) < 25


def test_the_end_of_a_long_name_stays_because_the_unit_stands_there():
    name = "月間売上高・全店舗合計・既存店ベース・前年同月比調整後の値（千円）"
    assert short(name, 32) == "月間売上高・全店舗…の値（千円）"
    assert short("revenue of all shops in the region, thousand yen", 32).endswith("thousand yen")
    for most in range(8, 60):
        assert width(short(name, most)) <= most


def test_names_that_would_look_alike_are_numbered():
    names = [f"店舗別の月間売上高の{number}年間の移動平均の対数（千円）" for number in range(3)]
    assert short_names(names, 60) == names
    cut = short_names(names, 20)
    assert len(set(cut)) == 3
    assert max(map(width, cut)) <= 20
    assert cut[1].endswith("(2)")
