"""Commands about who may come in: clients, the second factor of staff, and the keys that sign tokens."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from domain.access import clients, signing_keys, staff
from domain.access.clients import Quota, Terms
from domain.access.policy import Policy
from domain.access.rules import POSSIBLE_SCOPES
from domain.actions.recording import columns_of
from domain.identity.tokens import TokenAuthority, authority
from jobs.acting import on_record
from jobs.commands import on_database
from jobs.printing import printable
from kernel import keys
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.settings import get_settings
from kernel.states import ClientKind

DONE, REFUSED = 0, 2
NAME_LENGTH_MAX = 64
COUNT_DIGITS_MAX = 9

Work = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `client`, `signing-keys` and `enrol-staff`; each sets `run`, which returns 0, or 2 where it refuses."""
    _add_client_commands(subparsers.add_parser("client", help="the programs that may ask for tokens"))
    _add_key_commands(subparsers.add_parser("signing-keys", help="the keys that sign access tokens"))
    command = subparsers.add_parser("enrol-staff", help="give somebody who works here a password and a second factor")
    command.add_argument("name")
    _runs(command, enrol_staff)


def _add_client_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("add", help="let a program ask for tokens")
    command.add_argument("id", type=_text)
    command.add_argument("--name", required=True, type=_text, help="how people are told of it")
    command.add_argument("--kind", type=ClientKind, choices=list(ClientKind), default=ClientKind.PARTNER)
    command.add_argument("--scope", action="append", help="what it may do (may be repeated; else all of its kind)")
    command.add_argument("--key", type=Path, metavar="FILE", help="its public key, a JWK in JSON")
    command.add_argument("--redirect", action="append", default=[], metavar="URI", help="where its users come back to")
    command.add_argument("--sandbox", action="store_true", help="of the sandbox tenant; without a key it gets a secret")
    command.add_argument("--tokens-per-hour", type=_count, metavar="NUMBER", help="instead of the usual quota")
    _runs(command, add_client)
    _runs(commands.add_parser("list", help="every program"), list_clients)
    command = commands.add_parser("rotate", help="a new key, or a new secret of a sandbox client")
    command.add_argument("id")
    command.add_argument("--key", type=Path, metavar="FILE", help="its new public key, a JWK in JSON")
    _runs(command, rotate_client)
    command = commands.add_parser("quota", help="how much its requests may cost; without numbers as usual")
    command.add_argument("id")
    command.add_argument("--cost-max", type=_count, metavar="NUMBER", help="at once")
    command.add_argument("--refill-per-s", type=_count, metavar="NUMBER", help="how much comes back in a second")
    _runs(command, set_client_quota)
    command = commands.add_parser("disable", help="serve it no more, and end its sessions")
    command.add_argument("id")
    _runs(command, disable_client)


def _add_key_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _runs(commands.add_parser("list", help="every key, newest first"), list_keys)
    _runs(commands.add_parser("rotate", help="publish a new key, which signs after a while"), rotate_keys)
    command = commands.add_parser("revoke", help="let nothing be good that a stolen key has signed")
    command.add_argument("kid")
    _runs(command, revoke_key)


async def add_client(given: argparse.Namespace) -> int:
    terms = Terms(
        client_id=given.id,
        name=given.name,
        kind=given.kind,
        scopes=frozenset(given.scope or POSSIBLE_SCOPES[given.kind]),
        redirect_uris=given.redirect,
        sandbox=given.sandbox,
        public_key=_read(given.key),
        tokens_per_hour_max=given.tokens_per_hour,
    )
    client, secret = await on_record(
        lambda: clients.add(terms=terms, now=utc_now()),
        *("client add", "Client", given.id),
        after=lambda added: columns_of(added[0]),
    )
    print(f"{client.client_id}: {client.kind}, {' '.join(client.scopes)}")
    if secret:
        print(f"its secret, which is shown this once: {secret}")
    return DONE


async def list_clients(_given: argparse.Namespace) -> int:
    for client in await clients.listed():
        tenant = "sandbox" if client.sandbox else "live"
        state = "disabled" if client.disabled_at else "served"
        name = printable(client.name, length_max=NAME_LENGTH_MAX)
        print(f"{client.client_id:<24} {client.kind:<12} {tenant:<8} {state:<9} {' '.join(client.scopes)}  {name}")
    return DONE


async def rotate_client(given: argparse.Namespace) -> int:
    policy, key = Policy.of(get_settings()), _read(given.key)
    if key is None:
        secret = await on_record(
            lambda: clients.rotate_secret(client_id=given.id, policy=policy, now=utc_now()),
            *("client rotate", "Client", given.id),
        )
        print(f"its new secret, which is shown this once: {secret}")
        return DONE
    rotated = await on_record(
        lambda: clients.rotate_key(client_id=given.id, public_key=key, policy=policy, now=utc_now()),
        *("client rotate", "Client", given.id),
        after=asdict,
    )
    print(f"{rotated.kid} is taken from now on, those before it until {rotated.previous_until.isoformat()}")
    return DONE


async def set_client_quota(given: argparse.Namespace) -> int:
    if (given.cost_max is None) != (given.refill_per_s is None):
        sys.stderr.write("give both numbers, or none\n")
        return REFUSED
    quota = Quota(given.id, given.cost_max, given.refill_per_s) if given.cost_max is not None else None
    await clients.set_quota(client_id=given.id, quota=quota)
    usual = "the usual quota again"
    print(f"{given.id} has {f'{quota.cost_max} and {quota.refill_per_s} a second' if quota else usual}")
    return DONE


async def disable_client(given: argparse.Namespace) -> int:
    ended = await on_record(
        lambda: clients.disable(client_id=given.id, tokens=authority(get_settings()), now=utc_now()),
        *("client disable", "Client", given.id),
        after=lambda ended: {"sessions_ended": ended},
    )
    print(f"{given.id} is served no more; {ended} sessions have ended")
    return DONE


async def list_keys(_given: argparse.Namespace) -> int:
    await opened_tokens()
    for each in await signing_keys.standings(now=utc_now()):
        until = each.expires_at.isoformat(timespec="seconds") if each.expires_at else "-"
        print(f"{each.kid}  {each.role:<8} from {each.active_from.isoformat(timespec='seconds')}  until {until}")
    return DONE


async def rotate_keys(_given: argparse.Namespace) -> int:
    settings, tokens = get_settings(), await opened_tokens()
    sealer, policy = keys.sealer(settings), Policy.of(settings)
    made = await on_record(
        lambda: signing_keys.rotate(sealer=sealer, policy=policy, tokens=tokens, now=utc_now()),
        *("signing-keys rotate", "SigningKey", "next"),
        after=columns_of,
    )
    print(f"{made.kid} signs from {made.active_from.isoformat(timespec='seconds')}")
    return DONE


async def revoke_key(given: argparse.Namespace) -> int:
    await on_record(
        lambda: signing_keys.revoke(kid=given.kid, now=utc_now()), "signing-keys revoke", "SigningKey", given.kid
    )
    print(f"nothing that {given.kid} has signed is good any more")
    return DONE


async def enrol_staff(given: argparse.Namespace) -> int:
    sealer = keys.sealer(get_settings())
    enrolled = await on_record(
        lambda: staff.enrol(name=given.name, sealer=sealer, now=utc_now()), "enrol-staff", "Staff", given.name
    )
    print("both are shown this once:")
    print(f"password: {enrolled.password}")
    print(f"second factor, for an authenticator app: {enrolled.totp_uri}")
    return DONE


async def opened_tokens() -> TokenAuthority:
    """Return the authority with the keys that all processes share. Raises KeyMissing."""
    settings = get_settings()
    tokens = authority(settings)
    sealer = keys.sealer(settings)
    tokens.use(await signing_keys.load(first=keys.token_key(settings), sealer=sealer, now=utc_now()))
    return tokens


def _read(path: Path | None) -> str | None:
    return path.read_text(encoding="utf-8") if path else None


def _text(text: str) -> str:
    if not text.strip() or len(text) > NAME_LENGTH_MAX or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not a text of 1 to {NAME_LENGTH_MAX} characters")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > COUNT_DIGITS_MAX or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _runs(command: argparse.ArgumentParser, work: Work) -> None:
    command.set_defaults(run=lambda given: _run(work, given))


def _run(work: Work, given: argparse.Namespace) -> int:
    try:
        return on_database(lambda: work(given))
    except (YoukaError, keys.KeyMissing, UnicodeDecodeError, FileNotFoundError) as error:
        print(f"youka: {error.message('en') if isinstance(error, YoukaError) else error}", file=sys.stderr)
        return REFUSED
