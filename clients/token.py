"""Print an access token of a demo user, for trying queries by hand against a development server.

    python -m clients.token [USER [SCOPE …]]

Without scopes the token has the usual ones; `webhooks` is given to who asks for it.
"""

from __future__ import annotations

import asyncio
import sys

import httpx

from clients.signin import server_url, sign_in


def main() -> int:
    user, *scopes = sys.argv[1:] or ["demo"]
    try:
        print(asyncio.run(sign_in(user, scope=" ".join(scopes))))
    except httpx.HTTPError as error:
        print(f"no token from {server_url()}: {error}; is `make run` running?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
