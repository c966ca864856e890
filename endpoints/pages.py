"""Small pages of our own: no script, nothing from elsewhere, never in a frame."""

from __future__ import annotations

import secrets
from html import escape
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse

TEMPLATE = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))


def page(
    title: str, content: str, *, status: int = 200, form_targets: str = "'self'", images: str = "'self'"
) -> HTMLResponse:
    """Return a page; `content` is HTML whose texts are escaped already.

    `form_targets` are the places that a form may be sent to, redirects included (CSP, `form-action`).
    """
    nonce = secrets.token_urlsafe(16)
    return HTMLResponse(
        TEMPLATE.substitute(title=escape(title), nonce=nonce, content=content),
        status_code=status,
        headers=private_headers(nonce, form_targets=form_targets, images=images),
    )


def private_headers(nonce: str, *, form_targets: str, images: str = "'self'") -> dict[str, str]:
    """Return the headers of a page that nobody keeps, which may use the style with the nonce and nothing else."""
    policy = (
        "default-src 'none'",
        f"style-src 'nonce-{nonce}'",
        f"img-src {images}",
        f"form-action {form_targets}",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
