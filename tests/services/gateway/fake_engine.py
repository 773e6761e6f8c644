"""A fake engine, a real HTTP server in its own process, whose responses the path and query control."""

import base64
import hashlib
import json
import signal
import sys
import zlib
from urllib.parse import parse_qs

import hypercorn.trio
import trio
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    wanted = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
    digest, size_bytes, crc = hashlib.blake2b(digest_size=16), 0, 0
    more = scope["path"] != "/health/live"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            print(f"client gone after {size_bytes > 0}", flush=True)
            return
        if message["body"] and not size_bytes:
            print(f"receiving {scope['path']}", flush=True)
        digest.update(message["body"])
        crc = zlib.crc32(message["body"], crc)
        size_bytes += len(message["body"])
        more = message["more_body"]
    if "sleep" in wanted:
        print(f"working on {scope['path']}", flush=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, receive, nursery)
            await trio.sleep(float(wanted["sleep"]))
            nursery.cancel_scope.cancel()
    received = f"{size_bytes}-{crc:08x}".encode()
    await answer(scope, send, wanted, received, {"size_bytes": size_bytes, "digest": digest.hexdigest()})


async def watch(receive, nursery):
    while (await receive())["type"] != "http.disconnect":
        pass
    print("client gone while working", flush=True)


async def answer(scope, send, wanted, received, body):
    uploads = scope["method"] == "POST" and scope["path"] in ("/api/datasets", "/api/upload")
    status = int(wanted.get("status", "201" if uploads else "200"))
    body |= {
        "method": scope["method"],
        "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode(),
        "headers": [[name.decode(), value.decode("latin1")] for name, value in scope["headers"]],
    }
    if "pad" in wanted:
        body["pad"] = "x" * int(wanted["pad"])
    content = json.dumps(body, ensure_ascii=False).encode()
    if status >= 400:
        content = '{"type": "scripted",  "detail": "言われた通り"}'.encode()
    headers = [
        (b"content-type", b"application/problem+json; odd=1" if status >= 400 else b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"x-engine", b"an inner matter"),
        (b"vary", b"one"),
        (b"vary", b"two"),
        (b"connection", b"x-hop"),
        (b"x-hop", b"only for the gateway"),
    ]
    if status == 429:
        headers.append((b"retry-after", b"7"))
    digest = base64.b64encode(hashlib.sha256(content).digest())
    headers.append((b"content-digest", b"sha-256=:" + digest + b":"))
    headers.append((b"x-cqox-received", received))
    headers += [(name, value) for name, value in scope["headers"] if name == b"x-cqox-exchange"]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if "cut" in wanted:
        await send({"type": "http.response.body", "body": content[: int(wanted["cut"])], "more_body": True})
        return
    await send({"type": "http.response.body", "body": content, "more_body": False})


async def main() -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1] if sys.argv[1:] else 0}"]
    config.errorlog = None
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(hypercorn.trio.serve, app, config)
            print(f"Listening on {urls[0]}", flush=True)
            async for _ in signals:
                nursery.cancel_scope.cancel()


trio.run(main)
sys.exit(0)
