"""What browsers are told, on pages, errors and data alike."""

from __future__ import annotations

import flask.testing
import pytest

EXPECTED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/livez", "/readyz", "/metrics", "/api/v1/messages", "/webhooks/chat"]
)
def test_every_response_carries_the_headers(client: flask.testing.FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers.get(name) for name in EXPECTED} == EXPECTED


def test_strict_transport_is_asked_for_only_where_there_is_encryption(client: flask.testing.FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/livez").headers
    assert "Strict-Transport-Security" in client.get("/livez", base_url="https://bot.example").headers


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(client: flask.testing.FlaskClient) -> None:
    cookie = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
