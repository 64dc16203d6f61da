"""Who makes vectors of texts: nobody but ourselves, an OpenAI-compatible server, or Ollama."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import redis
from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import get_http, refuse, retry_after_s
from mindbot_tasks.core.settings import ChromaSettings, ProviderSettings, Settings
from mindbot_tasks.core.settings.known_models import vendor_of
from mindbot_tasks.knowledge import offline_embedding
from mindbot_tasks.stores.redis import get_redis

OFFLINE = ("", "offline")
_CACHED_S = 24 * 3600
_MAX_ANSWER = 64_000_000
#: how alike question and passage are when it says nothing, and when it is sure; they differ from model to model
_SCALES = {"offline": (0.08, 0.45), "text-embedding-ada-002": (0.72, 0.88), "bge": (0.35, 0.75), "e5": (0.85, 0.9)}
_USUAL_SCALE = (0.2, 0.6)
#: (k, weight) of its ranks beside those of the words. The offline one knows no meanings, only spellings: it settles
#: what words leave open, and finds what is misspelt; measured with `mindbot kb eval`
_FUSION = {"offline": (5, 0.2), "e5": (5, 0.5)}
_USUAL_FUSION = (60, 1.0)


class Embedder(Protocol):
    """Makes vectors."""

    @property
    def id(self) -> str:
        """Name and version; vectors of two of them cannot be compared."""

    @property
    def batch(self) -> int:
        """How many texts at once."""

    def embed(self, texts: Sequence[str], deadline: Deadline) -> list[list[float]]:
        """A vector for each text. Raises Rejected, Throttled, Unavailable or a Stopped."""


@dataclass(frozen=True, slots=True)
class Offline:
    """Ours."""

    id: str = offline_embedding.ID
    batch: int = 128

    def embed(self, texts: Sequence[str], deadline: Deadline) -> list[list[float]]:
        deadline.check()
        return [offline_embedding.embed(text) for text in texts]


@dataclass(frozen=True, slots=True)
class Remote:
    """A server with OpenAI's /embeddings, or Ollama's /api/embed."""

    model: str
    url: str
    key: SecretStr | None
    is_ollama: bool
    provider: str
    batch: int = 32
    query_model: str = ""  #: the same one, as the server calls it for questions

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"

    def embed(self, texts: Sequence[str], deadline: Deadline) -> list[list[float]]:
        """In halves when so many at once are refused: every server has a limit of its own, and tells it nowhere."""
        try:
            return self._embed(texts, deadline)
        except Rejected as exc:
            if exc.status not in (400, 413, 422) or len(texts) < 2:
                raise
        middle = len(texts) // 2
        return [*self.embed(texts[:middle], deadline), *self.embed(texts[middle:], deadline)]

    def _embed(self, texts: Sequence[str], deadline: Deadline) -> list[list[float]]:
        headers = {"Authorization": f"Bearer {self.key.get_secret_value()}"} if self.key is not None else {}
        response = get_http().request(
            "POST",
            self.url,
            deadline=deadline,
            provider=self.provider,
            headers=headers,
            # nothing empty: many servers refuse that
            json={"model": self.model, "input": [text or " " for text in texts]},
            max_bytes=_MAX_ANSWER,
        )
        if response.status == 429:
            raise Throttled(
                "the embedding server asks to wait", kind="rate_limit", provider=self.provider, status=429,
                retry_after_s=retry_after_s(response.headers),
            )  # fmt: skip
        if not response.ok:
            refuse(response)
        try:
            told = response.json()
            if self.is_ollama:
                vectors = told["embeddings"]
            else:
                vectors = [one["embedding"] for one in sorted(told["data"], key=lambda one: one.get("index", 0))]
            found = [[float(value) for value in vector] for vector in vectors]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Unavailable("the answer holds no vectors", kind="protocol", provider=self.provider) from None
        if len(found) != len(texts) or not all(found) or len({len(vector) for vector in found}) != 1:
            raise Unavailable("the answer holds other vectors than asked for", kind="protocol", provider=self.provider)
        return found


def embedder_of(settings: Settings) -> Embedder | None:
    """As `chromadb` says; None: there are no vectors, because nobody makes them or nobody keeps them."""
    wanted = settings.chromadb
    if wanted is None:
        return None
    if wanted.embedding_model.lower() in OFFLINE:
        return Offline()
    name, model = _provider_of(settings, wanted)
    provider = settings.providers.get(name)
    kind = ((provider.type or name) if provider is not None else name).lower()
    is_ollama = kind == "ollama"
    base = wanted.embedding_base_url or _base_of(kind, provider)
    if not base:
        return None
    key = wanted.embedding_api_key or (provider.api_key if provider is not None else None)
    url = f"{base.removesuffix('/v1')}/api/embed" if is_ollama else f"{base}/embeddings"
    return Remote(model, url, key, is_ollama, name or "embeddings", query_model=wanted.embedding_query_model)


def _provider_of(settings: Settings, wanted: ChromaSettings) -> tuple[str, str]:
    """(name of the provider, model); "" where a server is named by its address alone."""
    name, slash, model = wanted.embedding_model.partition("/")
    if slash and name in settings.providers:
        return name, model
    if wanted.embedding_base_url:
        return "", wanted.embedding_model
    made_by = {"text-embedding-ada": "openai", "text-embedding-3": "openai", "embedding-": "chatglm"}
    vendor = next((vendor for start, vendor in made_by.items() if wanted.embedding_model.startswith(start)), "ollama")
    for name, provider in settings.providers.items():
        if (provider.type or name).lower() == vendor:
            return name, wanted.embedding_model
    return "", wanted.embedding_model


def _base_of(kind: str, provider: ProviderSettings | None) -> str:
    if provider is None:
        return ""
    if provider.base_url:
        return provider.base_url
    if kind == "ollama":
        return "http://127.0.0.1:11434"
    vendor = vendor_of(kind, "")
    return vendor.base_url.rstrip("/") if vendor is not None else ""


def scale_of(embedder_id: str) -> tuple[float, float]:
    """Cosine similarities that mean "nothing to do with it" and "surely about it"."""
    return next((scale for name, scale in _SCALES.items() if name in embedder_id), _USUAL_SCALE)


def fusion_of(embedder_id: str) -> tuple[int, float]:
    """How reciprocal ranks are added: k, and the weight of this embedder beside 1 for the words."""
    return next((fusion for name, fusion in _FUSION.items() if name in embedder_id), _USUAL_FUSION)


def embed_question(embedder: Embedder, text: str, deadline: Deadline) -> list[float]:
    """The vector of a question; what a server has made is kept for a day. Raises as `embed`."""
    if isinstance(embedder, Offline):
        return embedder.embed([text], deadline)[0]  # 1 ms: quicker than to ask Redis
    said = f"{embedder.id}\n{' '.join(text.split())}"
    key = f"mindbot:embedding:{hashlib.sha256(said.encode()).hexdigest()}"
    try:
        if kept := get_redis().get(key):
            packed = base64.b64decode(str(kept))
            return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (redis.RedisError, ValueError, struct.error):
        pass  # it is only faster with it
    asking = embedder
    if isinstance(embedder, Remote) and embedder.query_model:
        asking = replace(embedder, model=embedder.query_model)
    vector = asking.embed([text], deadline)[0]
    with contextlib.suppress(redis.RedisError):
        get_redis().set(key, base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode(), ex=_CACHED_S)
    return vector
