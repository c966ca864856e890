"""`python -m sandbox`: serve on 127.0.0.1:SANDBOX_PORT until interrupted."""

from __future__ import annotations

import uvicorn

from kernel.logs import configure_logging
from kernel.settings import get_settings
from sandbox.app import create_app

LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_S = 1


def main() -> None:
    settings = get_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    # An access log would hold what the login's address carries: the secret and the code.
    uvicorn.run(
        create_app(settings),
        host=LOOPBACK,
        port=settings.sandbox_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )


if __name__ == "__main__":
    main()
