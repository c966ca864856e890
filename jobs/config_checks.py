"""What is missing or wrong in the settings of a production deployment, told in words. Nothing is connected to here
but a security module, which signs once with each key that it holds."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateways.assembly import OWN_SETTINGS, third_parties
from gateways.key_source import ThirdPartySettingsWrong
from kernel import keys
from kernel.sealing import KEY_BYTES
from kernel.settings import Environment, Settings

DISTINCT_BYTES_MIN = 16
TOKEN_LENGTH_MIN = 16
CALLBACK_AGE_MIN_S, CALLBACK_AGE_MAX_S = 60, 600
PREFIX = "YOUKA_"
# Who says no more than its default says something of its own, so these may be what they are in the sandbox.
MAY_BE_AS_IN_SANDBOX = frozenset({"public_url", "tencent_face_rule_id", "issuer_partner_id"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the variable, what is wrong with it, and what to do. `must` where it cannot stay."""

    variable: str
    problem: str
    advice: str
    must: bool = True


def as_production(settings: Settings) -> Settings:
    """Return the settings as production would read them, where nothing stands in for what is missing."""
    return settings.model_copy(update={"environment": Environment.PRODUCTION})


async def of_settings(settings: Settings) -> list[Finding]:
    """Return everything that the settings alone tell, the gravest of each subject first."""
    findings = []
    if settings.development:
        findings.append(
            Finding("YOUKA_ENVIRONMENT", "is development", "set it to production, or the sandbox's keys stand in")
        )
    production = as_production(settings)
    findings += await _of_third_parties(production)
    for check in (_of_keys, _of_sandbox, _of_address, _of_processes, _of_callbacks, _of_openness):
        findings += check(production)
    return findings


async def _of_third_parties(settings: Settings) -> list[Finding]:
    try:
        async with third_parties(settings):
            return []
    except ThirdPartySettingsWrong as error:
        parted = (each.partition(" ") for each in error.problems)
        return [Finding(variable, problem, "see the deployment guide in README.md") for variable, _, problem in parted]


def _of_keys(settings: Settings) -> Iterator[Finding]:
    advice = "set it to 32 random bytes in base64 (openssl rand -base64 32), and keep a copy: cards are sealed with it"
    try:
        keys.sealer(settings)
    except keys.KeyMissing:
        yield Finding("YOUKA_DATA_KEY", "is not set", advice)
    except ValueError:
        yield Finding("YOUKA_DATA_KEY", f"is not {KEY_BYTES} bytes in base64", advice)
    else:
        if len(set(settings.data_key.get_secret_value())) < DISTINCT_BYTES_MIN:
            yield Finding("YOUKA_DATA_KEY", "is too regular to be random", advice)
    advice = "name the file of a P-256 private key in PEM (openssl ecparam -name prime256v1 -genkey -noout)"
    path = settings.token_key_path
    try:
        keys.token_key(settings)
    except keys.KeyMissing:
        yield Finding("YOUKA_TOKEN_KEY_PATH", f"names {path}, which is not there" if path else "is not set", advice)
    except OSError as error:
        yield Finding("YOUKA_TOKEN_KEY_PATH", f"names {path}, which cannot be read: {error.strerror}", advice)
    except ValueError:
        yield Finding("YOUKA_TOKEN_KEY_PATH", f"names {path}, which is no such key", advice)


def _of_sandbox(settings: Settings) -> Iterator[Finding]:
    for name in OWN_SETTINGS:
        is_default = getattr(settings, name) == type(settings).model_fields[name].default
        if is_default and name in settings.model_fields_set and name not in MAY_BE_AS_IN_SANDBOX:
            yield Finding(_variable(name), "is the sandbox's", "set it to your own")
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name.endswith("_url") and name not in {"public_url", "database_url", "redis_url"} and value:
            if _is_loopback(urlsplit(str(value)).hostname or ""):
                yield Finding(_variable(name), "names this machine, as a sandbox's does", "leave it out, or name yours")
            elif urlsplit(str(value)).scheme != "https":
                yield Finding(_variable(name), "is not https", "name an https address")
        sandbox = (settings.data_dir / "sandbox").resolve()
        if name.endswith("_path") and value is not None and Path(value).resolve().is_relative_to(sandbox):
            yield Finding(_variable(name), "names a key of the sandbox", "name your own")


def _of_address(settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.public_url)
    if not settings.public_url:
        return
    if url.scheme != "https" or not url.hostname:
        yield Finding("YOUKA_PUBLIC_URL", "is not an https address", "third parties call back to https only")
    elif _is_loopback(url.hostname):
        yield Finding("YOUKA_PUBLIC_URL", "names this machine", "name the address under which third parties reach you")
    if url.path.rstrip("/") or url.query:
        yield Finding("YOUKA_PUBLIC_URL", "has a path", "name the host alone; the callbacks' paths are added to it")


def _of_processes(settings: Settings) -> Iterator[Finding]:
    embedded = settings.database.startswith("sqlite")
    if embedded and not settings.runs_worker:
        advice = "set it to a PostgreSQL, or let the server run the worker (YOUKA_WORKER_IN_SERVER)"
        yield Finding("DATABASE_URL", "is SQLite, which the server and a worker beside it would share", advice)
    elif embedded:
        advice = "set it to a PostgreSQL before you start a second process"
        yield Finding("DATABASE_URL", "is SQLite, which serves one process only", advice, must=False)
    if not settings.redis_url and not embedded:
        advice = "set it where several processes run: without it they learn of events by looking, and share no breakers"
        yield Finding("REDIS_URL", "is not set", advice, must=False)


def _of_callbacks(settings: Settings) -> Iterator[Finding]:
    age_s = settings.callback_age_max_s
    if age_s > CALLBACK_AGE_MAX_S:
        advice = f"set it to {CALLBACK_AGE_MAX_S} at most: for so long a stolen callback can be sent again"
        yield Finding("YOUKA_CALLBACK_AGE_MAX_S", f"is {age_s}", advice)
    elif age_s < CALLBACK_AGE_MIN_S:
        advice = f"set it to {CALLBACK_AGE_MIN_S} at least, or callbacks of clocks that are a little off are refused"
        yield Finding("YOUKA_CALLBACK_AGE_MAX_S", f"is {age_s}", advice)


def _of_openness(settings: Settings) -> Iterator[Finding]:
    if not settings.trusted_documents_only:
        advice = "set it to true, unless partners send documents of their own"
        yield Finding("YOUKA_TRUSTED_DOCUMENTS_ONLY", "is off, so anybody may ask anything", advice, must=False)
    if "*" in settings.allowed_origins:
        advice = "name the origins of your pages"
        yield Finding("YOUKA_ALLOWED_ORIGINS", "lets every page open WebSockets", advice)
    token = settings.metrics_token.get_secret_value()
    if not token:
        advice = "set it to what Prometheus shall send; without it there is no /metrics"
        yield Finding("YOUKA_METRICS_TOKEN", "is not set", advice, must=False)
    elif len(token) < TOKEN_LENGTH_MIN:
        advice = f"set it to {TOKEN_LENGTH_MIN} random characters or more"
        yield Finding("YOUKA_METRICS_TOKEN", "is short enough to be guessed", advice)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
