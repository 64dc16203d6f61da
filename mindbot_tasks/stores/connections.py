"""How the connections that MindBot itself holds open are (DingTalk Stream, AIM), for everybody to see.

`mindbot:connections` is a Redis hash with a field for each platform, bot and holding process. Whoever holds a
connection repeats what it says every few seconds; what is older than `LIVES_MS` by Redis' clock counts as unsaid, so a
process that was killed reads as "no data". Without Redis nothing is known, and nothing else suffers.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import orjson
import redis
import structlog

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.stores import limiter
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

State = Literal["online", "connecting", "backing_off", "refused", "stopped"]
"""`refused`: the platform does not want us (wrong credentials, signed on elsewhere), and a person has to act."""
#: from best to worst: what a bot with several holders is said to be
STATES: Final[tuple[State, ...]] = ("online", "connecting", "backing_off", "refused", "stopped")

LIVES_MS: Final = 15_000
REPEAT_S: Final = 5.0
_KEY: Final = "mindbot:connections"
_MAX_DETAIL: Final = 200
_REOPEN_S: Final = 60

# KEYS: hash; ARGV: field, state, detail, ms since the last frame ('' for none), LIVES_MS
_PUBLISH = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = now
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old then
  local known = cjson.decode(old)
  if known.state == ARGV[2] and known.said_at > now - tonumber(ARGV[5]) then since = known.since end
end
local entry = {state = ARGV[2], detail = ARGV[3], since = since, said_at = now}
if ARGV[4] ~= '' then entry.heard_at = now - tonumber(ARGV[4]) end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(entry))
redis.call('PEXPIRE', KEYS[1], 10 * ARGV[5])
return 1
"""
# KEYS: hash; ARGV: LIVES_MS
_READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, found = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local entry = cjson.decode(all[i + 1])
  if entry.said_at > now - tonumber(ARGV[1]) then
    found[#found + 1] = {
      all[i], entry.state, entry.detail, string.format('%.0f', now - entry.since),
      entry.heard_at and string.format('%.0f', now - entry.heard_at) or ''
    }
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return found
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """What one process says about the connection of one bot."""

    platform: str
    bot: str
    holder: str  #: the process: role@host:pid
    state: State
    detail: str  #: for people; never a secret
    since_s: float  #: in this state
    last_frame_s: float | None  #: since the far side was last heard; None: never

    def as_record(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def this_process() -> str:
    """role@host:pid, as the workers call themselves."""
    return f"{os.environ.get('MINDBOT_ROLE', 'bridges')}@{socket.gethostname()}:{os.getpid()}"


def publish(
    platform: str,
    bot: str,
    state: State,
    detail: str = "",
    *,
    last_frame_s: float | None = None,
    holder: str = "",
    client: Any = None,
) -> bool:
    """Say how the connection of this process is; False when Redis is away. Never raises, nor waits much over a second.

    `last_frame_s`: how long ago the far side was heard. To be repeated every `REPEAT_S`; `Reporter` does that.
    """
    field = orjson.dumps([platform, bot, holder or this_process()]).decode()
    heard = "" if last_frame_s is None else int(max(0.0, last_frame_s) * 1000)
    try:
        limiter.script(_PUBLISH, client if client is not None else get_redis())(
            keys=(_KEY,), args=(field, state, detail[:_MAX_DETAIL], heard, LIVES_MS)
        )
    except redis.RedisError as exc:
        log.debug("connection_state_lost", platform=platform, bot=bot, reason=type(exc).__name__)
        return False
    return True


def read_all(*, client: Any = None) -> list[Connection] | None:
    """What every living holder has said lately, ordered by platform, bot and holder; None when Redis is away."""
    try:
        rows = limiter.script(_READ, client if client is not None else get_redis())(keys=(_KEY,), args=(LIVES_MS,))
    except redis.RedisError as exc:
        log.debug("connection_states_unknown", reason=type(exc).__name__)
        return None
    found = []
    for name, state, detail, since, heard in rows:
        platform, bot, holder = orjson.loads(name)
        found.append(
            Connection(
                platform, bot, holder, state, detail, int(since) / 1000, int(heard) / 1000 if heard != "" else None
            )
        )
    return sorted(found, key=lambda each: (each.platform, each.bot, each.holder))


def best_of(connections: list[Connection], platform: str, bot: str) -> Connection | None:
    """What to say of a bot that several processes may hold: the best of them; None: no living process says anything."""
    of_bot = [each for each in connections if (each.platform, each.bot) == (platform, bot)]
    return min(of_bot, key=lambda each: STATES.index(each.state), default=None)


def ask_to_reopen(platform: str, bot: str, *, client: Any = None) -> None:
    """Whoever holds this connection shall begin anew within a minute. Raises redis.RedisError."""
    (client if client is not None else get_redis()).set(_reopen(platform, bot), "1", ex=_REOPEN_S)


def asked_to_reopen(platform: str, bot: str, *, client: Any = None) -> bool:
    """Whether somebody asked, once for each time. False when Redis is away."""
    try:
        return bool((client if client is not None else get_redis()).getdel(_reopen(platform, bot)))
    except redis.RedisError:
        return False


def _reopen(platform: str, bot: str) -> str:
    return f"mindbot:reopen:{platform}:{bot}"


def _begin_anew() -> None:
    """End this process in good order; whoever started it starts it again, with a fresh connection."""
    log.warning("connection_begins_anew")
    os.kill(os.getpid(), signal.SIGTERM)


class Reporter:
    """Says the state of one connection at every change and every `REPEAT_S`, from a thread of its own.

    `say` and `heard` only note, so an event loop or a worker's loop may call them.
    """

    def __init__(
        self,
        platform: str,
        bot: str,
        *,
        publish: Callable[..., bool] = publish,
        on_reopen: Callable[[], None] = _begin_anew,
    ) -> None:
        self._on_reopen = on_reopen
        self._platform = platform
        self._bot = bot
        self._publish = publish
        self._said: tuple[State, str] = ("connecting", "")
        self._heard_at: float | None = None
        self._changed = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"state of {platform}:{bot}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """What was said last."""
        return self._said[0]

    def say(self, state: State, detail: str = "") -> None:
        """The connection is like this now."""
        if (state, detail) != self._said:
            self._said = (state, detail)
            self._changed.set()

    def heard(self) -> None:
        """The far side has just sent something."""
        self._heard_at = time.monotonic()

    def close(self, state: State = "stopped", detail: str = "", *, timeout_s: float = 2.5) -> None:
        """Say a last word and end the thread."""
        self._said = (state, detail)
        self._closing = True
        self._changed.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            closing = self._closing
            self._changed.clear()
            state, detail = self._said
            heard_at = self._heard_at
            ago_s = None if heard_at is None else time.monotonic() - heard_at
            told = self._publish(self._platform, self._bot, state, detail, last_frame_s=ago_s)
            if closing:
                return
            if told and asked_to_reopen(self._platform, self._bot):
                self._on_reopen()
            self._changed.wait(REPEAT_S)


def wanted(settings: Settings) -> list[tuple[str, str]]:
    """Every (platform, bot) that works only while a connection is held."""
    streams = [("dingtalk", bot) for bot, section in settings.dingtalk.items() if section.mode == "stream"]
    return [*streams, *(("aim", bot) for bot in settings.aim)]
