"""Calls to one Dify app: its address and its key, which alone says which app answers."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.http import Http, Patience, Stream, get_http
from mindbot_tasks.llm.dify.errors import raise_error

MAX_ANSWER_BYTES = 16_000_000  # chatflows repeat inputs and outputs of every node


@functools.lru_cache(maxsize=1000)
def _digest(base: str, key: str) -> str:
    return hashlib.sha256(f"{base} {key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Client:
    """One app; `name` is that of the answerer, for errors."""

    name: str
    base: str  #: ".../v1"
    api_key: SecretStr
    patience: Patience | None = None
    own_http: Http | None = None

    @property
    def http(self) -> Http:
        return self.own_http or get_http()

    @property
    def fingerprint(self) -> str:
        """Tells apps apart without telling the key."""
        return _digest(self.base, self.api_key.get_secret_value())

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}

    def stream(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Stream:
        """Send; any status is an answer. Raises as `Http.stream`."""
        return self.http.stream(
            method,
            self.base + path,
            deadline=deadline,
            provider=self.name,
            headers=self.headers,
            json=body,
            params=params,
            patience=self.patience,
            max_bytes=MAX_ANSWER_BYTES,
        )

    def get(self, path: str, deadline: Deadline, **params: str) -> Any:
        """GET a JSON answer. Raises Rejected, Throttled, Unavailable or a Stopped."""
        with self.stream("GET", path, deadline, params=params) as stream:
            response = stream.whole()
        if not response.ok:
            raise_error(response)
        return response.json()

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> Any:
        """POST JSON, get JSON (or nothing). Raises as `get`."""
        with self.stream("POST", path, deadline, body=body) as stream:
            response = stream.whole()
        if not response.ok:
            raise_error(response)
        return response.json_or_none()
