"""Dify's runs as seen from outside: their state, their events for somebody who comes back, their forms, their stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulators.answers import Answer, Call, Stream, json_answer, sse
from emulators.dify_events import ACTIONS, flow_finished, form, pause, rest
from emulators.dify_runs import Run, Runs, described
from emulators.dify_shapes import error, unauthorized


@dataclass(slots=True)
class Flows:
    """The runs of all apps."""

    runs: Runs
    mode_of: Callable[[str], str | None]
    ping_every_s: float

    def run_detail(self, call: Call) -> Answer:
        run = self.runs.by_run.get(call.params["run_id"])
        if run is None or run.key != call.bearer:
            return error(404, "not_found", "Workflow run not found")
        return json_answer(described(run), facts={"workflow_run_id": run.turn.run_id, "state": run.status})

    def run_events(self, call: Call) -> Answer:
        """Somebody listens again to a run; of one that has finished there is only the end."""
        run = self.runs.by_run.get(call.params["run_id"])
        if run is None or run.key != call.bearer or run.user != call.query.get("user"):
            return error(404, "not_found", "Workflow run not found")
        status = run.status
        facts = {"workflow_run_id": run.turn.run_id, "state": status}
        if status == "paused":
            return Stream(events=(), tail=pause(run.turn), facts=facts)
        if status != "running":
            return Stream(events=(), tail=[flow_finished(run.turn, status)], facts=facts)
        events, tail = rest(run.turn, run.made())
        return self.streamed(run, events, tail, facts, 0.0)

    def form(self, call: Call) -> Answer:
        run, problem = self._waiting(call)
        if run is None:
            return problem
        actions = [{"id": action, "title": title, "button_style": "default"} for action, title in ACTIONS]
        return json_answer({**form(run.turn), "user_actions": actions})

    def submit_form(self, call: Call) -> Answer:
        run, problem = self._waiting(call)
        if run is None:
            return problem
        body = call.json or {}
        if body.get("action") not in dict(ACTIONS) or not isinstance(body.get("inputs"), dict):
            return error(400, "invalid_param", "Invalid action")
        if body.get("user") != run.user:
            return error(404, "not_found", "Form not found")
        self.runs.decide(run, body["action"], body["inputs"])
        return json_answer({}, facts={"action": body["action"], "inputs": body["inputs"]})

    def _waiting(self, call: Call) -> tuple[Run | None, Answer]:
        run = self.runs.by_form.get(call.params["token"])
        if run is None or run.key != call.bearer:
            return None, error(404, "not_found", "Form not found")
        if run.submitted or not run.waits:
            return None, error(412, "human_input_form_submitted", "Form already submitted")
        return run, error(500, "internal_server_error", "")

    def stop_chat(self, call: Call) -> Answer:
        return self._stop(call, only_owner=True)

    def stop_workflow(self, call: Call) -> Answer:
        return self._stop(call, only_owner=False)

    def _stop(self, call: Call, *, only_owner: bool) -> Answer:
        if self.mode_of(call.bearer) is None:
            return unauthorized()
        user, task_id = (call.json or {}).get("user"), call.params["task_id"]
        if not isinstance(user, str) or not user:
            return error(400, "invalid_param", "user is required")
        run = self.runs.by_task.get(task_id)
        stops = run is not None and run.status in ("running", "paused") and (not only_owner or run.user == user)
        if run is not None and stops:
            run.stop()
        # Dify says success whoever asks, and for a task that nobody knows.
        return json_answer({"result": "success"}, facts={"task_id": task_id, "user": user, "stopped": stops})

    def streamed(
        self, run: Run, events: list[bytes], tail: list[bytes], facts: dict[str, Any], delay_s: float
    ) -> Stream:
        turn = run.turn
        return Stream(
            events=events,
            tail=tail,
            per_s=run.per_s,
            delay_s=delay_s,
            ping=b"event: ping\n\n",
            ping_every_s=self.ping_every_s,
            stopped=lambda: run.stopped_with is not None,
            facts=facts,
            error=lambda status, code, words: sse(
                {"event": "error", **turn.ids, "status": status, "code": code, "message": words}
            ),
        )
