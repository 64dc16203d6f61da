"""The shapes of Dify that depend on no state: errors, checks of a body, an app's form and its kind."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from emulators.answers import Answer, refused

MODES = ("chat", "agent-chat", "advanced-chat", "completion", "workflow")


@dataclass(frozen=True, slots=True)
class App:
    """What a key selects."""

    mode: str
    variable: str = "query"  #: the input variable for the text, of apps without a conversation


#: the apps of an emulator that was told of none
DEFAULT_APPS = {
    "app-chat": App("chat"),
    "app-agent": App("agent-chat"),
    "app-chatflow": App("advanced-chat"),
    "app-completion": App("completion"),
    "app-workflow": App("workflow"),
}


def parse_apps(options: Iterable[str]) -> dict[str, App]:
    """The apps of `KEY=MODE[:VARIABLE]` options. Raises ValueError for an unknown mode."""
    apps: dict[str, App] = {}
    for option in options:
        key, _, rest = option.partition("=")
        mode, _, variable = rest.partition(":")
        if not key or (mode or "chat") not in MODES:
            raise ValueError(f"expected KEY=MODE with MODE one of {', '.join(MODES)}, found {option!r}")
        apps[key] = App(mode or "chat", variable or "query")
    return apps


def error(status: int, code: str, message: str) -> Answer:
    """Dify's envelope; the call had no effect."""
    return refused({"code": code, "message": message, "status": status}, status)


def unauthorized() -> Answer:
    return error(401, "unauthorized", "Access token is invalid")


def wrong_app(code: str) -> Answer:
    return error(400, code, "Please check if your app mode matches the right API route.")


def wrong(body: dict[str, Any], text_field: str | None) -> Answer | None:
    """The refusal of a body that lacks what every run needs."""
    if text_field and (not isinstance(body.get(text_field), str) or not body[text_field]):
        return error(400, "invalid_param", f"{text_field} is required")
    if not isinstance(body.get("inputs"), dict):
        return error(400, "invalid_param", "inputs is required in input form")
    if not isinstance(body.get("user"), str) or not body["user"]:
        return error(400, "invalid_param", "Arg user must be provided.")
    if body.get("response_mode", "blocking") not in ("blocking", "streaming"):
        return error(400, "invalid_param", "response_mode must be one of: blocking, streaming")
    return None


def parameters(app: App, uploads: Sequence[str]) -> dict[str, Any]:
    """What GET /parameters tells of an app."""
    form: list[dict[str, Any]] = []
    if app.mode in ("workflow", "completion"):
        form.append({"paragraph": {"variable": app.variable, "label": "What to do", "required": True, "default": ""}})
    if app.mode == "workflow" and uploads:
        form.append({"file-list": {"variable": "documents", "label": "Files", "required": False, "max_length": 5,
                                   "allowed_file_types": list(uploads),
                                   "allowed_file_upload_methods": ["local_file"]}})  # fmt: skip
    beside = bool(uploads) and app.mode != "workflow"
    return {
        "opening_statement": "", "suggested_questions": [], "user_input_form": form,
        "file_upload": {"enabled": beside, "allowed_file_types": list(uploads) if beside else []},
        "system_parameters": {"file_size_limit": 15, "image_file_size_limit": 10, "audio_file_size_limit": 50,
                              "video_file_size_limit": 100, "workflow_file_upload_limit": 10},
    }  # fmt: skip


def is_uuid(value: object) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True
