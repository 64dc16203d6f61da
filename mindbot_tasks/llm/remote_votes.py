"""Tells Dify what people think of an answer that one of its apps has given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.building import patience_with
from mindbot_tasks.llm.catalogue import base_of, protocol_of
from mindbot_tasks.llm.dify.address import DEFAULT_ENDPOINT
from mindbot_tasks.llm.dify.app import REMOTE, DifyApp
from mindbot_tasks.llm.dify.client import Client
from mindbot_tasks.llm.variants import own_app
from mindbot_tasks.llm.workflows import endpoints_of

_RATINGS = {"up": "like", "down": "dislike"}


def is_wanted(settings: Settings) -> bool:
    """Whether any answer can have come from an app of Dify."""
    return bool(settings.workflows) or any(
        protocol_of(name, provider) == "dify" for name, provider in settings.providers.items()
    )


def tell(settings: Settings, details: Mapping[str, Any], user: str, vote: str, deadline: Deadline) -> bool:
    """Tell it to the app that answered; False when none of ours did. Raises Rejected, Throttled, Unavailable.

    details: of the answer. user: under which name the app knows who asked; it takes votes from nobody else.
    """
    remote = details.get(REMOTE)
    if not isinstance(remote, Mapping) or not remote.get("message_id"):
        return False
    client = next((one for one in _clients(settings) if one.fingerprint.startswith(str(remote.get("app")))), None)
    if client is None:
        return False
    path = f"/messages/{quote(str(remote['message_id']), safe='')}/feedbacks"
    client.post(path, {"rating": _RATINGS.get(vote), "user": user}, deadline)
    return True


def _clients(settings: Settings) -> Iterator[Client]:
    """Every app of the configuration."""
    for name, workflow in settings.workflows.items():
        for one in (workflow, *filter(None, (own_app(workflow, variant) for variant in workflow.variants))):
            yield from (endpoint.app.client for endpoint in endpoints_of(settings, name, one))
    for name, provider in settings.providers.items():
        if protocol_of(name, provider) != "dify":
            continue
        for key in provider.api_keys or ([provider.api_key] if provider.api_key else []):
            base, patience = base_of(name, provider) or DEFAULT_ENDPOINT, patience_with(settings, name)
            yield DifyApp(f"provider:{name}", base, key, patience=patience).client
