"""A stand-in for an object store: the two requests of the S3 protocol that reading needs, on loopback.

A real one (MinIO, AWS) is not available to the tests; signatures are not checked.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = ["serve_objects"]

_DATE = "2026-01-01T00:00:00.000Z"


@contextmanager
def serve_objects(bucket: str, objects: Mapping[str, bytes]) -> Iterator[str]:
    """Serve the objects of one bucket; yield the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            owner, _, key = unquote(parts.path).lstrip("/").partition("/")
            if owner != bucket:
                self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
            elif not key:
                prefix = parse_qs(parts.query).get("prefix", [""])[0]
                self._answer(
                    200, _listing(bucket, {name: objects[name] for name in objects if name.startswith(prefix)})
                )
            elif key in objects:
                self._answer(200, objects[key])
            else:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _listing(bucket: str, objects: Mapping[str, bytes]) -> bytes:
    contents = "".join(
        f"<Contents><Key>{escape(name)}</Key><LastModified>{_DATE}</LastModified><ETag>&quot;1&quot;</ETag>"
        f"<Size>{len(content)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for name, content in sorted(objects.items())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix/><KeyCount>{len(objects)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    ).encode()
