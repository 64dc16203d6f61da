"""Documents handed in on the playground: dropped on the page, recorded here, read by the workers of the queue `ingest`.

Who may: somebody at this very machine, or who signed in to the console. A visitor of an open playground may not.
"""

from __future__ import annotations

from typing import Any

import flask
from flask.typing import ResponseReturnValue

from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading, transaction
from webhooks import access, errors
from webhooks.api.knowledge import hand_in, source_named
from webhooks.api.models import MAX_ID
from webhooks.console.playground import console

_SHOWN = 50


def may_add() -> bool:
    """Whether there is a knowledge base that somebody reads for, and this caller may add to it."""
    return access.settings().chromadb is not None and access.operator() is not None


@console.get("/playground/documents")
def list_documents() -> ResponseReturnValue:
    """The newest ones, and how far each is."""
    if refused := _refused():
        return refused
    with reading() as connection:
        count, rows = knowledge.newest(connection, _base(), _SHOWN)
    return {"count": count, "documents": [_shown(row) for row in rows]}


@console.put("/playground/documents/<path:name>")
def add(name: str) -> ResponseReturnValue:
    """Hand in a file; its bytes are the body."""
    if refused := _refused():
        return refused
    flask.request.max_content_length = access.settings().files.max_mb * 1_000_000
    content, source = flask.request.get_data(), source_named(name)
    if not content or not source:
        return errors.error(400, "bad_request", "The file is empty, or has no name.")
    number, _ = hand_in(_base(), source, content)
    return {"id": number}, 202


@console.delete("/playground/documents/<int:document_id>")
def remove(document_id: int) -> ResponseReturnValue:
    """Not found from this moment on."""
    if refused := _refused():
        return refused
    with transaction(durable=True) as connection:
        if document_id > MAX_ID or not knowledge.listed(connection, _base(), [document_id]):
            return errors.error(404, "not_found", "There is no such document.")
        knowledge.remove(connection, [document_id])
    return "", 204


def _refused() -> flask.Response | None:
    return None if may_add() else errors.error(403, "forbidden", "Only operators may look after documents here.")


def _base() -> str:
    """What the playground's bot searches."""
    wanted = access.settings().chromadb
    assert wanted is not None  # noqa: S101 - `may_add` has looked
    return wanted.collection_name


def _shown(row: Any) -> dict[str, Any]:
    waits = bool(row.error) and row.state in (knowledge.QUEUED, knowledge.EMBEDDING)
    return {
        "id": row.id, "source": row.source, "state": "waits" if waits else row.state, "chunks": row.chunks,
        "embedded": row.embedded, "note": row.error or row.note, "finished": row.due_at is None,
    }  # fmt: skip
