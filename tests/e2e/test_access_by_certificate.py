"""API keys where an engine recognizes its gateway by a certificate, without a common secret."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from cqox.security import Principal, encode, granted
from tests.e2e.stack import build
from tests.servers.certificates import authority_in, client_of
from tests.waiting import wait_until


def test_an_engine_takes_the_principal_of_a_gateway_by_its_certificate_alone(tmp_path: Path) -> None:
    authority = authority_in(tmp_path / "tls", "gateway", "engine", "client")
    stack = build(tmp_path, CQOX_TLS_DIR=str(tmp_path / "tls" / "{service}"), CQOX_AUTH="keys")
    # Another client has a certificate too, and may connect, but is no gateway.
    stack.engine.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/gateway,spiffe://cqox/client"
    stack.gateway.environment["ENGINE_URL"] = f"https://127.0.0.1:{stack.engine.port}"
    command = [Path(sys.executable).with_name("cqox"), "keys", "create", "--role", "reader"]
    data_dir = {"CQOX_DATA_DIR": stack.engine.environment["CQOX_DATA_DIR"]}
    key = subprocess.run(command, env=os.environ | data_dir, capture_output=True, text=True, check=True).stdout.strip()
    reader = Principal(
        subject="key:a", tenant="default", roles=("reader",), permissions=granted(["reader"]), kind="key"
    )
    try:
        stack.engine.start()
        stack.gateway.start()
        verify = client_of(authority, "client")
        with httpx.Client(verify=verify, trust_env=False, timeout=30) as client:
            url, bearer = f"https://127.0.0.1:{stack.gateway.port}/api/me", {"Authorization": f"Bearer {key}"}

            def answered() -> bool:
                try:
                    return client.get(url, headers=bearer).status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answered, failure=lambda: stack.gateway.log + stack.engine.log)
            assert client.get(url, headers=bearer).json()["roles"] == ["reader"]
            assert client.get(url).status_code == 401
            direct = f"https://127.0.0.1:{stack.engine.port}/api/me"
            assert client.get(direct, headers={"X-Cqox-Principal": encode(reader)}).status_code == 401
    finally:
        stack.gateway.kill()
        stack.engine.kill()
