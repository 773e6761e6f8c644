import shlex

from cqox.api.flags import flag_of, flags_of_mapping, flags_of_pairs, flags_of_remedy
from cqox.cli.arguments import mapping_of


def test_flags_of_a_mapping_give_the_same_mapping_again():
    mapping = {"y": "売上, 税込", "unit_id": "-id", "covariates": ["a, b", 'c"d', "e"], "instrument": ["z"]}
    words = flags_of_mapping(mapping)
    assert words[0] == ["--y", "売上, 税込"]
    assert words[1] == ["--unit-id=-id"]
    given: dict[str, list[str]] = {}
    for each in words:
        flag, _, value = each[0].partition("=")
        role = flag.removeprefix("--").replace("-", "_")
        given[role] = [value] if len(each) == 1 else each[1:]
    assert mapping_of(given) == mapping


def test_flag_of_a_role_has_no_underscore():
    assert flag_of("unit_id") == "--unit-id"


def test_values_of_options_are_text_or_json():
    pairs = flags_of_pairs("--option", {"se": "HC3", "drop_rows": [{"rows": [1]}], "alpha": 0.1})
    assert pairs[1] == ["--option", 'drop_rows=[{"rows": [1]}]']
    assert shlex.join(pairs[2]) == "--option alpha=0.1"


def test_a_remedy_is_given_at_the_upload_or_at_the_analysis():
    upload = {"at": "upload", "parameters": {"header_rows": "2"}}
    analysis = {"at": "analyze", "parameters": {"mapping": {"y": "a"}, "accept": ["x"]}}
    assert list(flags_of_remedy(upload)) == [["--read", "header_rows=2"]]
    assert list(flags_of_remedy(analysis)) == [["--y", "a"], ["--option", 'accept=["x"]']]
    assert list(flags_of_remedy(None)) == []


def test_a_command_that_only_reads_is_given_options_of_reading() -> None:
    rows = {"at": "analyze", "parameters": {"drop_rows": [{"rows": [3]}], "yes_no": ["x"], "mapping": {"y": "a"}}}
    assert list(flags_of_remedy(rows, reading=True)) == [["--read", 'drop_rows=[{"rows": [3]}]']]
