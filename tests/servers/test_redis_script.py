"""`redis.sh` recognizes a server with TLS each time, and so builds none next to it."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("redis.sh")


def run(folder: Path, libraries: str) -> subprocess.CompletedProcess[str]:
    """Run the script where `folder` alone is on PATH, with a server there that is linked with `libraries`."""
    for name, text in {
        "redis-server": "exit 0",
        "ldd": f"{libraries}\nfor each in {{1..20000}}; do echo libc.so.6; done",
    }.items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{text}\n")
        (folder / name).chmod(0o755)
    for name in ("grep", "id"):
        (folder / name).symlink_to(shutil.which(name) or name)
    command = [shutil.which("bash") or "bash", str(SCRIPT), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": str(folder)}, timeout=60)


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_server_with_tls_is_found_wherever_its_libraries_name_it(tmp_path: Path, where: str) -> None:
    """The list is longer than a pipe holds: a reader that ends at the name breaks the pipe, which is no answer."""
    shown = run(tmp_path, "echo libssl.so.3" if where == "first" else "trap 'echo libssl.so.3' EXIT")
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_server_without_tls_does_not_serve(tmp_path: Path) -> None:
    shown = run(tmp_path, "echo libcrypto.so.3")
    assert shown.returncode == 1
    assert "there is none on PATH" in shown.stdout
