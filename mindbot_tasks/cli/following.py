"""What happens to one message, as it happens: over our own API with a key, else by looking into the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import Patience, get_http
from mindbot_tasks.model.message import FINISHED
from mindbot_tasks.stores import trace
from mindbot_tasks.stores.database import reading

LOOK_EVERY_S = 0.2
#: the stream says something at least every 5 s
_STREAM = Patience(connect_s=3, first_byte_s=15, gap_s=20)


@dataclass(frozen=True, slots=True)
class Seen:
    """How far it is. `text` grows while the answer is made; it is not the answer before the end."""

    steps: list[tuple[str, int]] = field(default_factory=list)  #: (name, milliseconds since the step before)
    state: str = ""
    finished: bool = False
    text: str = ""
    view: dict[str, Any] = field(default_factory=dict)  #: message, answer and timeline


def follow(base_url: str, api_key: str, message_id: int, deadline: Deadline) -> Iterator[Seen]:
    """Everything that changes, until the message has ended or the deadline is over."""
    last: Seen | None = None
    if api_key:
        try:
            for last in _over_http(base_url, api_key, message_id, deadline):
                yield last
        except FarSideError:
            last = None  # the ledger knows the rest
    if last is None or not last.finished:
        yield from _in_the_ledger(message_id, deadline)


def _over_http(base_url: str, api_key: str, message_id: int, deadline: Deadline) -> Iterator[Seen]:
    """The server-sent events of our API; ends early when it has no place for another stream. Raises FarSideError."""
    url = f"{base_url}/api/v1/messages/{message_id}/events"
    headers = {"Authorization": f"Bearer {api_key}"}
    with get_http().stream(
        "GET", url, deadline=deadline, provider="mindbot", headers=headers, patience=_STREAM
    ) as stream:
        if stream.status != 200:
            return
        seen = Seen()
        for event in stream.events():
            data = orjson.loads(event.data)
            if event.name == "text":
                seen = Seen(seen.steps, seen.state, text=data["text"], view=seen.view)
                yield seen
            elif event.name in ("message", "done"):
                steps = [(step["step"], step["took_ms"]) for step in data["timeline"]]
                seen = Seen(steps, data["state"], data["finished"], seen.text, data)
                yield seen
                if seen.finished:
                    return


def _in_the_ledger(message_id: int, deadline: Deadline) -> Iterator[Seen]:
    known: tuple[int, str] = (-1, "")
    while deadline.remaining_s() > 0:
        with reading() as connection:
            found = trace.get_trace(connection, message_id)
        # the two are read one after the other: the last step may be there before the state that goes with it
        if found is not None and (len(found.events), found.message["state"]) != known:
            known = len(found.events), found.message["state"]
            finished = found.message["state"] in FINISHED
            steps = [(event.step, event.took_ms) for event in found.events]
            yield Seen(steps, found.message["state"], finished, view=_as_view(found))
            if finished:
                return
        time.sleep(min(LOOK_EVERY_S, deadline.remaining_s()))


def _as_view(found: trace.Trace) -> dict[str, Any]:
    """A trace in the shape of the API, as far as it is shown."""
    message = found.message
    reason = (message["classification"] or {}).get("reason", "")
    return {
        "id": message["id"],
        "state": message["state"],
        "error": message["last_error"],
        "received_at": message["received_at"],
        "finished_at": message["finished_at"],
        "classification": message["label"]
        and {"label": message["label"], "confidence": message["confidence"] or 0.0, "reason": reason},
        "answer": found.answer,
        "timeline": [asdict(event) for event in found.events],
    }
