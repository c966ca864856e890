"""Signatures of Tencent Cloud's API 3.0, TC3-HMAC-SHA256.

Source: Tencent Cloud's API documentation, "签名方法 v3".
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

ALGORITHM = "TC3-HMAC-SHA256"
TERMINATOR = "tc3_request"
SIGNED_HEADERS = "content-type;host;x-tc-action"


@dataclass(frozen=True, slots=True)
class Credentials:
    secret_id: str
    secret_key: str = field(repr=False)


def authorization(
    credentials: Credentials, *, service: str, host: str, action: str, content_type: str, timestamp: int, body: bytes
) -> str:
    """Return the Authorization header of a POST to `/`. `body` is the exact bytes that are sent."""
    day = datetime.fromtimestamp(timestamp, UTC).date().isoformat()
    scope = f"{day}/{service}/{TERMINATOR}"
    headers = f"content-type:{content_type}\nhost:{host}\nx-tc-action:{action}\n".lower()
    canonical = f"POST\n/\n\n{headers}\n{SIGNED_HEADERS}\n{sha256(body).hexdigest()}"
    message = f"{ALGORITHM}\n{timestamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{credentials.secret_key}".encode()
    for part in (day, service, TERMINATOR):
        key = _mac(key, part)
    signature = _mac(key, message).hex()
    return (
        f"{ALGORITHM} Credential={credentials.secret_id}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
    )


def _mac(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), sha256).digest()
