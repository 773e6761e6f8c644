"""All settings of the services: the fields of `Settings`, with types, defaults, units, bounds and help texts.

`services.config.table` has them as rows; `services.config.configuration` reads the values from the environment and from
flags.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cqox.environment import data_home
from services.config.about import About
from services.config.body_pace import BodyPace
from services.config.object_settings import ObjectSettings

__all__ = ["Settings", "shared_socket_path"]

_GIB = 2**30
_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ObjectSettings):
    """The configuration of the services. Every field has a working default."""

    data_dir: Annotated[
        Path,
        About(
            "CQOX_DATA_DIR",
            "Directory of data sets, results and the sockets of `cqox admin`; it is created.",
            shown="$XDG_DATA_HOME/cqox, or ~/.local/share/cqox",
        ),
    ] = Path()
    sources: Annotated[
        Path,
        About(
            "CQOX_SOURCES",
            "TOML file that names the data sources which clients may read; see docs/deploying.md.",
            services=("engine", "up"),
            shown="none",
        ),
    ] = Path()
    postgres_url: Annotated[
        str,
        About(
            "POSTGRES_URL",
            "PostgreSQL database for results (postgresql://user@host:5432/name; with a password by the variable or its "
            "file alone); engines may share it.",
            services=("engine", "up"),
            shown="a SQLite file in the data directory",
            secret="address",
        ),
    ] = field(default="", repr=False)
    redis_url: Annotated[
        str,
        About(
            "REDIS_URL",
            "Redis server for the result cache (redis://host:6379/0); engines may share it.",
            services=("engine", "up"),
            shown="the memory of the engine",
            secret="address",
        ),
    ] = field(default="", repr=False)
    keep_reports_days: Annotated[
        float,
        About(
            "CQOX_KEEP_REPORTS_DAYS",
            "How long a report is kept after it was computed, or a job that refers to it has ended; 0 for good.",
            unit="days",
            minimum=0,
            maximum=_MOST_DAYS,
            services=("engine", "up"),
            shown="for good",
        ),
    ] = 0.0
    keep_datasets_days: Annotated[
        float,
        About(
            "CQOX_KEEP_DATASETS_DAYS",
            "How long a data set is kept after it was last uploaded or analysed; 0 for good.",
            unit="days",
            minimum=0,
            maximum=_MOST_DAYS,
            services=("engine", "up"),
            shown="for good",
        ),
    ] = 0.0
    keep_jobs_days: Annotated[
        float,
        About(
            "CQOX_KEEP_JOBS_DAYS",
            "How long a job can be asked for after it has ended; 0 for good. The latest 100,000 are kept at most.",
            unit="days",
            minimum=0,
            maximum=_MOST_DAYS,
            services=("engine", "up"),
            shown="for good",
        ),
    ] = 0.0
    share_links: Annotated[
        Literal["off", "on"],
        About(
            "CQOX_SHARE_LINKS",
            "Whether links may give read access to one report each without a login: off or on.",
            services=("engine", "up"),
        ),
    ] = "off"
    share_days: Annotated[
        float,
        About("CQOX_SHARE_DAYS", "Most days until such a link expires.", "days", 0.01, _MOST_DAYS, ("engine", "up")),
    ] = 30.0
    disk_reserve_bytes: Annotated[
        int,
        About(
            "CQOX_DISK_RESERVE_BYTES",
            "Space to leave free on the disk of the data directory; requests that would use it are rejected with 507.",
            unit="bytes",
            minimum=0,
            services=("engine", "up"),
            shown="64 MiB, or a twentieth of a small disk",
        ),
    ] = 64 * 2**20
    originals_bytes: Annotated[
        int,
        About(
            "CQOX_ORIGINALS_BYTES",
            "Space for originals of uploads, so that a file can be read again with other options without another "
            "upload. The least recently used are removed first, also where the disk needs the space; 0 keeps none.",
            unit="bytes",
            minimum=0,
            services=("engine", "up"),
        ),
    ] = 10 * _GIB
    mirror_bytes: Annotated[
        int,
        About(
            "CQOX_MIRROR_BYTES",
            "Space in the data directory for copies of tables in place whose source has a url; a larger table is "
            "refused, and the least recently used are removed first, but for those in use.",
            unit="bytes",
            minimum=0,
            services=("engine", "up"),
        ),
    ] = 20 * _GIB
    max_upload_bytes: Annotated[
        int, About("CQOX_MAX_UPLOAD_BYTES", "Largest file that is accepted, as it is sent.", unit="bytes", minimum=1)
    ] = 1 * _GIB
    max_expanded_bytes: Annotated[
        int,
        About(
            "CQOX_MAX_EXPANDED_BYTES",
            "Largest file that is accepted, after decompression.",
            unit="bytes",
            minimum=1,
            services=("engine", "up"),
        ),
    ] = 4 * _GIB
    max_body_bytes: Annotated[
        int, About("CQOX_MAX_BODY_BYTES", "Largest JSON body that is accepted.", unit="bytes", minimum=1)
    ] = 4 * 2**20
    max_answer_bytes: Annotated[
        int,
        About(
            "CQOX_MAX_ANSWER_BYTES",
            "Largest answer of an engine that the gateway holds; event streams have no bound.",
            unit="bytes",
            minimum=2**16,
            services=("gateway", "up"),
        ),
    ] = 64 * 2**20
    answer_cache_bytes: Annotated[
        int,
        About(
            "CQOX_ANSWER_CACHE_BYTES",
            "Reports and figures that the gateway keeps for five seconds; 0 keeps none. A deletion forgets them at "
            "once; one through another gateway shows at most five seconds later.",
            unit="bytes",
            minimum=0,
            services=("gateway", "up"),
        ),
    ] = 32 * 2**20
    max_rows: Annotated[
        int, About("CQOX_MAX_ROWS", "Most rows of a data set.", minimum=1, services=("engine", "up"))
    ] = 20_000_000
    max_columns: Annotated[
        int, About("CQOX_MAX_COLUMNS", "Most columns of a data set.", minimum=1, services=("engine", "up"))
    ] = 5_000
    upload_idle_seconds: Annotated[
        float,
        About(
            "CQOX_UPLOAD_IDLE_SECONDS",
            "Window of the minimum rate of a body, and so the longest pause; the first window is exempt.",
            unit="seconds",
            minimum=0.1,
        ),
    ] = 15.0
    body_bytes_per_second: Annotated[
        int,
        About(
            "CQOX_BODY_MIN_BYTES_PER_SECOND",
            "Minimum rate of a body over that window; a slower body is rejected with 408. 0 bounds only the pauses.",
            minimum=0,
        ),
    ] = 1024
    body_seconds: Annotated[
        float,
        About("CQOX_BODY_MAX_SECONDS", "Longest time for a client to send a complete body.", unit="seconds", minimum=1),
    ] = 3600.0
    max_connections: Annotated[
        int,
        About(
            "CQOX_MAX_CONNECTIONS",
            "Most open connections, within the limit of descriptors; beyond it the connection that has been stalled "
            "for longest is closed.",
            minimum=1,
        ),
    ] = 10_000
    connections_per_client: Annotated[
        int,
        About(
            "CQOX_CONNECTIONS_PER_CLIENT",
            "Most connections of one address; beyond it its oldest stalled connection is closed; 0 for no limit.",
            minimum=0,
            services=("gateway", "up"),
        ),
    ] = 512
    analysis_seconds: Annotated[
        float,
        About("CQOX_ANALYSIS_SECONDS", "Deadline of one analysis, computed or waited for.", "seconds", minimum=0.1),
    ] = 120.0
    concurrent_analyses: Annotated[
        int,
        About(
            "CQOX_CONCURRENT_ANALYSES",
            "Analyses that compute at the same time; others wait.",
            minimum=1,
            services=("engine", "up"),
        ),
    ] = 2
    queued_analyses: Annotated[
        int,
        About(
            "CQOX_QUEUED_ANALYSES",
            "Most analyses that wait for a slot; beyond it, or where one would miss its deadline, they are rejected.",
            minimum=0,
            services=("engine", "up"),
        ),
    ] = 64
    job_seconds: Annotated[
        float,
        About(
            "CQOX_JOB_SECONDS",
            "Deadline of an analysis in the background.",
            "seconds",
            minimum=0.1,
            services=("engine", "up"),
        ),
    ] = 3600.0
    worker_memory_bytes: Annotated[
        int,
        About(
            "CQOX_WORKER_MEMORY_BYTES",
            "Memory that one worker process may use beyond its own code.",
            unit="bytes",
            minimum=2**29,
            services=("engine", "up"),
        ),
    ] = 4 * _GIB
    admin_token: Annotated[
        str,
        About(
            "CQOX_ADMIN_TOKEN",
            "Bearer token for /api/admin on the port of the service; without one that path is 404 there.",
            shown="none",
            secret="token",
        ),
    ] = field(default="", repr=False)
    admin_socket: Annotated[
        Path,
        About(
            "CQOX_ADMIN_SOCKET",
            "Unix socket of `cqox admin`, accessible to this user only; {service} stands for gateway or engine.",
            shown="admin-{service}.sock in the data directory",
        ),
    ] = Path()
    drain_seconds: Annotated[
        float,
        About(
            "CQOX_DRAIN_SECONDS",
            "After SIGTERM or SIGINT: how long requests in flight may take to finish.",
            unit="seconds",
            minimum=0,
        ),
    ] = 30.0
    drain_delay: Annotated[
        float,
        About(
            "CQOX_DRAIN_DELAY",
            "After SIGTERM or SIGINT: how long to report 'not ready' before new connections are refused.",
            unit="seconds",
            minimum=0,
        ),
    ] = 0.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        About("CQOX_LOG_LEVEL", "Lowest level that is logged: debug, info, warning or error."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        About("CQOX_LOG_FORMAT", "console, json, or auto: console on a terminal and json elsewhere."),
    ] = "auto"
    trace_tasks: Annotated[
        float,
        About(
            "CQOX_TRACE_TASKS",
            "Share of tasks that get their own span in recorded traces, from 0 to 1.",
            minimum=0,
            maximum=1,
        ),
    ] = 1.0
    trace_url: Annotated[
        str,
        About(
            "CQOX_TRACE_URL",
            "URL of a trace in a trace viewer, with {trace_id} for its id; responses then have the link.",
            shown="none",
        ),
    ] = ""
    prometheus_url: Annotated[
        str,
        About(
            "CQOX_PROMETHEUS_URL",
            "URL of a Prometheus that scrapes the services; the page /dashboard asks it, else the processes.",
            services=("gateway", "up"),
            shown="none",
        ),
    ] = ""
    runbook_url: Annotated[
        str,
        About(
            "CQOX_RUNBOOK_URL",
            "URL of the runbook where it is published; panels of /dashboard then link to its sections.",
            services=("gateway", "up"),
            shown="none",
        ),
    ] = ""

    @property
    def body_pace(self) -> BodyPace:
        """Bounds on the transfer rate of request bodies."""
        return BodyPace(
            bytes_per_second=self.body_bytes_per_second,
            window_seconds=self.upload_idle_seconds,
            most_seconds=self.body_seconds,
        )

    def __post_init__(self) -> None:
        self._complete_addresses()
        if self.data_dir == Path():
            object.__setattr__(self, "data_dir", data_home(os.environ))
        if self.admin_socket == Path():
            object.__setattr__(self, "admin_socket", self.data_dir / "admin-{service}.sock")

    def admin_socket_of(self, service: str) -> Path:
        """Return the path of the admin socket of a service."""
        return Path(str(self.admin_socket).replace("{service}", service))


def shared_socket_path(settings: Settings, service: str) -> Path:
    """Return the path of a service's admin socket where both run with the same settings, as under `cqox up`.

    Where the setting names one file for both, the gateway uses it, and the engine a file in the same directory.
    """
    path = settings.admin_socket_of(service)
    if service == "gateway" or path != settings.admin_socket:
        return path
    return path.with_name(f"{path.stem}-{service}{path.suffix}")
