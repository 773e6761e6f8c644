"""Loading and validation of settings from the environment and from flags."""

import argparse
import difflib
import re
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import SplitResult, urlsplit

from cqox.certificates import is_identity
from cqox.environment import data_home, parse_size
from cqox.telemetry.secrets import masked
from services.config.about import Service
from services.config.hosts import AllowedHosts
from services.config.secrets import SecretUnusable, holds_password, read_secret, telemetry_secrets
from services.config.settings import Settings
from services.config.settings_error import SettingsError
from services.config.table import Setting, table
from services.config.vault import is_reference, read_references, vault_access

__all__ = [
    "HelpRequested",
    "Loaded",
    "SettingsError",
    "about_others",
    "about_secrets",
    "adopt_telemetry_secrets",
    "former_flag",
    "load",
    "load_command_line",
    "no_flag",
]

_KUBERNETES_VALUE = re.compile(r"^(tcp|udp|sctp)://")
_KUBERNETES_NAME = re.compile(r"_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$")
# Read by the test suite and by clients only; they must not prevent a service from starting where they are exported.
_OF_OTHERS = frozenset(
    {
        *("CQOX_REFERENCE_DIR", "CQOX_URL", "CQOX_TOKEN", "CQOX_TOKEN_FILE", "CQOX_API_KEY", "CQOX_CLIENT_ID"),
        *("CQOX_CLIENT_SECRET", "CQOX_CLIENT_SECRET_FILE", "CQOX_ISSUER", "CQOX_CLIENT_CERT", "CQOX_CLIENT_KEY"),
        "CQOX_CA_CERT",
    }
)


class HelpRequested(Exception):
    """`--help` was given; the message is the text to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, with notes on how they were loaded.

    Attributes:
        settings: the settings in force.
        notes: sentences to log once logging is set up, such as variables that were ignored.
    """

    settings: Settings
    notes: tuple[str, ...] = ()


def load(
    environ: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
    *,
    secrets: Collection[str] | None = None,
    service: Service = "up",
) -> Loaded:
    """Load settings from an environment and flags.

    Args:
        environ: the environment; an empty value counts as absent.
        overrides: values by environment name that take precedence over the environment, such as flags.
        secrets: the fields of `Settings` whose `…_FILE` variables and references to a vault are read; all if None.
        service: the one whose login to the vault is used.

    Raises:
        SettingsError: a value is invalid, or a CQOX_… variable is unknown; the message has the nearest valid name.
        VaultAway: a secret is in a vault that does not answer.
    """
    known = {setting.variable: setting for setting in table()}
    given, notes = _ours(environ, known)
    overrides = overrides or {}
    for variable, text in overrides.items():
        _check_flag(known[variable], text)
    for setting in known.values():
        file = given.pop(setting.file_variable, None)
        if file is None or setting.variable in overrides:
            continue
        if setting.variable in given:
            raise SettingsError(f"{setting.variable} and {setting.file_variable} are both set; keep one of them.")
        if secrets is None or setting.name in secrets:
            given[setting.variable] = _secret(setting, file)
    given |= overrides
    references = {name: given.pop(name) for name, text in list(given.items()) if _refers(known[name], text)}
    settings = _settings(known, given, environ)
    wanted = {name: text for name, text in references.items() if secrets is None or known[name].name in secrets}
    if wanted:
        settings = _settings(known, given | read_references(wanted, vault_access(settings, service)), environ)
    if settings.peers and settings.tls_dir == Path():
        raise SettingsError("CQOX_TLS_PEERS needs CQOX_TLS_DIR: without it there is no TLS that could demand them.")
    return Loaded(settings=settings, notes=tuple(notes))


def _refers(setting: Setting, text: str) -> bool:
    return bool(setting.secret) and is_reference(text)


def _settings(known: Mapping[str, Setting], given: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    values: dict[str, Any] = {known[name].name: _parsed(known[name], text) for name, text in given.items()}
    values.setdefault("data_dir", data_home(environ))
    return Settings(**values)


def adopt_telemetry_secrets(environ: MutableMapping[str, str]) -> None:
    """Set the exporter headers that are given as files in the environment, where OpenTelemetry reads them.

    Raises:
        SettingsError: a file cannot be used, or a variable is set both ways.
    """
    try:
        environ.update(telemetry_secrets(environ))
    except SecretUnusable as error:
        raise SettingsError(str(error)) from None


def about_secrets(service: Service) -> str:
    """Return the part of a help text on the secrets of a command."""
    secret = [setting for setting in table() if setting.secret and service in setting.services]
    without = " ".join(f"{one.help} ({one.variable}; default {one.default})" for one in secret if not one.flag)
    return (
        f"Secrets are set by the environment and have no flag: {without} Each may be in a file of its own, which a "
        f"variable names instead: {', '.join(one.file_variable for one in secret)}."
    )


def about_others(service: Service) -> str:
    """Return the part of a help text on settings that it does not list."""
    if service == "up":
        return (
            "ENGINE_URL is set by this command; it and the settings of one service alone are listed by "
            "python -m services.gateway --help and python -m services.engine --help. Those of traces and metrics "
            "(OTEL_..., JAEGER_ENDPOINT) are in docs/telemetry.md."
        )
    other = "engine" if service == "gateway" else "gateway"
    return (
        f"The {other} has settings of its own: python -m services.{other} --help. Those of traces and metrics "
        "(OTEL_..., JAEGER_ENDPOINT) are in docs/telemetry.md."
    )


def no_flag(setting: Setting) -> str:
    """Return why a secret has no flag, and what to use instead."""
    return (
        f"{former_flag(setting)} is gone: every user of this machine can read a command line. Set {setting.variable}, "
        f"or {setting.file_variable} to the path of a file that holds it."
    )


def load_command_line(
    service: Literal["gateway", "engine"], arguments: Sequence[str], environ: Mapping[str, str]
) -> Loaded:
    """Load the settings of `python -m services.<service>`.

    Raises:
        HelpRequested: `--help` was among the arguments.
        SettingsError: a flag or a variable is unknown or has an invalid value.
    """
    parser = _Parser(
        prog=f"python -m services.{service}",
        usage=f"python -m services.{service} [--flag VALUE ...]",
        add_help=False,
        allow_abbrev=False,
        description=f"Start the CQOx {service}. Each flag has an environment variable; the flag wins.",
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this text and end")
    of_service = [setting for setting in table() if service in setting.services]
    for setting in of_service:
        text = f"{setting.help} ({setting.variable}; default {setting.default})".replace("%", "%%")
        if setting.flag:
            parser.add_argument(setting.flag, dest=setting.variable, metavar=setting.unit.upper() or "VALUE", help=text)
        elif any(argument.partition("=")[0] == former_flag(setting) for argument in arguments):
            raise SettingsError(no_flag(setting))
    parser.epilog = f"{about_secrets(service)} {about_others(service)}".replace("%", "%%")
    known, unknown = parser.parse_known_args(arguments)
    found = vars(known)
    if found.pop("help"):
        raise HelpRequested(parser.format_help())
    if unknown:
        # Omit the values, which may be secrets.
        names = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
        parser.error(f"there is no flag {names[0]}" if names else "there is a word that belongs to no flag")
    flags = {variable: text for variable, text in found.items() if text is not None}
    return load(environ, flags, secrets={setting.name for setting in of_service}, service=service)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; --help lists every flag")


def former_flag(setting: Setting) -> str:
    """Return the flag of a secret, which is rejected."""
    return "--" + setting.variable.removeprefix("CQOX_").lower().replace("_", "-")


def _check_flag(setting: Setting, text: str) -> None:
    if setting.secret and holds_password(text):
        raise SettingsError(
            f"{setting.flag} must hold no password: every user of this machine can read a command line. Set "
            f"{setting.file_variable} to the path of a file that holds the address, or set {setting.variable}."
        )


def _secret(setting: Setting, file: str) -> str:
    try:
        return read_secret(setting.file_variable, file)
    except SecretUnusable as error:
        raise SettingsError(str(error)) from None


def _ours(environ: Mapping[str, str], known: Mapping[str, Setting]) -> tuple[dict[str, str], list[str]]:
    given: dict[str, str] = {}
    notes: list[str] = []
    unknown: list[str] = []
    names = known.keys() | {setting.file_variable for setting in known.values() if setting.file_variable}
    for variable, text in sorted(environ.items()):
        if variable in _OF_OTHERS or (variable not in names and not variable.startswith("CQOX_")):
            continue
        if _KUBERNETES_VALUE.match(text) or (variable not in names and _KUBERNETES_NAME.search(variable)):
            notes.append(f"{variable}={masked(text)} is ignored: Kubernetes sets it for a service of that name.")
        elif variable not in names:
            unknown.append(variable)
        elif text.strip():
            given[variable] = text.strip()
    if unknown:
        raise SettingsError(" ".join(_unknown(variable, names) for variable in unknown))
    return given, notes


def _unknown(variable: str, names: Collection[str]) -> str:
    nearest = difflib.get_close_matches(variable, sorted(names), n=1, cutoff=0.0)[0]
    return f"There is no setting {variable}; the nearest is {nearest}."


def _parsed(setting: Setting, text: str) -> str | int | float | Path:
    if setting.choices:
        if text.lower() not in setting.choices:
            raise SettingsError(f"{setting.variable} must be one of {', '.join(setting.choices)}, not {text!r}.")
        return text.lower()
    if setting.kind is str:
        if not text.isprintable() or not _is_text(text):
            raise SettingsError(f"{setting.variable} holds characters that are no text; write it in UTF-8.")
        if setting.name == "allowed_hosts":
            _check_hosts(text)
        if setting.name in ("tls_peers", "tls_engine"):
            _check_identities(setting.variable, text)
        if setting.name == "trace_url":
            _check_trace_url(text)
        if setting.name in ("prometheus_url", "runbook_url"):
            _check_web_address(setting.variable, text)
        return _urls(text) if setting.name == "engine_url" else text
    if setting.kind is Path:
        try:
            return Path(text).expanduser().absolute()
        except (RuntimeError, ValueError) as error:
            raise SettingsError(f"{setting.variable} must be a path, not {text!r}: {error}.") from None
    number = parse_size(text) if setting.unit == "bytes" else _number(setting.kind, text)
    low, high = setting.minimum, setting.maximum
    if number is None or (low is not None and number < low) or (high is not None and number > high):
        what = "a whole number" if setting.kind is int else "a number"
        unit = f" of {setting.unit}" if setting.unit else ""
        bounds = f" from {low:g} to {high:g}" if high is not None else f" of at least {low:g}"
        raise SettingsError(f"{setting.variable} must be {what}{unit}{bounds}, not {text!r}.")
    return number


def _is_text(text: str) -> bool:
    # Bytes of the environment that are not UTF-8 decode as lone surrogates.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _urls(text: str) -> str:
    urls = [url.strip() for url in text.split(",")]
    for url in urls:
        parts = _parts_of(url)
        if parts is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise SettingsError(f"ENGINE_URL must hold addresses such as http://127.0.0.1:8080, not {masked(url)!r}.")
        assert parts.hostname is not None
        if "@" in parts.netloc:
            raise SettingsError("ENGINE_URL must hold no user and no password: engines ask for none, and logs name it.")
        try:
            parts.hostname.encode("idna")
            _check_address(url)
        except ValueError as error:
            raise SettingsError(f"ENGINE_URL holds {parts.hostname!r}, which can be the name of no host.") from error
    if len(set(urls)) < len(urls):
        raise SettingsError(f"ENGINE_URL names an engine twice: {text}.")
    return ",".join(urls)


def _check_trace_url(text: str) -> None:
    parts = _parts_of(text)
    if parts is None or parts.scheme not in ("http", "https") or "{trace_id}" not in text:
        raise SettingsError(
            "CQOX_TRACE_URL must be an address with {trace_id} where the id of the trace goes, such as "
            f"http://localhost:16686/trace/{{trace_id}}, not {masked(text)!r}."
        )


def _check_web_address(variable: str, text: str) -> None:
    parts = _parts_of(text)
    if parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        raise SettingsError(
            f"{variable} must be an address without a password, such as http://localhost:9090, not {masked(text)!r}."
        )


def _check_identities(variable: str, text: str) -> None:
    for identity in text.split(","):
        if not is_identity(identity.strip()):
            raise SettingsError(
                f"{variable} must hold identities such as spiffe://cqox/gateway, not {identity.strip()!r}."
            )


def _check_hosts(text: str) -> None:
    try:
        AllowedHosts(text)
    except ValueError as error:
        raise SettingsError(f"CQOX_ALLOWED_HOSTS: {error}.") from None


def _check_address(url: str) -> None:
    """Raise ValueError unless httpx accepts the URL; it rejects 256.1.1.1 or an empty host, for instance."""
    # Imported here: it takes long to import, and most processes that load settings send no requests.
    import httpx

    try:
        assert httpx.URL(url).host
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from error


def _parts_of(url: str) -> SplitResult | None:
    """Split a URL; return None where it has no host or an invalid port."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _number(kind: type, text: str) -> float | int | None:
    try:
        number: float = kind(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
