"""What a provider, one of its models or a workflow may use, by the configuration."""

from __future__ import annotations

from mindbot_tasks.core.settings import ProviderSettings, WorkflowSettings
from mindbot_tasks.stores.leave import Bucket, Limits
from mindbot_tasks.stores.limiter import Rate


def provider_limits(name: str, provider: ProviderSettings, model_name: str = "") -> Limits:
    """Of the provider as a whole, and of the model where it has limits of its own."""
    whole = f"provider:{name}"
    buckets = _buckets(whole, provider.rate_limit, provider.tokens_per_minute)
    for model in provider.models:
        if model.name == model_name:
            buckets += _buckets(f"{whole}/{model_name}", model.rate_limit, model.tokens_per_minute)
    return Limits(buckets, provider.max_concurrency)


def workflow_limits(name: str, workflow: WorkflowSettings) -> Limits:
    """Those of one workflow: requests a minute, and calls at once."""
    return Limits(_buckets(f"workflow:{name}", workflow.rate_limit, None), workflow.max_concurrency)


def _buckets(name: str, requests: int | None, tokens: int | None) -> tuple[Bucket, ...]:
    found = [Bucket(name, Rate.per_minute(requests))] if requests else []
    if tokens:
        found.append(Bucket(f"tokens:{name}", Rate.per_minute(tokens), "tokens"))
    return tuple(found)
