"""An OpenID provider on loopback that publishes one key and issues one access token."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import ECKey

__all__ = ["AUDIENCE", "issuer"]

AUDIENCE = "https://cqox.benchmark"

_LIFE_SECONDS = 3600


@contextmanager
def issuer(tenant: str, role: str) -> Iterator[tuple[str, str]]:
    """Serve discovery and keys; yield the address of the issuer, and a token for a tenant and a role."""
    key = ECKey.generate_key("P-256", parameters={"kid": "benchmark"})
    documents: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = documents[self.path]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            del format, arguments

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        described = {"issuer": address, "jwks_uri": f"{address}/keys"}
        documents["/.well-known/openid-configuration"] = json.dumps(described).encode()
        documents["/keys"] = json.dumps({"keys": [key.as_dict(private=False)]}).encode()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        now = int(time.time())
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "benchmark"}
        claims = {
            "iss": address,
            "aud": AUDIENCE,
            "sub": "benchmark",
            "client_id": "benchmark",
            "jti": "1",
            "iat": now,
            "exp": now + _LIFE_SECONDS,
            "tenant": tenant,
            "roles": [role],
        }
        try:
            yield address, jwt.encode(header, claims, key)
        finally:
            server.shutdown()
            thread.join()
