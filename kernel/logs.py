"""Structured logs without secrets: what a value's name calls secret is masked before it is written."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

from kernel.hiding import hidden

# It would load rich for tracebacks in colours, and ours are written by `format_exc_info`.
with hidden("rich"):
    import structlog

MASK = "***"
SECRET_NAMES = re.compile(
    r"(authorization|token|secret|password|signature|cookie|private_key|api_v3_key|card_number|^number$|phone|openid)",
    re.IGNORECASE,
)
# These are made by us, and an id in hexadecimal may hold as many digits as a card.
PLAIN_NAMES = frozenset({"timestamp", "level", "exc_info", "request_id", "error_id"})
LONG_DIGITS = re.compile(r"(?<![\d.])\d{11,}(?![\d.])")


def masked(name: str, value: Any) -> Any:
    """Return the value without secrets: masked whole by its name, or long digits in its text but for the last four."""
    if SECRET_NAMES.search(name):
        return MASK
    if isinstance(value, str):
        return LONG_DIGITS.sub(lambda found: MASK + found.group()[-4:], value)
    if isinstance(value, dict):
        return {key: masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(name, item) for item in value]
    return value


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask secrets by name, and digits in text that are long enough for a phone or a card (11 and more)."""
    for name in list(event):
        if name not in PLAIN_NAMES:
            event[name] = masked(name, event[name])
    return event


def configure_logging(*, log_format: str, level: str) -> None:
    """Send our events and the libraries' through one redacting pipeline to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "tortoise", "aiosqlite", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger(name)
