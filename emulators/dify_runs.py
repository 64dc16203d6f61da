"""What goes on in Dify while nobody listens: runs that make their answer, wait for a person, or are stopped."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from emulators.dify_events import ACTIONS, Turn
from emulators.words import tokens

_MOST = 5000


@dataclass(slots=True)
class Run:
    """One question, from when it is asked to when its answer is whole."""

    key: str
    user: str
    turn: Turn
    per_s: float  #: pieces; 0: all at once
    starts: float  #: monotonic: when the first piece is made
    stopped_with: int | None = None  #: pieces that were made when it was stopped
    form_token: str = ""
    waits: bool = False
    submitted: bool = False

    def made(self) -> int:
        """Pieces of the answer that exist by now."""
        if self.stopped_with is not None:
            return self.stopped_with
        if not self.per_s:
            return len(self.turn.pieces) if time.monotonic() >= self.starts else 0
        return max(0, min(len(self.turn.pieces), int((time.monotonic() - self.starts) * self.per_s) + 1))

    @property
    def status(self) -> str:
        if self.stopped_with is not None:
            return "stopped"
        if self.waits:
            return "paused"
        return self.turn.status if self.made() == len(self.turn.pieces) else "running"

    def stop(self) -> None:
        if self.status in ("running", "paused"):
            self.stopped_with = self.made()

    @property
    def answer(self) -> str:
        return "".join(self.turn.pieces[: self.made()])


@dataclass(slots=True)
class Runs:
    """Of all apps; the oldest are forgotten."""

    by_task: dict[str, Run] = field(default_factory=dict)
    by_run: dict[str, Run] = field(default_factory=dict)
    by_message: dict[str, Run] = field(default_factory=dict)
    by_form: dict[str, Run] = field(default_factory=dict)

    def clear(self) -> None:
        for kept in self._all():
            kept.clear()

    def begin(self, key: str, user: str, turn: Turn, per_s: float, delay_s: float) -> Run:
        run = Run(key, user, turn, per_s, time.monotonic() + delay_s)
        self.by_task[turn.task_id] = run
        self.by_message[turn.message_id] = run
        if turn.run_id:
            self.by_run[turn.run_id] = run
        if turn.asks:
            run.waits = True
            run.form_token = turn.form_token
            if turn.form_token:
                self.by_form[turn.form_token] = run
        for kept in self._all():
            if len(kept) > _MOST:
                kept.pop(next(iter(kept)))
        return run

    def _all(self) -> tuple[dict[str, Run], ...]:
        return self.by_task, self.by_run, self.by_message, self.by_form

    def decide(self, run: Run, action: str, inputs: Mapping[str, Any]) -> None:
        """A person has answered: the run goes on and tells what was decided."""
        words = " ".join(str(value) for value in inputs.values() if value)
        answer = f"Decided: {dict(ACTIONS)[action]}{f' ({words})' if words else ''}"
        run.turn = replace(run.turn, answer=answer, pieces=tokens(answer), asks=False)
        run.submitted, run.waits, run.starts = True, False, time.monotonic() + 0.05

    def conversation(self, key: str, user: str, conversation_id: str) -> list[Run]:
        """Its turns, newest first."""
        return [
            run
            for run in reversed(self.by_message.values())
            if (run.key, run.user, run.turn.conversation_id) == (key, user, conversation_id)
        ]


def described(run: Run) -> dict[str, Any]:
    """What GET /workflows/run/{id} tells."""
    turn = run.turn
    over = run.status not in ("running", "paused")
    return {"id": turn.run_id, "workflow_id": turn.workflow_id, "status": run.status,
            "inputs": orjson.dumps({"sys.query": turn.query}).decode(),
            "outputs": turn.outputs if run.status in ("succeeded", "partial-succeeded") else {},
            "error": "a node failed" if run.status == "failed" else None, "total_steps": 3,
            "total_tokens": turn.prompt_tokens + len(turn.pieces), "created_at": turn.created_at,
            "finished_at": turn.created_at if over else None, "elapsed_time": 0.1}  # fmt: skip


def message(run: Run) -> dict[str, Any]:
    """What GET /messages tells of one turn: no answer before it is whole."""
    turn = run.turn
    whole = run.made() == len(turn.pieces) or run.stopped_with is not None
    return {"id": turn.message_id, "conversation_id": turn.conversation_id, "inputs": {}, "query": turn.query,
            "answer": run.answer if whole and not run.waits else "", "message_files": [], "feedback": None,
            "retriever_resources": turn.metadata["retriever_resources"], "agent_thoughts": [],
            "created_at": turn.created_at, "status": "error" if turn.status == "failed" else "normal",
            "error": None}  # fmt: skip


def new_token() -> str:
    return f"form-{uuid.uuid4().hex[:20]}"
