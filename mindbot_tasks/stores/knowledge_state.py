"""How the knowledge base is, as whoever looks after it saw it last; in Redis, for doors that ask nobody themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson
import redis

from mindbot_tasks.stores.redis import get_redis

_KEY = "mindbot:knowledge:state"
_KEPT_S = 60  #: looked at every ten seconds


@dataclass(frozen=True, slots=True)
class KnowledgeState:
    """`ok: False` costs answers their passages, or some of them, and nothing else."""

    ok: bool
    reason: str
    pieces: int = 0  #: that can be found
    waiting: int = 0  #: documents that are still to be worked on
    failed: int = 0  #: documents that could not be read


def tell(state: KnowledgeState) -> None:
    """Raises redis.RedisError."""
    get_redis().set(_KEY, orjson.dumps(asdict(state)), ex=_KEPT_S)


def read() -> KnowledgeState:
    """What was told within the last minute."""
    try:
        told = get_redis().get(_KEY)
        return KnowledgeState(**orjson.loads(str(told))) if told else KnowledgeState(False, "nobody looks after it")
    except (redis.RedisError, ValueError, TypeError):
        return KnowledgeState(False, "its state is not known")
