"""The wheels hold all that they need and nothing else, and run where nothing of the tree is."""

import base64
import html
import json
import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cqox.figures._typeface import Typeface
from tests.deploy.installs import (
    CODE,
    LEFT_OUT,
    PACKAGES,
    ROOT,
    Environment,
    built,
    clean_environment,
    metadata_of,
    run,
    wheel_of,
)
from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

TOP = {"cqox": "cqox", "cqox-analysis": "cqox", "cqox-assets": "cqox_assets", "cqox-services": "services"}
LICENCES = {
    "cqox": {"LICENSE"},
    "cqox-analysis": {"LICENSE"},
    "cqox-assets": {"LICENSE", "cqox_assets/fonts/OFL.txt"},
    "cqox-services": {
        "LICENSE",
        "services/page/static/vendor/LICENSE-htm.txt",
        "services/page/static/vendor/LICENSE-preact.txt",
        "services/page/static/vendor/LICENSES-vega.txt",
        "services/http/endpoints/static/swagger-ui/LICENSE",
        "services/http/endpoints/static/swagger-ui/NOTICE",
    },
}
MOST_BYTES = {"cqox": 1_400_000, "cqox-analysis": 1_250_000, "cqox-assets": 3_500_000, "cqox-services": 1_500_000}
ANALYSIS = """
import json, sys
import cqox
from cqox.datasets import sample_path

report = cqox.analyze(
    sample_path("test"), y="y", treatment="w", covariates=["x1", "x2", "x3", "x4"], estimators=["aipw"], language="ja"
)
figures = {name: report.draw(name, "svg").decode() for name in ("forest", "overlap")}
png = report.draw("forest", "png").startswith(b"\\x89PNG")
print(json.dumps({"at": cqox.__file__, "estimate": report["aipw"].estimate, "figures": figures, "png": png}))
"""
ASKED = """
import sys
import cqox

frame = {{"y": [1.0, 2.0, 3.5, 4.0] * 10, "w": [0, 0, 1, 1] * 10}}
with cqox.Client("{url}") as client:
    report = client.analyze(frame, y="y", treatment="w", estimators=["difference_in_means"])
    drawn = len(report.draw("forest")) > 1000
    print(report["difference_in_means"].estimate, drawn, "numpy" in sys.modules, repr(report) != "")
"""
REFUSED = """
import cqox
try:
    cqox.{call}
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory)


def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wheel_has_its_package_its_licences_and_nothing_else(distributions: Path, name: str) -> None:
    wheel = wheel_of(distributions, name)
    information = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    held = members(wheel)
    assert {path.partition("/")[0] for path in held} == {TOP[name], information}
    assert (f"{TOP[name]}/py.typed" in held) is (name != "cqox-analysis")
    assert {
        path.removeprefix(f"{information}/licenses/") for path in held if path.startswith(f"{information}/licenses/")
    } == LICENCES[name]
    assert wheel.stat().st_size < MOST_BYTES[name]
    tracked = run("git", "ls-files", *CODE[name], cwd=ROOT).splitlines() if (ROOT / ".git").exists() else []
    left_out = tuple(f"{folder.strip('/')}/" for folder in LEFT_OUT.get(name, ()))
    assert {path for path in tracked if not path.startswith(left_out)} <= held
    assert not [path for path in held if path.startswith(left_out)]


def test_what_one_distribution_leaves_out_another_one_has(distributions: Path) -> None:
    assert [folder.strip("/") for folder in LEFT_OUT["cqox"]] == CODE["cqox-analysis"]
    held = [members(wheel_of(distributions, name)) for name in ("cqox", "cqox-analysis")]
    assert not held[0] & held[1]


def older_cqox(distributions: Path, folder: Path) -> Path:
    """A wheel of an older cqox, which still held everything."""
    version = metadata_of(distributions, "cqox")["Version"]
    information = f"cqox-0.0.{version}.dist-info"
    older = folder / f"cqox-0.0.{version}-py3-none-any.whl"
    with zipfile.ZipFile(older, "w") as archive:
        for name in ("cqox", "cqox-analysis"):
            for member in members(wheel_of(distributions, name)):
                if member.startswith("cqox/"):
                    archive.writestr(member, "")
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: cqox\nVersion: 0.0.{version}\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        files = [*archive.namelist(), f"{information}/RECORD"]
        archive.writestr(f"{information}/RECORD", "".join(f"{file},,\n" for file in files))
    return older


@pytest.mark.parametrize("requirement", ["cqox[boost]", "cqox-analysis"])
def test_an_upgrade_removes_nothing_that_another_distribution_has_taken_over(
    distributions: Path, tmp_path: Path, requirement: str
) -> None:
    """Pip goes by what requires what: it replaces the old cqox before it installs the other one."""
    environment = Environment(tmp_path, distributions)
    environment.lend_requirements(requirement)
    environment.install(older_cqox(distributions, tmp_path))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "--python",
        environment.bin / "python",
    ]
    run(*pip, "install", "--upgrade", "--no-index", "--find-links", distributions, requirement, cwd=tmp_path)
    for name in ("cqox", "cqox-analysis"):
        for member in members(wheel_of(distributions, name)):
            if member.startswith("cqox/"):
                assert (environment.libraries / member).exists(), member
    assert (environment.libraries / "cqox" / "parts.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_source_distribution_has_what_its_wheel_is_built_from(distributions: Path, name: str) -> None:
    [path] = distributions.glob(f"{name.replace('-', '_')}-[0-9]*.tar.gz")
    with tarfile.open(path) as archive:
        assert all(member.isfile() for member in archive)
        held = {member.name.partition("/")[2] for member in archive}
    folders = {path.partition("/")[0] for path in held if "/" in path}
    assert folders == {TOP[name], *({"docs", "examples"} if name == "cqox" else ())}
    assert not [
        path for path in held if path.startswith(tuple(each.strip("/") + "/" for each in LEFT_OUT.get(name, ())))
    ]
    assert {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"} <= held


def test_the_wheels_of_the_tree_are_those_of_the_source_distributions(distributions: Path, tmp_path: Path) -> None:
    """The images build them from the tree, where links lead to the code; the others are built from copies."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    run(*pip, *build, *PACKAGES.values(), cwd=tmp_path)
    for name in PACKAGES:
        with (
            zipfile.ZipFile(wheel_of(tmp_path, name)) as ours,
            zipfile.ZipFile(wheel_of(distributions, name)) as theirs,
        ):
            assert {each.filename: each.CRC for each in ours.infolist()} == {
                each.filename: each.CRC for each in theirs.infolist()
            }


def test_one_line_holds_the_version_and_the_services_require_it(distributions: Path) -> None:
    version = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert [metadata_of(distributions, name)["Version"] for name in PACKAGES] == version * len(PACKAGES)
    required = metadata_of(distributions, "cqox-services").get_all("Requires-Dist", [])
    of_cqox = [line for line in required if line.startswith("cqox")]
    assert of_cqox
    assert all(line.endswith(f"]=={version[0]}") for line in of_cqox)
    extras = {extra for line in of_cqox for extra in re.findall(r"[a-z]+", line.partition("[")[2].partition("]")[0])}
    assert extras == {"client", "engine", "export", "iceberg", "scale", "security", "sources", "stores", "telemetry"}


def test_the_licence_of_each_is_that_of_the_project() -> None:
    for folder in PACKAGES.values():
        assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.fixture(scope="module")
def base(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("base"), distributions)
    environment.install_wheels("cqox")
    return environment


def test_the_base_install_has_anyio_and_says_what_the_rest_takes(base: Environment) -> None:
    installed = {path.name.partition("-")[0] for path in base.libraries.glob("*.dist-info")}
    assert installed - {"idna", "sniffio", "typing_extensions"} == {"cqox", "anyio"}
    assert base.python("import cqox, cqox.resilience as r; print(cqox.__file__); r.Retry(3, 0.0)").startswith(
        str(base.libraries)
    )
    for call in ("analyze", "roles", "methods"):
        said = base.python(REFUSED.format(call=call))
        assert said.startswith(f"cqox.{call} needs ")
        assert said.endswith("which is not installed: pip install 'cqox[engine]'\n")


def test_the_commands_say_what_the_base_install_lacks(base: Environment) -> None:
    done = subprocess.run(
        [base.bin / "python", "-m", "cqox", "--help"], capture_output=True, text=True, env=clean_environment()
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("python -m cqox needs ")
    assert done.stderr.endswith("which is not installed: pip install 'cqox[engine]'\n")


@pytest.fixture(scope="module")
def engine(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("engine"), distributions)
    environment.install_wheels("cqox[engine]")
    return environment


def test_the_engine_extra_analyses_a_sample_and_draws_japanese(engine: Environment, tmp_path: Path) -> None:
    answer = json.loads(engine.python(ANALYSIS))
    assert Path(answer["at"]).is_relative_to(engine.libraries)
    assert answer["estimate"] == pytest.approx(2.0, abs=0.3)
    assert answer["png"]
    for svg in answer["figures"].values():
        drawn = drawn_letters(svg)
        assert any("぀" <= letter <= "鿿" for letters in drawn.values() for letter in letters)
        faces = re.findall(r"font-weight:(\d+);src:url\(data:font/ttf;base64,([^)]+)\)", svg)
        for weight, font in faces:
            path = tmp_path / f"{weight}.ttf"
            path.write_bytes(base64.b64decode(font))
            face = Typeface(path)
            assert [letter for letter in sorted(drawn.pop(weight)) if not face.holds(letter)] == []
        assert not any(drawn.values())


def test_the_doctor_finds_the_engine_extra_well_and_names_the_others(engine: Environment) -> None:
    found = json.loads(run(engine.bin / "python", "-m", "cqox", "doctor", "--json", cwd=engine.folder))
    assert found["status"] in ("ok", "warn")
    packages = [each for each in found["checks"] if each["check"] == "packages"]
    assert {each["status"] for each in packages} == {"ok"}
    absent = packages[-1]
    assert {"mcp", "stores"} <= absent["data"].keys()
    assert absent["remedy"].startswith("pip install 'cqox[")
    assert "settings" not in {each["check"] for each in found["checks"]}


def drawn_letters(svg: str) -> dict[str, set[str]]:
    """Return the letters of the texts of a figure by the weight of their font."""
    letters: dict[str, set[str]] = {"400": set(), "700": set()}
    for attributes, content in re.findall(r"<text([^>]*)>(.*?)</text>", svg, re.DOTALL):
        weight = "700" if 'font-weight="bold"' in attributes else "400"
        letters[weight] |= {each for each in html.unescape(re.sub(r"<[^>]*>", "", content)) if each.isprintable()}
    return letters


def test_an_editable_install_runs_the_tree(distributions: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path, distributions)
    for name in ("hatchling", "editables", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"):
        environment.lend(name)
    environment.install(*(part for folder in PACKAGES.values() for part in ("--editable", folder)))
    program = (
        "import cqox, cqox_assets, services; print(cqox.__path__[0], cqox_assets.__path__[0], services.__path__[0])"
    )
    assert environment.python(program).split() == [str(ROOT / top) for top in dict.fromkeys(TOP.values())]
    assert (environment.bin / "cqox").exists()


@pytest.fixture(scope="module")
def services(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("services"), distributions)
    environment.install_wheels("cqox-services")
    return environment


@pytest.fixture(scope="module")
def gateway(services: Environment) -> Iterator[httpx.Client]:
    ports = {"CQOX_GATEWAY_PORT": str(free_port()), "CQOX_ENGINE_PORT": str(free_port())}
    log = services.folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [services.bin / "cqox", "up"],
            cwd=services.folder,
            env=clean_environment(CQOX_DATA_DIR=str(services.folder / "data"), **ports),
            stdout=written,
            stderr=written,
            preexec_fn=ending_with_parent(signal.SIGTERM),
        )
    url = f"http://127.0.0.1:{ports['CQOX_GATEWAY_PORT']}"
    try:
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            wait_until(lambda: process.poll() is not None or ready(client), failure=lambda: log.read_text("utf-8"))
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    assert process.returncode == 0, log.read_text(encoding="utf-8")


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").json()["status"] == "ok"
    except httpx.TransportError:
        return False


def test_the_command_of_the_services_runs_from_the_wheel(services: Environment, distributions: Path) -> None:
    assert "Start gateway and engine" in run(services.bin / "cqox", "--help", cwd=services.folder)
    version = metadata_of(distributions, "cqox-services")["Version"]
    assert run(services.bin / "cqox", "--version", cwd=services.folder) == f"cqox {version}\n"
    assert services.python("import services; print(services.__path__[0])").startswith(str(services.libraries))


def test_the_client_extra_asks_a_server(gateway: httpx.Client, distributions: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path, distributions)
    environment.install_wheels("cqox[client]")
    installed = {path.name.partition("-")[0] for path in environment.libraries.glob("*.dist-info")}
    assert not {"numpy", "scipy", "altair", "pandas", "pyarrow", "cqox_assets", "cqox_services"} & installed
    url = str(gateway.base_url).rstrip("/")
    assert environment.python(ASKED.format(url=url)).split() == ["2.25", "True", "False", "True"]


def test_the_doctor_of_the_services_checks_their_settings_as_well(services: Environment) -> None:
    found = json.loads(run(services.bin / "cqox", "doctor", "--json", cwd=services.folder))
    assert {"settings", "ports", "stores"} <= {each["check"] for each in found["checks"]}
    assert {each["status"] for each in found["checks"] if each["check"] in ("packages", "analysis")} == {"ok"}


@pytest.mark.parametrize(
    ("example", "estimator"), [("request", "aipw"), ("mini_retail_request", "twfe")], ids=["test", "mini_retail"]
)
def test_a_sample_is_analysed_and_its_figures_drawn(gateway: httpx.Client, example: str, estimator: str) -> None:
    request = json.loads((ROOT / "examples" / f"{example}.json").read_text(encoding="utf-8"))
    report = gateway.post("/api/analyze/comprehensive", json=request | {"options": {"estimators": [estimator]}})
    assert report.status_code == 200, report.text
    reported = report.json()
    assert [one["name"] for one in reported["estimates"] if one["status"] == "ok"] == [estimator]
    for url in list(reported["figures"].values())[:2]:
        stem = url.removesuffix(".svg")
        assert "CQOx Gothic" in gateway.get(f"{stem}.svg").text
        assert gateway.get(f"{stem}.png").content.startswith(b"\x89PNG")


def test_the_page_of_the_api_is_served_from_the_wheel(gateway: httpx.Client) -> None:
    assert gateway.get("/docs").status_code == 200
    assert gateway.get("/openapi.json").json()["paths"]
    static = ROOT / "services" / "http" / "endpoints" / "static"
    served = [path for path in static.rglob("*") if path.suffix in (".js", ".css")]
    page = gateway.get("/docs").text
    for path in served:
        at = next(part for part in page.split('"') if part.endswith(path.name))
        assert gateway.get(at).content == path.read_bytes()
