from itertools import pairwise

import pytest
from hypothesis import given, strategies

from cqox.errors import InvalidRequest, LimitExceeded
from services.http.request.multipart import Content, MultipartReader, Part

BOUNDARY = b"x7"


def form_of(*parts: tuple[str, bytes], boundary: bytes = BOUNDARY) -> bytes:
    made = b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (boundary, head.encode(), content)
        for head, content in parts
    )
    return made + b"--" + boundary + b"--\r\n"


def read(form: bytes, cuts: list[int] | None = None) -> list[tuple[Part, bytes]]:
    reader = MultipartReader(BOUNDARY)
    edges = [0, *sorted(cut % (len(form) + 1) for cut in cuts or []), len(form)]
    found: list[tuple[Part, bytes]] = []
    for start, end in pairwise(edges):
        for event in reader.feed(form[start:end]):
            if isinstance(event, Part):
                found.append((event, b""))
            elif isinstance(event, Content):
                found[-1] = (found[-1][0], found[-1][1] + event.data)
    reader.end()
    return found


almost_boundaries = (
    strategies.lists(
        strategies.sampled_from(
            [b"\r", b"\n", b"\r\n", b"--", b"-", b"\r\n--", b"\r\n--x", b"x", b"7", b"\r\n--y7", b"\x00\xff"]
        )
    )
    .map(b"".join)
    .filter(lambda content: b"\r\n--x7" not in b"\r\n" + content)
)


@given(almost_boundaries, strategies.lists(strategies.integers(min_value=0)))
def test_the_content_comes_out_byte_for_byte_wherever_the_stream_is_cut(content, cuts):
    assert read(form_of(('name="file"; filename="a.csv"', content), ('name="b"', b"1")), cuts) == [
        (Part("file", "a.csv"), content),
        (Part("b", None), b"1"),
    ]


def test_every_single_cut_gives_the_same_parts():
    form = form_of(('name="file"; filename="a.csv"', b"1,2\r\n"), ('name="b"', b""))
    for cut in range(len(form)):
        assert read(form, [cut]) == read(form)


def test_a_preamble_and_an_epilogue_are_ignored():
    form = b"before\r\n" + form_of(('name="a"', b"1")) + b"after\r\n--x7\r\n"
    assert read(form) == [(Part("a", None), b"1")]


def test_names_may_be_in_an_encoding_that_is_not_utf_8():
    form = form_of(('name="file"; filename="X.csv"', b"1")).replace(b"X.csv", "売.csv".encode("cp932"))
    assert read(form)[0][0].filename == "売.csv".encode("cp932").decode("utf-8", "replace")
    assert read(form)[0][1] == b"1"


def test_names_of_files_may_be_of_any_script():
    assert read(form_of(("name=\"file\"; filename*=UTF-8''%E5%A3%B2.csv", b"")))[0][0].filename == "売.csv"
    assert read(form_of(('name="file"; filename="売.csv"', b"")))[0][0].filename == "売.csv"


@pytest.mark.parametrize(
    "form",
    [
        b"--x7junk\r\n\r\n",
        # No client pads a boundary, though RFC 2046 lets it.
        b"--x7 \t\r\n\r\n",
        b"--x7\nContent-Disposition: form-data; name=a\n\n",
        b"--x7\r\n\r\nno head",
        b"--x7\r\nContent-Disposition: form-data\r\n\r\n",
        b"--x7\r\nContent-Disposition: attachment; name=a\r\n\r\n",
    ],
)
def test_what_is_no_form_is_refused(form):
    with pytest.raises(InvalidRequest):
        list(MultipartReader(BOUNDARY).feed(form))


def test_what_never_ends_does_not_fill_the_memory():
    reader = MultipartReader(BOUNDARY)
    for _ in range(100):
        assert list(reader.feed(bytes(10_000))) == []
    assert len(reader._parser._buffer) < 100
    with pytest.raises(LimitExceeded, match="a header line of more than 8,192 bytes"):
        list(reader.feed(b"\r\n--x7\r\nX: " + bytes(20_000)))


def test_a_form_whose_end_has_not_come_is_refused():
    reader = MultipartReader(BOUNDARY)
    whole = form_of(('name="a"', b"1"))
    list(reader.feed(whole[:-4]))
    with pytest.raises(InvalidRequest, match="truncated or malformed"):
        reader.end()
