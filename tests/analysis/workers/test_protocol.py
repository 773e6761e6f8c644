import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.analysis.workers.protocol import Decoder, Frame, FrameError, encode

bodies = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=4)
frames = st.builds(
    Frame,
    kind=st.sampled_from(["ready", "task", "progress", "log", "result", "error"]),
    job=st.integers(0, 10**9),
    body=bodies,
    payload=st.binary(max_size=200),
)


@given(st.lists(frames, max_size=5), st.integers(1, 40))
def test_frames_survive_being_cut_into_pieces_of_any_size(sent: list[Frame], piece: int) -> None:
    stream = b"".join(encode(frame) for frame in sent)
    decoder = Decoder()
    received = [
        frame for start in range(0, len(stream), piece) for frame in decoder.feed(stream[start : start + piece])
    ]
    assert received == sent


def test_nan_is_refused_because_json_cannot_carry_it() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(Frame(kind="result", job=1, body={"value": float("nan")}))


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x00\x00\x00\x02" + b"\x00" * 8 + b"[]",
        b"\x00\x00\x00\x20" + b"\x00" * 8 + b'{"kind":"x","job":1,"body":{}}  ',
    ],
)
def test_bytes_that_are_no_frame_are_refused(garbage: bytes) -> None:
    with pytest.raises(FrameError):
        list(Decoder().feed(garbage))


def test_a_frame_longer_than_any_is_refused_from_its_lengths_alone() -> None:
    for lengths in ((64 * 1024 * 1024 + 1, 0), (0, 1024 * 1024 * 1024 + 1)):
        with pytest.raises(FrameError):
            list(Decoder().feed(struct.pack(">IQ", *lengths)))
    assert not list(Decoder().feed(struct.pack(">IQ", 64 * 1024 * 1024, 1024 * 1024 * 1024)))
