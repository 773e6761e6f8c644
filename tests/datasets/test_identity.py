"""The same bytes are the same data set, and the same bytes read otherwise are another."""

import hashlib

from cqox.datasets import ReadOptions, dataset_id


def test_the_id_is_the_digest_of_the_bytes_alone(tmp_path):
    content = b"y,w\n1,0\n" * 400_000
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "b.txt").write_bytes(content)
    expected = hashlib.blake2b(content, digest_size=16).hexdigest()
    assert dataset_id(tmp_path / "a.csv", ReadOptions()) == expected
    assert dataset_id(tmp_path / "b.txt", ReadOptions()) == expected


def test_every_option_that_differs_changes_the_id(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"y;w\n1;0\n")
    options = [
        ReadOptions(),
        ReadOptions(encoding="cp932"),
        ReadOptions(delimiter=";"),
        ReadOptions(decimal=","),
        ReadOptions(sheet="一"),
        ReadOptions(na=["-9"]),
        ReadOptions(na=[]),
    ]
    assert len({dataset_id(path, given) for given in options}) == len(options)


def test_the_same_options_in_other_words_give_the_same_id(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"y;w\n1;0\n")
    for one, other in (
        ({"encoding": "UTF8"}, {"encoding": "utf-8"}),
        ({"na": ["x", "y"]}, {"na": ("y", "x", "x")}),
    ):
        assert dataset_id(path, ReadOptions(**one)) == dataset_id(path, ReadOptions(**other))
