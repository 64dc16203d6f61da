"""The emulators of the vendors, and a Redis."""

from __future__ import annotations

from tests.emulated import (
    anthropic,
    anthropic_process,
    coze,
    coze_process,
    dify,
    dify_process,
    gemini,
    gemini_process,
    logs,
    ollama,
    ollama_process,
    openai,
    openai_process,
)
from tests.stores.fleet.redis_fixtures import no_redis, redis_url, shared

__all__ = [
    "anthropic", "anthropic_process", "coze", "coze_process", "dify", "dify_process", "gemini", "gemini_process",
    "logs", "no_redis", "ollama", "ollama_process", "openai", "openai_process", "redis_url", "shared",
]  # fmt: skip
