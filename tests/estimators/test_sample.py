from cqox.estimators.sample import listed


def test_a_list_names_the_first_few_labels_and_counts_the_others():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"


def test_a_list_is_one_in_other_languages():
    assert listed(["a", "b"]).in_language("ja") == "a、b"
    assert listed(["a", "b", "c", "d"], 2).in_language("ja") == "a、b、ほか2個"
