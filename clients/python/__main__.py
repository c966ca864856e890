"""For trying by hand: `new-key` makes a pair of keys, `assertion` proves who asks, `token` signs in.

python -m clients.python new-key private.jwk.json public.jwk.json
python -m clients.python assertion CLIENT private.jwk.json TOKEN_ENDPOINT
python -m clients.python token CLIENT private.jwk.json URL
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
from joserfc.jwk import ECKey

from .errors import SignInFailed
from .tokens import ClientCredentials, assertion, new_key_pair

OWNER_ONLY = 0o600


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m clients.python", description="Keys and tokens of a partner.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("new-key", help="make a private key and its public half")
    command.add_argument("private", type=Path)
    command.add_argument("public", type=Path)
    for name, last, text in (
        ("assertion", "audience", "print what proves to a token endpoint who asks"),
        ("token", "url", "sign in, and print the token"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("client")
        command.add_argument("private", type=Path)
        command.add_argument(last)
    given = parser.parse_args(arguments)
    if given.command == "new-key":
        _write_keys(given.private, given.public)
        return 0
    key = ECKey.import_key(json.loads(given.private.read_text(encoding="utf-8")))
    if given.command == "assertion":
        print(assertion(given.client, key, given.audience))
        return 0
    try:
        print(asyncio.run(_token(given.url, ClientCredentials(given.client, key))))
    except (SignInFailed, httpx.TransportError) as error:
        print(f"no token: {error}", file=sys.stderr)
        return 1
    return 0


async def _token(url: str, tokens: ClientCredentials) -> str:
    async with httpx.AsyncClient(base_url=url) as http:
        return await tokens.token(http)


def _write_keys(private_path: Path, public_path: Path) -> None:
    """Nobody else may read the private key, not even for a moment."""
    private, public = new_key_pair()
    with os.fdopen(os.open(private_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
        json.dump(private, file)
    public_path.write_text(json.dumps(public) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
