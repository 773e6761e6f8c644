from pathlib import Path
from random import Random

import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.errors import EngineUnavailable, NotAuthenticated, RateLimited
from cqox.security import Principal, Refusal, Verdict, digest_of, granted, new_key
from cqox.telemetry import metric_definitions
from services.config.settings import Settings
from services.gateway.app import create_app
from services.gateway.authentication import KeyAuthenticator
from services.http.response.challenges import challenge_of
from tests.measured import Measured

KEY = new_key()
HOLDER = Principal(
    subject=f"key:{KEY.key_id}", tenant="acme", roles=("reader",), permissions=granted(["reader"]), kind="key"
)


def scope_of(*values: bytes) -> dict[str, object]:
    return {"type": "http", "headers": [(b"host", b"x"), *((b"authorization", value) for value in values)]}


def with_key(text: str) -> dict[str, object]:
    return scope_of(b"Bearer " + text.encode())


class Engine:
    """Answers for an engine; counts the questions, and may be away or slow."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False
        self.verdict: Verdict = HOLDER
        self.answers: trio.Event | None = None

    async def __call__(self, key_id: str, digest: bytes) -> tuple[Verdict, float]:
        self.asked.append(key_id)
        if self.answers is not None:
            await self.answers.wait()
        if self.away:
            raise EngineUnavailable("away")
        return (self.verdict if digest == digest_of(KEY) else Refusal("unknown")), 60.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(engine: Engine, clock: Clock) -> KeyAuthenticator:
    return KeyAuthenticator(engine, admin_token="operator", clock=clock)


async def ask(keys: KeyAuthenticator, scope: dict[str, object]) -> Principal:
    return keys.recall(scope) or await keys.look_up(scope)


@pytest.mark.trio
async def test_a_key_is_asked_about_once_a_minute(engine: Engine, clock: Clock) -> None:
    keys = KeyAuthenticator(engine, admin_token="", clock=clock)
    for clock.now in (0.0, 30.0, 59.9):
        assert await ask(keys, with_key(KEY.text)) == HOLDER
    assert len(engine.asked) == 1
    clock.now = 60.1
    await ask(keys, with_key(KEY.text))
    assert len(engine.asked) == 2


@pytest.mark.trio
async def test_a_known_key_works_while_no_engine_answers_and_another_is_not_refused(
    engine: Engine, clock: Clock
) -> None:
    keys = KeyAuthenticator(engine, admin_token="", clock=clock)
    await ask(keys, with_key(KEY.text))
    engine.away, clock.now = True, 59.0
    assert await ask(keys, with_key(KEY.text)) == HOLDER
    with pytest.raises(EngineUnavailable):
        await ask(keys, with_key(new_key().text))
    clock.now = 61.0
    with pytest.raises(EngineUnavailable):
        await ask(keys, with_key(KEY.text))


@pytest.mark.trio
async def test_equal_keys_are_asked_about_together(engine: Engine, clock: Clock) -> None:
    keys, found = KeyAuthenticator(engine, admin_token="", clock=clock), []
    engine.answers = trio.Event()

    async def one() -> None:
        found.append(await ask(keys, with_key(KEY.text)))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        engine.answers.set()
    assert (len(found), len(engine.asked)) == (50, 1)


@pytest.mark.trio
async def test_those_who_wait_for_a_failed_question_fail_with_it(engine: Engine, clock: Clock) -> None:
    keys, failed = KeyAuthenticator(engine, admin_token="", clock=clock), []
    engine.answers, engine.away = trio.Event(), True

    async def one() -> None:
        try:
            await ask(keys, with_key(KEY.text))
        except EngineUnavailable as error:
            failed.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        engine.answers.set()
    assert (len(failed), len(engine.asked)) == (5, 1)


@pytest.mark.trio
async def test_a_cancelled_question_is_asked_by_the_next_who_waits(engine: Engine, clock: Clock) -> None:
    keys, found = KeyAuthenticator(engine, admin_token="", clock=clock), []
    engine.answers = trio.Event()
    leader = trio.CancelScope()

    async def leads() -> None:
        with leader:
            await ask(keys, with_key(KEY.text))

    async def follows() -> None:
        found.append(await ask(keys, with_key(KEY.text)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leads)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(follows)
        await trio.testing.wait_all_tasks_blocked()
        leader.cancel()
        await trio.testing.wait_all_tasks_blocked()
        engine.answers.set()
    assert (found, len(engine.asked)) == ([HOLDER], 2)


@pytest.mark.trio
async def test_a_flood_of_forged_keys_leaves_room_for_a_key_that_was_valid(engine: Engine, clock: Clock) -> None:
    keys = KeyAuthenticator(engine, admin_token="", clock=clock)
    await ask(keys, with_key(KEY.text))
    clock.now, engine.answers, limited = 61.0, trio.Event(), []

    async def forged() -> None:
        try:
            await ask(keys, with_key(new_key().text))
        except RateLimited as error:
            limited.append(error)
        except NotAuthenticated:
            pass

    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(forged)
        await trio.testing.wait_all_tasks_blocked()
        assert len(engine.asked) == 1 + 4
        assert len(limited) == 200 - 4 - 32
        nursery.start_soon(ask, keys, with_key(KEY.text))
        await trio.testing.wait_all_tasks_blocked()
        assert engine.asked.count(KEY.key_id) == 2
        engine.answers.set()


@pytest.mark.trio
async def test_one_forged_key_is_asked_about_once(engine: Engine, clock: Clock) -> None:
    keys, forged = KeyAuthenticator(engine, admin_token="", clock=clock), with_key(new_key().text)
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            await ask(keys, forged)
    assert len(engine.asked) == 1


@pytest.mark.trio
async def test_a_key_that_was_revoked_here_is_asked_about_at_once(engine: Engine, clock: Clock) -> None:
    keys = KeyAuthenticator(engine, admin_token="", clock=clock)
    await ask(keys, with_key(KEY.text))
    engine.verdict = Refusal("revoked")
    assert await ask(keys, with_key(KEY.text)) == HOLDER
    keys.forget(KEY.key_id)
    with pytest.raises(NotAuthenticated):
        await ask(keys, with_key(KEY.text))


def test_the_token_of_the_operator_needs_no_engine(keys: KeyAuthenticator, engine: Engine) -> None:
    operator = keys.recall(with_key("operator"))
    assert operator is not None
    assert (operator.kind, engine.asked) == ("operator", [])


PREFIXES = (b"", b"Bearer ", b"bearer\t", b"Basic ", b"Bearer cqox_", b"Bearer " + KEY.text.encode()[:-9])
SIZES = (1, 8185, 8186, 8192, 20_000)
HOSTILE = (
    st.builds(bytes.__add__, st.sampled_from(PREFIXES), st.binary(max_size=40))
    | st.sampled_from([b"Bearer " + b"a" * size for size in SIZES])
    | st.builds(lambda: b"Bearer " + new_key().text.encode())
)


def refuse(values: list[bytes]) -> None:
    keys = KeyAuthenticator(Engine(), admin_token="operator")
    refused: NotAuthenticated | None = None
    try:
        found = keys.recall(scope_of(*values)) or trio.run(keys.look_up, scope_of(*values))
    except NotAuthenticated as error:
        refused = error
    assert refused is not None, found
    challenge = challenge_of(refused)["WWW-Authenticate"]
    assert challenge in ("Bearer", 'Bearer error="invalid_request"', 'Bearer error="invalid_token"')


@settings(max_examples=300)
@given(values=st.lists(HOSTILE, max_size=3))
def test_hostile_fields_are_refused_with_a_valid_challenge(values: list[bytes]) -> None:
    refuse(values)


def test_thousands_of_damaged_keys_are_refused() -> None:
    random = Random(1)
    valid = b"Bearer " + KEY.text.encode()
    for _ in range(5000):
        damaged = bytearray(valid)
        for _ in range(random.randrange(1, 4)):
            place = random.randrange(len(damaged))
            match random.randrange(3):
                case 0:
                    damaged[place] ^= random.randrange(1, 256)
                case 1:
                    del damaged[place:]
                case _:
                    damaged.insert(place, random.randrange(256))
            damaged = damaged or bytearray(b"x")
        if bytes(damaged).strip().lower() != valid.lower():
            refuse([bytes(damaged)])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("hostile")
    return create_app(Settings(data_dir=folder, auth="keys", hop_key="k" * 32, admin_token="operator"))


@settings(max_examples=200)
@given(values=st.lists(HOSTILE, max_size=3), method=st.sampled_from(["GET", "POST", "DELETE", "BREW"]))
def test_the_whole_app_answers_hostile_fields_with_401(app, values: list[bytes], method: str) -> None:
    # The connection itself refuses line ends.
    values = [value.translate(None, b"\r\n") for value in values]
    sent: list[dict] = []

    async def exchange() -> None:
        app.authenticate_by(KeyAuthenticator(Engine(), admin_token="operator"))

        async def receive() -> dict:
            await trio.lowlevel.checkpoint()
            return {"type": "http.request", "body": b"", "more_body": False} if not sent else await trio.sleep_forever()

        async def send(message: dict) -> None:
            sent.append(message)

        scope = scope_of(*values) | {
            "method": method,
            "path": "/api/datasets",
            "raw_path": b"/api/datasets",
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
            "state": {},
            "extensions": {},
        }
        scope["headers"] = [(b"host", b"localhost"), *scope["headers"][1:]]
        await app(scope, receive, send)

    trio.run(exchange)
    assert sent[0]["status"] == 401
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"www-authenticate"].startswith(b"Bearer")


@pytest.mark.trio
async def test_a_key_has_its_number_of_requests_and_every_answer_says_what_is_left(tmp_path: Path) -> None:
    limited = create_app(Settings(data_dir=tmp_path, auth="keys", hop_key="k" * 32, requests_per_minute=2))
    limited.authenticate_by(KeyAuthenticator(Engine(), admin_token="operator"))
    client, headers = limited.test_client(), {"Authorization": "Bearer operator"}
    answers = [await client.get("/nowhere", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers] == [
        '"requests";r=1',
        '"requests";r=0',
        '"requests";r=0',
    ]
    assert int(answers[2].headers["Retry-After"]) >= 1
    # Health needs no principal, and strangers are refused before they are counted.
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get("/nowhere")).status_code == 401


@pytest.mark.parametrize("auth", ["local", "open"])
def test_without_keys_there_is_no_limit(tmp_path: Path, auth: str) -> None:
    assert create_app(Settings(data_dir=tmp_path, auth=auth, requests_per_minute=1)).quota is None


@pytest.mark.trio
@pytest.mark.parametrize(
    ("field", "error"), [("X-Request-Timeout-Ms", "ClientDeadline"), ("X-Envoy-Expected-Rq-Timeout-Ms", "504")]
)
async def test_a_stranger_who_waits_for_nothing_is_no_failure_of_the_service(
    tmp_path: Path, engine: Engine, measured: Measured, autojump_clock: trio.testing.MockClock, field: str, error: str
) -> None:
    engine.answers = trio.Event()
    app = create_app(Settings(data_dir=tmp_path, auth="keys", hop_key="k" * 32))
    app.authenticate_by(KeyAuthenticator(engine, admin_token=""))
    headers = {"Authorization": f"Bearer {new_key().text}", field: "5"}
    assert (await app.test_client().get("/api/datasets", headers=headers)).status_code == 504
    [seen] = measured.of(metric_definitions.HTTP_SERVER_DURATION)
    assert seen["error.type"] == error
