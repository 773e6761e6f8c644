import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.hosts import AllowedHosts, parse_authority
from services.http.request.origin import is_cross_site

LISTED = AllowedHosts("cqox.example.com,*.lab.example.com,gateway")


def refused(origin: str | None, site: str | None, host: str | None = "localhost:8082") -> bool:
    authority = None if host is None else parse_authority(host.encode())
    return is_cross_site(
        None if origin is None else origin.encode(), None if site is None else site.encode(), authority, LISTED
    )


@pytest.mark.parametrize("site", [None, "same-origin", "none"])
def test_a_program_and_a_page_of_the_service_itself_pass(site: str | None) -> None:
    assert not refused(None, site)
    assert not refused("http://localhost:8082", site)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin", "", "nonsense", "same-origin, cross-site"])
def test_what_the_browser_calls_another_site_is_refused_unless_the_origin_is_that_of_the_host(site: str) -> None:
    assert refused(None, site)
    assert refused("https://attacker.example", site)
    assert refused("http://localhost:3000", site)
    assert not refused("http://localhost:8082", site)


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "https://attacker.example",
            "http://localhost",
            "http://localhost:8083",
            "http://127.0.0.1:8082",
            "http://[::1]:8082",
        ),
        *("http://localhost:8082.attacker.example", "http://localhost:8082@attacker.example", "http://localhost:8082/"),
        *(
            "",
            "nonsense",
            "null, http://localhost:8082",
            "http://localhost:8082, http://localhost:8082",
            "//localhost:8082",
        ),
        *(
            "localhost:8082",
            "ftp://localhost:8082",
            "chrome-extension://localhost:8082",
            "file://",
            "http://[::1",
            "http://",
        ),
        *("http://evil-gateway", "http://lab.example.com", "http://x.cqox.example.com", "HTTP://localhost:8082"),
    ],
)
def test_a_foreign_or_malformed_origin_is_refused(origin: str) -> None:
    assert refused(origin, None)


@pytest.mark.parametrize("site", [None, "same-origin", "none", "cross-site"])
def test_an_opaque_origin_is_rejected_for_any_fetch_site(site: str | None) -> None:
    assert refused("null", site)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        # A proxy ends TLS and leaves the host as it is.
        ("https://cqox.lan", "cqox.lan"),
        ("https://cqox.lan", "cqox.lan:443"),
        ("http://cqox.lan:80", "CQOX.lan."),
        ("https://10.0.0.7:8443", "10.0.0.7:8443"),
        ("http://[2001:db8::1]:8082", "[2001:DB8:0::1]:8082"),
        # A proxy sends another host, and the name that the browser knows is listed.
        ("https://cqox.example.com", "127.0.0.1:8082"),
        ("https://cqox.example.com:8443", "gateway:8082"),
        ("https://a.lab.example.com", "gateway:8082"),
        ("https://cqox.example.com", None),
    ],
)
def test_the_page_behind_a_proxy_passes(origin: str, host: str | None) -> None:
    assert not refused(origin, None, host)


def test_every_name_allowed_is_no_page_trusted() -> None:
    host = parse_authority(b"localhost:8082")
    assert is_cross_site(b"https://attacker.example", None, host, AllowedHosts("*"))


def test_without_a_host_only_a_listed_page_passes() -> None:
    assert refused("http://localhost", None, None)
    assert not refused(None, None, None)


@given(st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=30)))
def test_no_bytes_are_too_odd_to_be_judged(origin: bytes, site: bytes | None) -> None:
    assert is_cross_site(origin, site, parse_authority(b"localhost"), LISTED) in (True, False)
