"""What kind of app answers to a key, and what it wants to be told: asked once, then remembered in this process."""

from __future__ import annotations

import time

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled
from mindbot_tasks.llm.dify.address import Family, family_in, family_of
from mindbot_tasks.llm.dify.client import Client
from mindbot_tasks.llm.dify.inputs import Parameters, read_parameters

log = structlog.get_logger(__name__)

_ASK_S = 5.0
_REMEMBERED_S = 600.0
_MOST = 1000

_families: dict[str, Family] = {}  #: fingerprint of the app -> what /info or a refusal has taught us
_parameters: dict[str, tuple[float, Parameters]] = {}  #: fingerprint -> until when, and its /parameters


def family(client: Client, endpoint: str, mode: str, deadline: Deadline) -> Family:
    """How to call the app: as learnt, as configured, as the address says; else it is asked, once in this process.

    Raises Rejected (a wrong key), Throttled or a Stopped; an app that cannot be asked is taken for a chat app.
    """
    known = _families.get(client.fingerprint) or family_of(mode) or family_in(endpoint)
    if known is not None:
        return known
    try:
        return _ask(client, deadline) or "chat"
    except (Rejected, Throttled) as exc:
        if exc.status in (401, 403, 429):
            raise
    except FarSideError as exc:
        log.info("dify_mode_unknown", answerer=client.name, kind=exc.kind)
    return "chat"


def relearn(client: Client, wrong: Family, deadline: Deadline) -> Family | None:
    """After a refusal as "not that kind of app": what it is instead; None if nobody can tell."""
    try:
        found = _ask(client, deadline)
    except FarSideError as exc:
        log.warning("dify_mode_unknown", answerer=client.name, kind=exc.kind)
        return None
    if found is None or found == wrong:
        _families.pop(client.fingerprint, None)
        return None
    log.warning("dify_mode_corrected", answerer=client.name, was=wrong, found=found)
    return found


def _ask(client: Client, deadline: Deadline) -> Family | None:
    info = client.get("/info", deadline.within(_ASK_S))
    mode = str(info.get("mode") or "") if isinstance(info, dict) else ""
    # an older Dify tells no mode; kinds of apps that come later are more likely to chat than not
    found = family_of(mode) or ("chat" if mode else None)
    if found is not None:
        if len(_families) > _MOST:
            _families.clear()
        _families[client.fingerprint] = found
    return found


def parameters(client: Client, user: str, deadline: Deadline) -> Parameters:
    """What the app's form and its limits are. Raises Rejected, Throttled, Unavailable or a Stopped."""
    until, known = _parameters.get(client.fingerprint, (0.0, None))
    if known is not None and until > time.monotonic():
        return known
    known = read_parameters(client.get("/parameters", deadline, user=user))
    if len(_parameters) > _MOST:
        _parameters.clear()
    _parameters[client.fingerprint] = (time.monotonic() + _REMEMBERED_S, known)
    return known


def forget() -> None:
    """Ask everything anew; for tests, and for a configuration that has changed."""
    _families.clear()
    _parameters.clear()
