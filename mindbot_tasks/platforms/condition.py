"""How each bot is, as far as we know without asking its vendor: connection, access token, last message in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import UsesTokens
from mindbot_tasks.stores import connections, tokens, traffic
from mindbot_tasks.stores.connections import Connection
from mindbot_tasks.stores.traffic import Traffic

ConnectionState = Literal["online", "connecting", "backing_off", "refused", "stopped", "no_data", "not_needed"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One bot; ages in seconds, None: never or unknown."""

    platform: str
    bot: str
    ok: bool  #: False: something of it does not work, and the rest of MindBot does
    reason: str
    connection: ConnectionState
    connection_detail: str = ""
    connection_since_s: float | None = None
    last_frame_s: float | None = None
    token: tokens.Kind | None = None  #: None: it needs none, or nobody knows
    token_left_s: float | None = None
    last_inbound_s: float | None = None
    last_outbound_s: float | None = None

    def as_record(self) -> dict[str, Any]:
        """For programs."""
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(self).items()}


def conditions(settings: Settings) -> list[Condition]:
    """Every bot that is on, in the order of the configuration. Three round trips to Redis, none anywhere else."""
    held = set(connections.wanted(settings))
    bots = registry.enabled(settings)
    bots += [each for each in connections.wanted(settings) if each not in bots]
    token_names = {place: _token_names(settings, place) for place in bots}
    return judge(
        bots,
        held,
        connections.read_all(),
        traffic.read_all() or {},
        token_names,
        tokens.states([name for names in token_names.values() for name in names or ()]) or {},
    )


def judge(
    bots: Sequence[tuple[str, str]],
    held: set[tuple[str, str]],
    said: list[Connection] | None,
    heard: Mapping[tuple[str, str], Traffic],
    token_names: Mapping[tuple[str, str], Sequence[str] | None],
    known: Mapping[str, tokens.State],
) -> list[Condition]:
    """What all that means; token names None: a bot whose settings cannot be used. Pure."""
    found = []
    for platform, bot in bots:
        place = (platform, bot)
        connection = connections.best_of(said or [], platform, bot)
        state: ConnectionState = "not_needed" if place not in held else connection.state if connection else "no_data"
        states = [known[name] for name in token_names.get(place) or () if name in known]
        worst = min(states, key=lambda each: ("refused", "none", "good").index(each.kind), default=None)
        ok, reason = _verdict(state, connection, worst)
        if token_names.get(place, ()) is None:
            ok, reason = False, "its settings cannot be used"
        times = heard.get(place, Traffic())
        found.append(
            Condition(
                platform=platform,
                bot=bot,
                ok=ok,
                reason=reason,
                connection=state,
                connection_detail=connection.detail if connection and place in held else "",
                connection_since_s=connection.since_s if connection and place in held else None,
                last_frame_s=connection.last_frame_s if connection and place in held else None,
                token=worst.kind if worst else None,
                token_left_s=worst.left_s if worst else None,
                last_inbound_s=times.inbound_s,
                last_outbound_s=times.outbound_s,
            )
        )
    return found


def _verdict(state: ConnectionState, connection: Connection | None, token: tokens.State | None) -> tuple[bool, str]:
    if state == "no_data":
        return False, "no process holds its connection"
    if state not in ("online", "not_needed"):
        return False, f"its connection is {state.replace('_', ' ')}" + (
            f": {connection.detail}" if connection and connection.detail else ""
        )
    if token is not None and token.kind == "refused":
        return False, "its credentials are refused"
    return True, "connected" if state == "online" else "nothing is known to be wrong"


def _token_names(settings: Settings, place: tuple[str, str]) -> Sequence[str] | None:
    """The names of a bot's tokens; None: its settings cannot be used. Looked up once for each settings."""
    known = _looked_up.get(place)
    if known is None or known[0] is not settings:
        factory = registry.FACTORIES.get(place[0])
        try:
            made = factory(place[1], settings) if factory else None
            known = (settings, made.token_names if isinstance(made, UsesTokens) else ())
        except SettingsError:
            known = (settings, None)
        _looked_up[place] = known
    return known[1]


_looked_up: dict[tuple[str, str], tuple[Settings, Sequence[str] | None]] = {}
