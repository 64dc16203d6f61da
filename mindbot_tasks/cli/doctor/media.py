"""The file store, and the server that recognises speech."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mindbot_tasks.cli.doctor.finding import Finding, fail, ok, warn
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.stores.file_places import open_place

CALL_S = 8.0


def look_at_files(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Whether the directory can be written, or the bucket be listed."""
    section = settings.files
    if section.backend == "local":
        folder = Path(section.path or settings.home / "files").expanduser()
        existing = next((place for place in (folder, *folder.parents) if place.exists()), folder)
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            yield ok("files", "files_fine", place=folder)
        else:
            yield fail("files", "files_unwritable", "files_rights", place=folder)
        return
    if offline:
        return
    try:
        next(open_place("s3", settings).keys_before("0"), None)
    except FarSideError as exc:
        yield fail("files", "files_unreachable", "files_check_s3", why=exc, code=exc.code or "-")
    else:
        yield ok("files", "files_fine", place=section.bucket)


def look_at_knowledge(settings: Settings) -> Iterator[Finding]:
    """Whether the vector store answers, and its vectors are of the model that is configured; else there are words."""
    if settings.chromadb is None:
        return
    from mindbot_tasks.knowledge.chroma import get_chroma
    from mindbot_tasks.knowledge.condition import of_other_models

    try:
        others = of_other_models(settings)
    except DatabaseUnavailable:  # told elsewhere
        others = []
    if not get_chroma(settings).is_up(Deadline(CALL_S)):
        yield warn("chromadb", "chroma_away", "chroma_start")
    elif others:
        yield warn("chromadb", "chroma_other", "chroma_reindex", bases=", ".join(others), base=others[0])
    else:
        yield ok("chromadb", "chroma_fine")


def look_at_speech(settings: Settings) -> Iterator[Finding]:
    """Whether the server lets us in, by its list of models, and whether phones' recordings can be converted."""
    speech = settings.speech_to_text
    if speech is None:
        return
    what = "speech_to_text"
    headers = {"Authorization": f"Bearer {speech.api_key.get_secret_value()}"} if speech.api_key else {}
    try:
        url = speech.base_url.removesuffix("/audio/transcriptions") + "/models"
        response = get_http().request("GET", url, deadline=Deadline(CALL_S), headers=headers)
    except FarSideError as exc:
        yield fail(what, "unreachable", "check_network", why=exc)
        return
    if response.status in (401, 403):
        yield fail(what, "not_let_in", "check_key", status=response.status, code="-")
    elif response.status >= 500 or response.status == 429:
        yield fail(what, "in_trouble", "later", status=response.status)
    else:
        yield ok(what, "speech_fine", model=speech.model)
    if find_spec("av") is None or find_spec("pysilk") is None:
        yield warn(what, "no_voice_extra", "add_voice_extra")
