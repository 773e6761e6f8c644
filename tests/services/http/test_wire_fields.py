"""Fields that are checked at once make the message that h11 makes of them, or its error."""

from collections.abc import Callable

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from services.http.wire_fields import wire_fields

type Fields = list[tuple[bytes, bytes]]

NAMES = st.sampled_from([b"Host", b"etag", b"X-A", b"Content-Length", b"transfer-encoding", b"x_y", b"x y", b"", b"x:"])
VALUES = st.one_of(
    st.sampled_from(
        [
            b"",
            b"a",
            b"a b\tc",
            b" a",
            b"a ",
            b"5",
            b"5, 5",
            b"05",
            b"-5",
            b"9" * 16,
            b"chunked",
            b"a\r\nb: c",
            b"a\nb",
            b"\n",
        ]
    ),
    st.binary(max_size=3),
)


def outcome(make: Callable[[], h11.Response]) -> object:
    try:
        made = make()
    except h11.LocalProtocolError as error:
        return str(error), error.error_status_hint
    return list(made.headers), made.headers.raw_items()


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
@example([(b"content-length", b"5"), (b"Content-Length", b"6")])
@example([(b"transfer-encoding", b"5")])
@example([(b"a", b"b\n")])
@example([(b"a\n", b"b")])
@example([(b"a", b"b\nc:d")])
@example([(b"a", b"b\nc"), (b"d\ne", b"f")])
@example([(b"a\nb", b"c")])
def test_a_message_is_the_one_that_h11_makes(fields: Fields) -> None:
    ours = outcome(lambda: h11.Response(status_code=200, headers=wire_fields(fields)))
    assert ours == outcome(lambda: h11.Response(status_code=200, headers=fields))


def test_usual_fields_are_not_checked_again() -> None:
    usual = [(b"Content-Type", b"application/json; charset=utf-8"), (b"content-length", b"12"), (b"empty", b"")]
    assert not isinstance(wire_fields(usual), list)
    assert isinstance(wire_fields([*usual, (b"x", b"\xe9")]), list)
