"""/api/v1/knowledge: documents are handed in, listed and taken away; whoever reads them does it within seconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import flask
from apiflask import APIBlueprint
from pydantic import Field

from mindbot_tasks import chains
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading, transaction
from webhooks import access, errors
from webhooks.api.models import MAX_ID, View

Base = Annotated[str, Field(pattern=r"^([A-Za-z0-9]+([_-][A-Za-z0-9]+)*)?$", max_length=63)]
_BASE = "which knowledge base; empty: chromadb.collection_name"


class DocumentView(View):
    """A document, and how far it is."""

    id: int
    base: str
    source: str = Field(description="as it is cited")
    title: str
    kind: Literal["file", "url"]
    state: Literal["queued", "embedding", "ready", "failed", "removing"]
    size: int
    chunks: int = Field(description="pieces that can be found")
    embedded: int = Field(description="of these, those with vectors")
    note: str = Field(description="what could not be read, such as scanned pages")
    error: str
    added_at: int
    changed_at: int


class DocumentList(View):
    documents: list[DocumentView]


class AddedView(View):
    id: int
    fresh: bool = Field(description="false: it was known, and is read again if it has changed")


class BaseQuery(View):
    base: Base = Field(default="", description=_BASE)


class AddressBody(View):
    url: Annotated[str, Field(pattern=r"^https?://[\x21-\x7e]+$", max_length=700)]
    base: Base = Field(default="", description=_BASE)


def add_to(api: APIBlueprint) -> None:
    """Put the addresses below /api/v1; only for programs with a key."""
    said = {401: "No valid API key", 403: "Not for the playground", 404: "No such document", 503: "Database away"}
    adding = {**said, 400: "The body cannot be read", 409: "There is no knowledge base here", 413: "Too large"}

    @api.get("/knowledge/documents")
    @api.input(BaseQuery, location="query", arg_name="query")
    @api.output(DocumentList)
    @api.doc(summary="List documents", description="Of one knowledge base, or of all.", security="key",
             tags=["knowledge"], responses=said)  # fmt: skip
    def list_documents(query: BaseQuery) -> Any:
        """In the order in which they came."""
        if refused := _refused():
            return refused
        with reading() as connection:
            return DocumentList(documents=[_view(row) for row in knowledge.listed(connection, query.base)])

    @api.get("/knowledge/documents/<int:document_id>")
    @api.output(DocumentView)
    @api.doc(summary="One document", description="Its state, and what went wrong.", security="key", tags=["knowledge"],
             responses=said)  # fmt: skip
    def get_document(document_id: int) -> Any:
        """How far it is."""
        if refused := _refused():
            return refused
        with reading() as connection:
            rows = knowledge.listed(connection, ids=[document_id]) if document_id <= MAX_ID else ()
        return _view(rows[0]) if rows else _not_found()

    @api.post("/knowledge/documents")
    @api.input(AddressBody, arg_name="body")
    @api.output(AddedView, status_code=202)
    @api.doc(summary="Have an address read", description="A page or document on the web; not in private networks.",
             security="key", tags=["knowledge"], responses=adding)  # fmt: skip
    def add_address(body: AddressBody) -> Any:
        """It is fetched by whoever reads documents."""
        if refused := _refused() or _off():
            return refused
        with transaction(durable=True) as connection:
            base = body.base or _usual_base()
            number, fresh = knowledge.add(connection, base, body.url, "url", body.url, None)
        chains.read_documents()
        return AddedView(id=number, fresh=fresh)

    @api.put("/knowledge/files/<path:name>")
    @api.input(BaseQuery, location="query", arg_name="query")
    @api.output(AddedView, status_code=202)
    @api.doc(summary="Hand in a file", description="Its bytes are the body. The same name again replaces it.",
             security="key", tags=["knowledge"], responses=adding)  # fmt: skip
    def add_file(name: str, query: BaseQuery) -> Any:
        """The name says what kind of document it is."""
        if refused := _refused() or _off():
            return refused
        flask.request.max_content_length = access.settings().files.max_mb * 1_000_000
        content = flask.request.get_data()
        source = source_named(name)
        if not content or not source:
            return errors.error(400, "bad_request", "The body is empty, or the name is none.")
        number, fresh = hand_in(query.base or _usual_base(), source, content)
        return AddedView(id=number, fresh=fresh)

    @api.delete("/knowledge/documents/<int:document_id>")
    @api.output(AddedView, status_code=202)
    @api.doc(summary="Take a document away", description="Not found from now on; then deleted with its vectors.",
             security="key", tags=["knowledge"], responses=said)  # fmt: skip
    def remove_document(document_id: int) -> Any:
        """Gone from answers at once."""
        if refused := _refused():
            return refused
        with transaction(durable=True) as connection:
            if document_id > MAX_ID or not knowledge.listed(connection, ids=[document_id]):
                return _not_found()
            knowledge.remove(connection, [document_id])
        return AddedView(id=document_id, fresh=False)


def source_named(name: str) -> str:
    """How a file of this name is cited; "" if that is no name."""
    source = "/".join(part for part in name.split("/") if part not in ("", ".", ".."))[:700]
    return source if source.isprintable() else ""


def hand_in(base: str, source: str, content: bytes) -> tuple[int, bool]:
    """Record a file that is to be read; returns its number and whether it is new."""
    title = source.rpartition("/")[2].rpartition(".")[0] or source
    with transaction(durable=True) as connection:
        added = knowledge.add(connection, base, source, "file", title, content)
    chains.read_documents()
    return added


def _usual_base() -> str:
    wanted = access.settings().chromadb
    assert wanted is not None  # noqa: S101 - `_off` has looked
    return wanted.collection_name


def _refused() -> flask.Response | None:
    if flask.g.caller.conversation is not None:
        return errors.error(403, "forbidden", "This needs an API key.")
    return None


def _off() -> flask.Response | None:
    if access.settings().chromadb is None:
        return errors.error(409, "no_knowledge_base", "There is no section `chromadb`, so nobody reads documents.")
    return None


def _not_found() -> flask.Response:
    return errors.error(404, "not_found", "There is no such document.")


def _view(row: Any) -> DocumentView:
    return DocumentView(**{name: getattr(row, name) for name in DocumentView.model_fields})
