"""What every answer tells a browser: to show it in no page, to guess no type, and to run nothing of it."""

from __future__ import annotations

from kernel.settings import Settings

# https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
FIXED = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def security_headers(settings: Settings) -> dict[str, str]:
    """Return the headers of a deployment; an answer that has one of its own keeps it."""
    if not settings.hsts_max_age_s:
        return dict(FIXED)
    return {**FIXED, "strict-transport-security": f"max-age={settings.hsts_max_age_s}; includeSubDomains"}
