import os
import socket
from pathlib import Path

from services.cli.doctor import check_ports, check_settings, check_stores, checks, holder_of
from services.config.settings import Settings
from tests.cli.stored import served


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def test_invalid_settings_fail_and_nothing_else_is_tried():
    (only,) = checks({"CQOX_GATWAY_PORT": "1"})
    (found,) = only.run()
    assert found.status == "fail"
    assert "the nearest is CQOX_GATEWAY_PORT" in str(found.text)


def test_valid_settings_are_checked_with_the_ports_and_the_stores(tmp_path: Path):
    assert [check.name for check in checks({"CQOX_DATA_DIR": str(tmp_path)})] == ["settings", "ports", "stores"]


def test_an_address_of_a_store_is_checked_without_its_password():
    (found,) = check_settings({"POSTGRES_URL": "mysql://user:geheim@h/x"})
    assert found.status == "fail"
    assert "geheim" not in str(found.text)


def test_what_kubernetes_sets_is_noted():
    note, fine = check_settings({"CQOX_GATEWAY_PORT": "tcp://10.0.0.1:80"})
    assert (note.status, fine.status) == ("warn", "ok")


def test_a_port_is_free_taken_or_has_the_service():
    health = b'{"service": "gateway"}'
    with socket.create_server(("127.0.0.1", 0)) as taken, served({"/api/health": (200, health)}) as url:
        gateway, engine = int(url.rpartition(":")[2]), taken.getsockname()[1]
        taken.listen()
        first, second = check_ports(Settings(gateway_port=gateway, engine_port=engine))
        assert (first.status, str(first.text)) == ("ok", f"gateway: it serves at http://127.0.0.1:{gateway}")
        assert second.status == "fail"
        assert str(os.getpid()) in str(second.text)
        assert "CQOX_ENGINE_PORT" in str(second.remedy)
        (wrong, _) = check_ports(Settings(gateway_port=0, engine_port=gateway))
        assert wrong.status == "ok"
    fine = check_ports(Settings(gateway_port=free_port(), engine_port=free_port()))
    assert {each.status for each in fine} == {"ok"}


def test_a_host_of_another_machine_fails():
    gateway, _ = check_ports(Settings(host="192.0.2.1", gateway_port=free_port(), engine_port=0))
    assert gateway.status == "fail"
    assert "CQOX_HOST" in str(gateway.remedy)


def test_the_process_of_a_port_is_found_by_its_socket():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert holder_of(taken.getsockname()[1]).endswith(f"({os.getpid()})")
    assert holder_of(1) == ""


def test_stores_answer_or_fail_with_their_setting(tmp_path: Path):
    (fine,) = check_stores(Settings(data_dir=tmp_path))
    assert fine.status == "ok"
    (tmp_path / "results.sqlite").write_bytes(b"no database at all, but some bytes" * 100)
    (damaged,) = check_stores(Settings(data_dir=tmp_path))
    assert damaged.status == "fail"
    closed = free_port()
    addresses = {
        "postgres_url": f"postgresql://u:geheim@127.0.0.1:{closed}/x",
        "redis_url": f"redis://:geheim@127.0.0.1:{closed}/0",
    }
    found = list(check_stores(Settings(data_dir=tmp_path, **addresses)))
    assert [(each.status, each.data["store"]) for each in found] == [("fail", "PostgreSQL"), ("fail", "Redis")]
    assert "POSTGRES_URL" in str(found[0].remedy)
    assert not any("geheim" in str(each.text) for each in found)
