"""What the vendors' HTTP interfaces share: one JSON or form call within a deadline, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.http import ANYWHERE, Destinations, Patience, Response, get_http, refuse

#: people wait for an alert: a vendor that is slow is given up for the next one
PATIENCE = Patience(connect_s=3, first_byte_s=8, gap_s=5)


def call(
    method: str,
    url: str,
    *,
    provider: str,
    deadline: Deadline,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    json: Any = None,
    body: bytes | None = None,
    destinations: Destinations = ANYWHERE,
) -> Response:
    """One call, whatever its status. Raises Unavailable, DeadlineExceeded, Rejected or a Stopped."""
    return get_http(destinations).request(
        method,
        url,
        deadline=deadline,
        provider=provider,
        headers=headers,
        params=params,
        json=json,
        body=body,
        patience=PATIENCE,
        max_bytes=256_000,
    )


def plain(secret: SecretStr | None) -> str:
    """What is behind a secret of the settings; "" if there is none."""
    return secret.get_secret_value() if secret is not None else ""


def accepted(response: Response) -> Response:
    """The same, if its status is 2xx. Raises Rejected, Throttled or Unavailable."""
    if not response.ok:
        refuse(response)
    return response


def form(fields: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Header and body of a form."""
    return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields).encode()
