import pytest

from cqox.certificates.identity import identity_of, is_identity


@pytest.mark.parametrize("text", ["spiffe://cqox/gateway", "spiffe://prod.example/ns/cqox/sa/engine-1"])
def test_a_spiffe_id_of_a_workload_is_an_identity(text: str) -> None:
    assert is_identity(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://cqox",
        "spiffe://cqox/",
        "spiffe://cqox//a",
        "spiffe://cqox/a/",
        "spiffe://cqox/../a",
        "spiffe://cqox/a?b",
        "spiffe://Cqox/a",
        "spiffe://cqox/" + "a" * 2048,
        "https://cqox/gateway",
        " spiffe://cqox/gateway",
        "spiffe://cqox/gateway\n",
    ],
)
def test_nothing_else_is_one(text: str) -> None:
    assert not is_identity(text)


@pytest.mark.parametrize(
    ("names", "identity"),
    [
        ((("DNS", "engine"), ("URI", "spiffe://cqox/engine")), "spiffe://cqox/engine"),
        ((("DNS", "spiffe://cqox/engine"),), ""),
        ((("URI", "https://cqox/engine"),), ""),
        # A certificate with several URIs is no SPIFFE certificate.
        ((("URI", "spiffe://cqox/engine"), ("URI", "spiffe://cqox/gateway")), ""),
        ((), ""),
    ],
)
def test_the_identity_is_the_only_uri_of_a_certificate(names: tuple[tuple[str, str], ...], identity: str) -> None:
    assert identity_of({"subjectAltName": names}) == identity


def test_without_a_certificate_there_is_no_identity() -> None:
    assert identity_of(None) == identity_of({}) == ""
