"""Which models a provider serves, and whether it is well: the cheapest calls that it answers, and no tokens."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.http import Http, Patience, Response, get_http, refuse
from mindbot_tasks.core.settings import ProviderSettings
from mindbot_tasks.llm.catalogue import base_of, kind_of, protocol_of

_MOST_PAGES = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """One model as its provider lists it."""

    name: str
    shutdown: date | None = None  #: the day on which the vendor switches it off; few say


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks one provider; with another key than its first, if one is given."""

    name: str
    provider: ProviderSettings
    key: str = ""
    patience: Patience | None = None
    http: Http | None = None

    def models(self, deadline: Deadline) -> tuple[Listed, ...] | None:
        """What it serves; None: it has no such list. Raises Rejected, Throttled, Unavailable."""
        place = _list_of(self.name, self.provider)
        if place is None:
            return None
        found: list[Listed] = []
        page: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            body = self._get(place.url, deadline, {**place.params, **page}).json()
            entries = body.get(place.key) if isinstance(body, dict) else None
            if not isinstance(entries, list):
                raise Unavailable("this is no list of models", kind="protocol", provider=f"provider:{self.name}")
            found += [_listed(entry) for entry in entries if isinstance(entry, dict)]
            page = _next_page(body)
            if not page:
                break
        return tuple(each for each in found if each.name)

    def ping(self, deadline: Deadline) -> Response:
        """An answer that only a server that is well gives, to a caller with the right key where that can be told.

        Raises Rejected, Throttled, Unavailable.
        """
        base, kind = base_of(self.name, self.provider), kind_of(self.name, self.provider)
        place = _list_of(self.name, self.provider)
        if protocol_of(self.name, self.provider) == "coze":
            return self._coze(base, deadline)
        if kind == "vllm" and not self._secret:  # else the list of models tells more: whether the key is right
            return self._get(base.removesuffix("/v1") + "/health", deadline, {})
        if place is None:
            return self._get(f"{base}/info", deadline, {})
        return self._get(place.url, deadline, place.params)

    def _coze(self, base: str, deadline: Deadline) -> Response:
        answer = self._get(f"{base}/v1/users/me", deadline, {})
        body = answer.json_or_none()
        if isinstance(body, dict) and body.get("code"):
            from mindbot_tasks.llm.coze import raise_code

            raise_code(body["code"], answer.status, answer.provider, None)
        return answer

    @property
    def _secret(self) -> str:
        return self.key or (self.provider.api_key.get_secret_value() if self.provider.api_key else "")

    def _get(self, url: str, deadline: Deadline, params: Mapping[str, str]) -> Response:
        answer = (self.http or get_http()).request(
            "GET",
            url,
            deadline=deadline,
            provider=f"provider:{self.name}",
            headers=_headers(protocol_of(self.name, self.provider), self._secret),
            params=params or None,
            patience=self.patience,
        )
        if not answer.ok:
            refuse(answer)
        return answer


@dataclass(frozen=True, slots=True)
class _Place:
    url: str
    key: str  #: of the list in the answer
    params: Mapping[str, str]


def _list_of(name: str, provider: ProviderSettings) -> _Place | None:
    base = base_of(name, provider)
    match protocol_of(name, provider):
        case "anthropic":
            return _Place(f"{base}/v1/models", "data", {"limit": "1000"})
        case "gemini":
            from mindbot_tasks.llm.gemini_chat import url_of

            return _Place(url_of(base, "models"), "models", {"pageSize": "1000"})
        case "ollama":
            return _Place(f"{base}/api/tags", "models", {})
        case "openai":
            return _Place(f"{base}/models", "data", {})
        case _:
            return None


def _headers(protocol: str, key: str) -> dict[str, str]:
    if not key:
        return {}
    if protocol == "gemini":
        return {"x-goog-api-key": key}
    headers = {"Authorization": f"Bearer {key}"}
    if protocol == "anthropic":
        from mindbot_tasks.llm.anthropic_chat import VERSION

        headers["anthropic-version"] = VERSION
    return headers


def _next_page(body: dict[str, Any]) -> dict[str, str]:
    """What asks for the next page: Anthropic's way, or Google's."""
    if body.get("has_more") and body.get("last_id"):
        return {"after_id": str(body["last_id"])}
    token = body.get("nextPageToken")
    return {"pageToken": str(token)} if token else {}


def _listed(entry: dict[str, Any]) -> Listed:
    name = str(entry.get("id") or entry.get("model") or entry.get("name") or "").removeprefix("models/")
    try:
        shutdown = date.fromisoformat(str(entry.get("shutdown_date"))[:10])
    except ValueError:
        shutdown = None
    return Listed(name, shutdown)


def is_listed(model: str, listed: tuple[Listed, ...]) -> Listed | None:
    """The entry of a model; Ollama lists "llama3:latest" for "llama3"."""
    wanted = model.removeprefix("models/")
    spellings = (wanted, f"{wanted}:latest", wanted.removesuffix(":latest"))
    return next((each for each, spelling in itertools.product(listed, spellings) if each.name == spelling), None)
