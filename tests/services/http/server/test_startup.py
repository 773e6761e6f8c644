import signal
import socket

import httpx
import pytest

from tests.waiting import PATIENCE_SECONDS, wait_until

SERVICE = ("-m", "services.gateway")


def test_a_port_in_use_ends_with_its_number_and_the_flag_that_helps(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start(*SERVICE, CQOX_GATEWAY_PORT=str(port))
        assert service.end() == 1
    (line,) = service.lines
    assert f"Port {port} of 127.0.0.1 is in use" in line
    assert "--gateway-port or CQOX_GATEWAY_PORT" in line


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {"CQOX_GATEWAY_PROT": "1"}, "no setting CQOX_GATEWAY_PROT; the nearest is CQOX_GATEWAY_PORT"),
        ((), {"CQOX_DRAIN_SECONDS": "soon"}, "CQOX_DRAIN_SECONDS must be a number of seconds"),
        (
            (),
            {"ENGINE_URL": "https://engine:8443", "SSL_CERT_FILE": "/nowhere.pem"},
            "SSL_CERT_FILE=/nowhere.pem cannot be read as certificates",
        ),
        (("--prot", "1"), {}, "--prot"),
    ],
)
def test_a_wrong_setting_ends_with_status_2_and_one_line(start, arguments, variables, said):
    service = start(*SERVICE, *arguments, **variables)
    assert service.end() == 2
    (line,) = service.lines
    assert said in line


def test_a_variable_of_kubernetes_is_noted_and_the_service_starts(start):
    service = start(*SERVICE, CQOX_GATEWAY_SERVICE_HOST="10.0.0.1")
    assert httpx.get(f"{service.url}/health/live").status_code == 200
    assert "ignored" in service.wait_line("CQOX_GATEWAY_SERVICE_HOST")


def test_help_is_printed_and_ends_with_status_0(start):
    service = start(*SERVICE, "--help")
    assert service.end() == 0
    assert any("--gateway-port" in line for line in service.lines)


def test_the_hypercorn_command_serves_it_too(start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start(
        "-m", "hypercorn", "-k", "trio", "-w", "1", "--bind", f"127.0.0.1:{port}", "services.gateway.app:app"
    )  # fmt: skip
    service.wait_line("Running on http://")
    health = httpx.get(f"http://127.0.0.1:{port}/health/ready")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert service.stop() == 0


def test_the_hypercorn_command_ends_where_a_setting_is_wrong_and_says_which(start):
    service = start(
        "-m", "hypercorn", "-k", "trio", "-w", "1", "--bind", "127.0.0.1:0", "services.engine.app:app",
        POSTGRES_URL="mysql://h/x",
    )  # fmt: skip
    service.wait_line("POSTGRES_URL cannot be read")
    service.end()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_loads_ends_it_quietly(start, number):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start(*SERVICE, CQOX_GATEWAY_PORT=str(port))
    wait_until(lambda: accepts(port), failure=lambda: service.lines)
    assert service.stop(number) == 0
    assert not any("Traceback" in line for line in service.lines)


def test_a_signal_the_moment_the_port_is_open_ends_it_quietly(start):
    program = (
        "import os, signal, sys; from services.http.server import startup\n"
        "def listen(host, port):\n"
        "    opened = real(host, port)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return opened\n"
        "real, startup.listen = startup.listen, listen\n"
        "sys.exit(startup.run_service('gateway', [], lambda: None))"
    )
    service = start("-c", program)
    assert service.end() == 0
    assert service.lines == []


def test_a_connection_is_accepted_before_everything_is_loaded(start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start(*SERVICE, CQOX_GATEWAY_PORT=str(port))
    wait_until(lambda: accepts(port), failure=lambda: service.lines)
    # What loads says nothing before it is loaded, and takes a hundred times as long as it takes to look here.
    assert service.lines == []
    assert httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=PATIENCE_SECONDS).status_code == 200
