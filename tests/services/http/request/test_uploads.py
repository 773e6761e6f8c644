import hashlib

import httpx
import pytest
import trio
import trio.testing
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestTimeout

from cqox.errors import InvalidRequest, LimitExceeded
from cqox.tasks import open_task_group
from services.config.body_pace import BodyPace
from services.http.request.request import IncomingRequest
from services.http.request.uploads import receive_upload

TABLE = "id,y\n" + "".join(f"{row},{row * 0.5}\n" for row in range(2000))


def arriving(query: bytes = b"", **headers: str) -> IncomingRequest:
    scope = {"type": "http", "headers": [], "query_string": query}
    given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return IncomingRequest("POST", "http", "/", query, given, "", "1.1", scope, send_push_promise=None)


def arrived(content: bytes, *, step: int = 1000, query: bytes = b"", **headers: str) -> IncomingRequest:
    request = arriving(query, **headers)
    for start in range(0, len(content), step):
        request.body.set_result(content[start : start + step])
    request.body.set_complete()
    return request


def form(*, step: int = 1000, query: bytes = b"", fields=None, **files) -> IncomingRequest:
    made = httpx.Request("POST", "http://x/", files=files, data=fields)
    return arrived(made.read(), step=step, query=query, Content_Type=made.headers["Content-Type"])


def left_in(directory) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.trio
@pytest.mark.parametrize("step", [1, 7, 1000, 100_000])
async def test_the_file_of_a_form_arrives_byte_for_byte(tmp_path, step):
    content = TABLE[:5000].encode() + b"\r\n--almost a boundary\r\n\x00\xff"
    request = form(step=step, file=("C:\\data\\売上.csv", content), fields={"encoding": "cp932"})
    async with receive_upload(request, directory=tmp_path, max_bytes=10**6) as upload:
        assert upload.path.read_bytes() == content
        assert upload.name == "売上.csv"
        assert upload.size_bytes == len(content)
        assert upload.digest == hashlib.blake2b(content, digest_size=16).hexdigest()
        assert upload.fields == {"encoding": "cp932"}
    assert left_in(tmp_path) == []


@pytest.mark.trio
async def test_a_raw_body_of_any_content_type_is_named_by_the_query(tmp_path):
    request = arrived(
        TABLE.encode(), query=b"name=..%2F..%2Fetc%2Fpasswd&sheet=2", Content_Type="application/x-www-form-urlencoded"
    )
    async with receive_upload(request, directory=tmp_path, max_bytes=10**6) as upload:
        assert upload.path.read_text() == TABLE
        assert upload.path.parent == tmp_path
        assert (upload.name, upload.fields) == ("passwd", {"sheet": "2"})


@pytest.mark.trio
async def test_a_file_that_was_moved_away_stays(tmp_path):
    async with receive_upload(arrived(b"a\n1\n"), directory=tmp_path, max_bytes=100) as upload:
        assert upload.name == "upload"
        upload.path.rename(tmp_path / "kept")
    assert left_in(tmp_path) == ["kept"]


@pytest.mark.trio
@pytest.mark.parametrize("as_form", [False, True])
async def test_the_limit_is_on_the_file_itself_and_exact(tmp_path, as_form):
    content = bytes(5000)

    def make(size: int) -> IncomingRequest:
        return form(file=("a", content[:size])) if as_form else arrived(content[:size])

    async with receive_upload(make(4000), directory=tmp_path, max_bytes=4000) as upload:
        assert upload.size_bytes == 4000
    with pytest.raises(LimitExceeded, match=r"4,000 bytes\. .* CQOX_MAX_UPLOAD_BYTES"):
        async with receive_upload(make(4001), directory=tmp_path, max_bytes=4000):
            pass
    assert left_in(tmp_path) == []


@pytest.mark.trio
async def test_an_announced_length_beyond_the_limit_is_refused_before_a_byte_is_read(tmp_path):
    with pytest.raises(LimitExceeded):
        async with receive_upload(arriving(Content_Length=str(2**40)), directory=tmp_path, max_bytes=4000):
            pass


@pytest.mark.trio
async def test_a_client_that_goes_away_leaves_no_file_behind(tmp_path):
    request = arriving()

    async def receive() -> None:
        async with receive_upload(request, directory=tmp_path, max_bytes=10**7):
            raise AssertionError("the file is not whole")

    async with open_task_group() as group:
        group.start_soon(receive)
        for _ in range(30):
            await request.body.put(bytes(100_000))
        while not any(path.stat().st_size for path in tmp_path.iterdir()):
            await trio.sleep(0.001)
        group.cancel_scope.cancel()
    assert left_in(tmp_path) == []


@pytest.mark.trio
async def test_a_client_that_pauses_too_long_leaves_no_file_behind(tmp_path):
    request = arriving()
    await request.body.put(b"a,b\n")
    with pytest.raises(RequestTimeout):
        async with receive_upload(request, directory=tmp_path, max_bytes=100, pace=BodyPace(window_seconds=0.05)):
            pass
    assert left_in(tmp_path) == []


@pytest.mark.trio
@pytest.mark.parametrize(
    ("request_made", "said"),
    [
        (lambda: arrived(b""), "The body is empty"),
        (lambda: form(file=("a.csv", b"")), "The file is empty"),
        (lambda: form(fields={"a": "1"}, other=("a.csv", b"1")), "Send it in the field 'file'"),
        (lambda: arrived(b"--b\r\nX: 1\r\n", Content_Type="multipart/form-data; boundary=b"), "truncated or malformed"),
        (lambda: arrived(b"nothing", Content_Type="multipart/form-data; boundary=b"), "truncated or malformed"),
        (lambda: arrived(b"nothing", Content_Type="multipart/form-data"), "has no boundary parameter"),
        (
            lambda: arrived(
                b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
                Content_Type="multipart/form-data; boundary=b",
            ),
            "no field 'file'",
        ),
        (
            lambda: arrived(
                2 * b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n1\r\n' + b"--b--\r\n",
                Content_Type="multipart/form-data; boundary=b",
            ),
            "more than once",
        ),
        (lambda: arrived(b"1", query=b"name=a&name=b"), "2 times"),
    ],
)
async def test_a_request_without_one_whole_file_is_refused_with_the_reason(tmp_path, request_made, said):
    with pytest.raises(InvalidRequest) as caught:
        async with receive_upload(request_made(), directory=tmp_path, max_bytes=1000):
            pass
    assert said in caught.value.detail
    assert left_in(tmp_path) == []


@pytest.mark.trio
@pytest.mark.parametrize(
    "content",
    [
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + bytes(200_000),
        b"--b\r\nX-Long: " + bytes(400_000),
        b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n\r\n' % part for part in range(100)),
    ],
)
async def test_a_form_that_would_fill_the_memory_is_refused(tmp_path, content):
    with pytest.raises(LimitExceeded):
        async with receive_upload(
            arrived(content, step=60_000, Content_Type="multipart/form-data; boundary=b"),
            directory=tmp_path,
            max_bytes=10**6,
        ):
            pass
    assert left_in(tmp_path) == []
