from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.config.hosts import AllowedHosts, Authority, parse_authority


def answers(listed: str, host: str, *, listens_on: str = "127.0.0.1") -> bool:
    authority = parse_authority(host.encode())
    assert authority is not None
    return AllowedHosts(listed, listens_on=listens_on).answers_to(authority)


@pytest.mark.parametrize(
    ("field", "host", "port"),
    [
        (b"localhost", "localhost", None),
        (b"LocalHost.:8082", "localhost", 8082),
        (b"localhost:", "localhost", None),
        (b"my_service-1.lan:00080", "my_service-1.lan", 80),
        (b"xn--r8jz45g.jp", "xn--r8jz45g.jp", None),
        (b"a" * 63 + b".example", "a" * 63 + ".example", None),
    ],
)
def test_a_name_is_compared_in_lower_case_without_dot_and_port(field: bytes, host: str, port: int | None) -> None:
    assert parse_authority(field) == Authority(host, port)


@pytest.mark.parametrize(
    ("field", "host"),
    [
        (b"127.0.0.1", "127.0.0.1"),
        (b"10.1.2.3.:80", "10.1.2.3"),
        (b"[::1]:8082", "::1"),
        (b"[2001:DB8:0::1]", "2001:db8::1"),
        (b"[::ffff:10.0.0.1]", "::ffff:10.0.0.1"),
        (b"[fe80::1%25eth0]:1", "fe80::1%25eth0"),
        (b"[fe80::1%eth0]", "fe80::1%eth0"),
    ],
)
def test_an_address_is_always_answered_to(field: bytes, host: str) -> None:
    parsed = parse_authority(field)
    assert parsed is not None
    assert (parsed.host, parsed.is_address) == (host, True)
    assert AllowedHosts().answers_to(parsed)


@pytest.mark.parametrize(
    "field",
    [
        *(b"", b":", b":80", b".", b"..", b"localhost..", b".localhost", b"a..b", b" ", b"local host"),
        *(b"[::1", b"::1]", b"::1", b"[]", b"[:::]", b"[localhost]", b"[127.0.0.1", b"[v1.x]", b"[::1]x", b"[::1]:x"),
        *(b"[fe80::1%]", b"[fe80::1%a b]", b"[fe80::1%a%b]", b"[::1]]", b"[[::1]]"),
        *(
            b"a:b",
            b"a:b:c",
            b"localhost:80:80",
            b"localhost:+80",
            b"localhost:-1",
            b"localhost:65536",
            b"localhost:999999",
        ),
        *(b"user@localhost", b"localhost/", b"localhost?x", b"localhost#", b"http://localhost", b"localhost,localhost"),
        *(b"%6cocalhost", b"localhost%00", b"localhost\x00", b"localhost\n", b"local\tname", b"*", b"*.example.com"),
        *(
            "例え.jp".encode(),
            "localhost\u3002".encode(),
            "１２７.0.0.1".encode(),
            b"\xff\xfe",
            "localhost:８０".encode(),
        ),
        *(
            b"a" * 64,
            b"x." + b"a" * 64 + b".example",
            b"abcdefghi." * 26,
            b"a" * 100_000,
            b"a." * 200,
            b"[" + b"1:" * 100_000,
            b"localhost:" + b"8" * 100_000,
        ),
    ],
)
def test_a_malformed_host_is_none(field: bytes) -> None:
    assert parse_authority(field) is None


@given(st.one_of(st.binary(max_size=400), st.text("[]:.%@/*-_ aA1fF\u3002é", max_size=60).map(str.encode)))
@example(b"[::1")
@example(b"[fe80::1%25]")
def test_no_bytes_are_too_odd_to_be_judged(field: bytes) -> None:
    parsed = parse_authority(field)
    if parsed is None:
        return
    assert parsed.host
    assert parsed.host == parsed.host.lower() or parsed.is_address
    assert parsed.port is None or 0 <= parsed.port <= 65_535
    for listed in ("", "*", "*.example.com, a*", "localhost"):
        assert AllowedHosts(listed).answers_to(parsed) in (True, False)
    # What a browser takes from a foreign name can only be that name.
    if not parsed.is_address and not parsed.is_loopback_name:
        assert not AllowedHosts().answers_to(parsed)


@given(st.text(max_size=80))
@example("*" * 50)
@example("[::1")
@example("a\ud800")
def test_a_list_is_taken_or_refused_as_a_value(listed: str) -> None:
    with suppress(ValueError):
        AllowedHosts(listed)


@pytest.mark.parametrize("host", ["localhost", "cqox.localhost", "LOCALHOST", "a.b.localhost.:1", "127.0.0.1", "[::1]"])
def test_loopback_is_answered_to_without_a_list(host: str) -> None:
    assert answers("", host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "attacker.example",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "notlocalhost",
            "x-localhost",
        ),
        *("127.1", "2130706433", "0x7f.0.0.1", "256.1.1.1", "01.2.3.4", "localhost.localdomain", "gateway"),
    ],
)
def test_any_other_name_is_not(host: str) -> None:
    assert not answers("", host)


@pytest.mark.parametrize(
    ("listed", "host", "expected"),
    [
        ("cqox.example.com", "CQOX.example.com.:443", True),
        ("cqox.example.com", "other.example.com", False),
        ("cqox.example.com", "cqox.example.com.attacker.example", False),
        ("a, B.Example ,,", "b.example", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "evilexample.com", False),
        ("*.example.com", "example.com.attacker.example", False),
        ("engine-replica-*", "engine-replica-12", True),
        ("engine-replica-*", "engine-replica-", False),
        ("engine-replica-*", "engine-replica-1.attacker.example", False),
        ("*", "attacker.example", True),
        ("例え.jp", "xn--r8jz45g.jp", True),
    ],
)
def test_a_list_of_names_and_patterns(listed: str, host: str, expected: bool) -> None:
    assert answers(listed, host) is expected


@pytest.mark.parametrize(
    ("listens_on", "host", "expected"),
    [
        ("cqox.lan", "cqox.lan:8082", True),
        ("CQOX.lan.", "cqox.lan", True),
        ("cqox.lan", "other.lan", False),
        ("0.0.0.0", "cqox.lan", False),
        ("::", "cqox.lan", False),
        ("nonsense name", "nonsense", False),
    ],
)
def test_the_name_that_a_service_listens_on_is_its_own(listens_on: str, host: str, expected: bool) -> None:
    assert answers("", host, listens_on=listens_on) is expected


@pytest.mark.parametrize(
    "entry",
    [
        *("http://cqox.example.com", "cqox.example.com:8082", "cqox.example.com/", "cqox.example.com:", "a b", "a..b"),
        *(
            "*example.com",
            "example.*",
            "a.*.b",
            "**",
            "*.*",
            "*.",
            "*.10.0.0.7",
            "10.0.0.*",
            "a*b",
            "[::1]:80",
            "[::1",
            "user@host",
            "%61.example",
        ),
    ],
)
def test_an_entry_that_is_no_name_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host name: give names without scheme, port and path") as caught:
        AllowedHosts(f"localhost,{entry}")
    assert repr(entry) in str(caught.value)


def test_names_that_are_given_in_full_are_known() -> None:
    given = "cqox.example.com, *.example.org, engine-*, *, 10.0.0.5, [::1]"
    assert AllowedHosts(given, listens_on="here.example.com").named == (
        "10.0.0.5",
        "::1",
        "cqox.example.com",
        "here.example.com",
    )
    for everywhere in ("", "0.0.0.0", "::"):
        assert AllowedHosts("", listens_on=everywhere).named == ()
