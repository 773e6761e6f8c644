"""Both services with mutual TLS, as processes: certificates change under load, and failures say what they are."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from cqox.certificates.authority import Step
from tests.e2e.tls_rotation import client_at, rotate_under_load, secured_stack
from tests.servers.certificates import expired
from tests.waiting import wait_until


def test_certificates_and_their_authority_are_replaced_under_load_and_no_request_fails(tmp_path: Path) -> None:
    with secured_stack(tmp_path) as (stack, authority):
        _the_command_line_shows_the_certificate_that_the_environment_names(stack, authority)
        outcome = rotate_under_load(stack, authority, requests=160, rotations=1)
        assert outcome.answers == {"200": 160}
        assert (outcome.rotations, outcome.steps) == (1, list(Step))
        _is_refused_with_the_certificate_of_another_service(stack, authority)
        _an_expired_certificate_of_the_gateway_is_a_503_that_says_so(stack, authority)


def _the_command_line_shows_the_certificate_that_the_environment_names(stack, authority) -> None:
    current = authority.folder / "client" / "current"
    names = {"CQOX_CLIENT_CERT": "cert.pem", "CQOX_CLIENT_KEY": "key.pem", "CQOX_CA_CERT": "ca.pem"}
    command = [Path(sys.executable).with_name("cqox"), "report", "--server", f"https://127.0.0.1:{stack.gateway.port}"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CQOX_")}
    statuses = []
    for given in (names, {"CQOX_CA_CERT": "ca.pem"}):
        environment = inherited | {name: str(current / file) for name, file in given.items()}
        statuses.append(
            subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode
        )
    assert statuses == [0, 1]


def _is_refused_with_the_certificate_of_another_service(stack, authority) -> None:
    authority.issue("client", days=1, identity="spiffe://cqox/engine")
    with client_at(stack, authority) as client:
        assert client.get("/api/datasets").status_code == 403
        assert client.get("/health/ready").status_code == 200
    authority.issue("client", days=1)


def _an_expired_certificate_of_the_gateway_is_a_503_that_says_so(stack, authority) -> None:
    stack.gateway.stop()
    expired(authority, "gateway")
    stack.gateway.start()
    context = httpx.create_ssl_context(verify=False)
    current = authority.folder / "client" / "current"
    context.load_cert_chain(current / "cert.pem", current / "key.pem")
    url = f"https://127.0.0.1:{stack.gateway.port}"
    with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=30) as client:

        def degraded() -> dict[str, str]:
            try:
                return dict(client.get("/api/health").json()["degraded"])
            except httpx.TransportError:
                return {}

        assert "has expired" in wait_until(degraded)["certificates"]
        answer = client.get("/api/datasets")
        assert answer.status_code == 503
        assert "certificate" in answer.json()["detail"]
        assert "expired" in answer.json()["detail"]
        # No restart is needed.
        authority.issue("gateway", days=1)
        wait_until(lambda: client.get("/api/datasets").status_code == 200)
        wait_until(lambda: "certificates" not in degraded())
