import pytest

from cqox.errors import NotAuthenticated, NotFound
from cqox.security import GATEWAY, LOCAL, HopKeys, Principal, Refusal, digest_of, encode, granted, new_key
from services.engine.authentication import HopAuthenticator

KEYS = HopKeys(["k" * 32])
NOW = 1_800_000_000.0
KEY = new_key()
READER = Principal(subject="key:a", tenant="acme", roles=("reader",), permissions=granted(["reader"]), kind="key")


async def resolve(key_id: str, digest: bytes) -> Principal | Refusal:
    return READER if digest == digest_of(KEY) else Refusal("unknown")


def authenticator(keys: HopKeys | None = KEYS) -> HopAuthenticator:
    return HopAuthenticator(keys, admin_token="operator", resolve=resolve, clock=lambda: NOW)


def scope_of(
    *headers: tuple[bytes, bytes], method: str = "GET", path: str = "/api/datasets", query: bytes = b"", **state: object
) -> dict[str, object]:
    return {
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [*headers],
        "state": state,
    }


def signed(
    principal: Principal,
    *,
    method: str = "GET",
    target: bytes = b"/api/datasets",
    now: float = NOW,
    keys: HopKeys = KEYS,
) -> tuple[tuple[bytes, bytes], ...]:
    text = encode(principal)
    signature = keys.sign(text, method=method, target=target, now=now)
    return (b"x-cqox-principal", text.encode()), (b"x-cqox-principal-signature", signature.encode())


@pytest.mark.parametrize("principal", [READER, GATEWAY])
def test_a_signed_principal_is_taken(principal: Principal) -> None:
    assert authenticator().recall(scope_of(*signed(principal))) == principal


def test_the_signature_covers_the_query() -> None:
    fields = signed(READER, target=b"/api/datasets?limit=1")
    assert authenticator().recall(scope_of(*fields, query=b"limit=1")) == READER
    with pytest.raises(NotAuthenticated):
        authenticator().recall(scope_of(*fields, query=b"limit=2"))


@pytest.mark.parametrize(
    "fields",
    [
        (),
        signed(READER)[:1],
        signed(READER, now=NOW - 61),
        signed(READER, now=NOW + 62),
        signed(READER, method="DELETE"),
        signed(READER, target=b"/api/jobs"),
        signed(READER, keys=HopKeys(["o" * 32])),
        signed(LOCAL),
        (*signed(READER), signed(READER)[0]),
        (*signed(READER), signed(READER)[1]),
        (signed(READER)[0], (b"x-cqox-principal-signature", b"\xff\xfe")),
        ((b"x-cqox-principal", b"\xff\xfe"), signed(READER)[1]),
        ((b"x-cqox-principal", b""), signed(READER)[1]),
        ((b"authorization", f"Bearer {KEY.text}".encode()),),
        ((b"authorization", b"Bearer operator"),),
    ],
)
def test_anything_else_is_refused(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(NotAuthenticated):
        authenticator().recall(scope_of(*fields))


def test_a_principal_of_another_cannot_take_a_signature() -> None:
    steward = Principal(
        subject="key:b", tenant="acme", roles=("steward",), permissions=granted(["steward"]), kind="key"
    )
    with pytest.raises(NotAuthenticated):
        authenticator().recall(scope_of((b"x-cqox-principal", encode(steward).encode()), signed(READER)[1]))


def test_the_certificate_of_a_gateway_needs_no_signature() -> None:
    fields = signed(READER)[:1]
    assert authenticator(None).recall(scope_of(*fields, peer="spiffe://cqox/gateway")) == READER
    for peer in ("spiffe://cqox/engine", "", None, "spiffe://cqox/gateway/x"):
        with pytest.raises(NotAuthenticated):
            authenticator(None).recall(scope_of(*fields, peer=peer))
    with pytest.raises(NotAuthenticated):
        authenticator(None).recall(scope_of(*signed(READER)))


@pytest.mark.trio
async def test_keys_are_taken_for_operations_of_the_engine_itself_alone() -> None:
    engine = authenticator()
    scope = scope_of((b"authorization", f"Bearer {KEY.text}".encode()), path="/metrics")
    assert engine.recall(scope) is None
    assert await engine.look_up(scope) == READER
    operator = engine.recall(scope_of((b"authorization", b"Bearer operator"), path="/api/admin/policies"))
    assert operator is not None
    assert operator.kind == "operator"
    for text in ("nobody", new_key().text[:-1]):
        with pytest.raises(NotAuthenticated):
            engine.recall(scope_of((b"authorization", f"Bearer {text}".encode()), path="/metrics"))
    with pytest.raises(NotAuthenticated):
        await engine.look_up(scope_of((b"authorization", f"Bearer {new_key().text}".encode()), path="/metrics"))
    with pytest.raises(NotAuthenticated):
        engine.recall(scope_of(path="/metrics"))


def test_the_principal_of_an_erased_tenant_opens_nothing_although_its_token_is_valid() -> None:
    erased = HopAuthenticator(
        KEYS, admin_token="", resolve=resolve, is_erased=lambda tenant: tenant == "acme", clock=lambda: NOW
    )
    with pytest.raises(NotFound):
        erased.recall(scope_of(*signed(READER)))
    assert erased.recall(scope_of(*signed(GATEWAY))) == GATEWAY
