"""What every response tells browsers about what they may do with it."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, request

ALWAYS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def _add(response: Response) -> Response:
    headers = response.headers
    there = {name.lower() for name, _ in headers}  # once: to ask for each name looks through all of them each time
    for name, value in ALWAYS.items():
        if name.lower() not in there:
            headers.add(name, value)
    if "cache-control" not in there and not (request.endpoint or "").endswith(".static"):
        headers.add("Cache-Control", "no-store")
    if request.is_secure and "strict-transport-security" not in there:
        headers.add("Strict-Transport-Security", "max-age=31536000")
    return response


def register(app: Flask) -> None:
    """Put them on every response, errors too."""
    app.after_request(_add)
