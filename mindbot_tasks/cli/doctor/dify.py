"""Dify apps: GET /info costs nothing and tells whether the key is right and what kind of app it is for.

Dify's service API, read 2026-11-20.
"""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from mindbot_tasks.cli.doctor.asking import Asked, refused
from mindbot_tasks.cli.doctor.finding import Finding, fail, ok, warn
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.settings import ProviderSettings, Settings, WorkflowSettings
from mindbot_tasks.llm.dify.address import DEFAULT_ENDPOINT, base_of, family_in, family_of
from mindbot_tasks.llm.dify.app import Manner
from mindbot_tasks.llm.dify.inputs import Parameters, read_parameters, text_field, uses
from mindbot_tasks.llm.workflows import endpoints_of, manner_of


def look_at_workflow(asked: Asked, settings: Settings, name: str, workflow: WorkflowSettings) -> None:
    """Every app behind a workflow."""
    if not workflow.enabled:
        return
    manner = manner_of(settings, workflow)
    for number, endpoint in enumerate(endpoints_of(settings, name, workflow)):
        what = f"workflows.{name}" if number == 0 else f"workflows.{name}.{endpoint.label}"
        _app(asked, what, endpoint.app.endpoint, endpoint.app.api_key, manner)


def look_at_provider(asked: Asked, what: str, provider: ProviderSettings) -> None:
    _app(asked, what, provider.base_url or DEFAULT_ENDPOINT, provider.api_key, Manner())


def _app(asked: Asked, what: str, endpoint: str, key: SecretStr | None, manner: Manner) -> None:
    base = base_of(endpoint)
    told: list[Finding] = []
    try:
        info = asked.get(f"{base}/info", key).json_or_none()
        if not isinstance(info, dict):
            asked.findings.append(fail(what, "strange_answer", "check_address", status=200))
            return
        mode = str(info.get("mode") or "")[:40]
        found = family_of(mode)
        said = family_of(manner.mode) or family_in(endpoint)
        if found is not None and said is not None and found != said:
            shown = manner.mode if family_of(manner.mode) else endpoint.rpartition("/v1/")[2]
            told.append(warn(what, "mode_differs", "set_mode", mode=mode, said=shown))
        fine = ok(what, "dify_fine", mode=mode or "-")
        if found in ("completion", "workflow"):
            form = asked.get(f"{base}/parameters?user=mindbot-doctor", key).json_or_none()
            fine, wrong = _inputs(what, mode, read_parameters(form), manner)
            told += wrong
    except FarSideError as exc:
        told.append(refused(what, exc, "check_key", said_no=not exc.retryable))
    asked.findings += told or [fine]


def _inputs(what: str, mode: str, form: Parameters, manner: Manner) -> tuple[Finding, list[Finding]]:
    """Where the question goes, and what is wrong with the variables that are filled."""
    variables = {field.variable for field in form.fields}
    text = "" if uses(manner.inputs, "text") else manner.text_input or text_field(form.fields)
    given = {*manner.inputs, *([text] if text else [])}
    found: list[Finding] = []
    if unknown := sorted(name for name in given if variables and name not in variables):
        found.append(_named("input_unknown", what, unknown, variables))
    missing = sorted(
        field.variable
        for field in form.fields
        if field.required and not field.types and field.variable not in given and field.default in (None, "")
    )
    if missing:
        found.append(_named("input_missing", what, missing, variables))
    shown = text or ", ".join(sorted(name for name, template in manner.inputs.items() if "{text}" in template))
    return ok(what, "dify_fine_into", mode=mode, variable=shown), found


def _named(key: str, what: str, names: list[str], variables: set[str]) -> Finding:
    fields: dict[str, Any] = {"names": ", ".join(names)[:200], "known": ", ".join(sorted(variables))[:200]}
    return warn(what, key, "set_inputs", **fields)
