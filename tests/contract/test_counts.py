from cqox.contract import counted


def test_a_count_has_the_number_of_its_noun() -> None:
    assert [counted(count, "data set") for count in (0, 1, 2)] == ["0 data sets", "1 data set", "2 data sets"]
