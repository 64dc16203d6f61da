"""The vector store: a client of Chroma's HTTP interface, with limits on time. Only its server opens its directory.

Several processes on one directory lose vectors without a word (measured), so `chromadb.PersistentClient` is forbidden,
and its HttpClient waits for ever; what is needed of the interface fits here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.http import Patience, Response, get_http, refuse
from mindbot_tasks.core.settings import Settings

PROVIDER = "chroma"
_PATIENCE = Patience(connect_s=1.0, first_byte_s=20.0, gap_s=5.0)
_ROWS = 200
_LOOKED_INTO = 10
_MAX_ANSWER = 64_000_000


def address_file(home: Path) -> Path:
    """Where the local server writes on which port it listens."""
    return home / "run" / "chroma.port"


class NotThere(Rejected):
    """The collection is not there (any more)."""


class WrongSize(Rejected):
    """The collection holds vectors of another length."""


@dataclass(slots=True)
class Chroma:
    """The collections of one installation."""

    settings: Settings
    _ids: dict[str, str] = field(default_factory=dict)
    _away: Holdoff = field(default_factory=lambda: Holdoff(5.0))

    def is_up(self, deadline: Deadline) -> bool:
        try:
            return self._call("GET", "/heartbeat", None, deadline).ok
        except (Rejected, Unavailable):
            return False

    def answers(self, deadline: Deadline) -> bool:
        """Whether it can look into its collections; an error is an answer, silence is none."""
        try:
            told = self._call("GET", _COLLECTIONS, None, deadline)
            for one in told.json()[:_LOOKED_INTO] if told.ok else ():
                self._call("GET", f"{_COLLECTIONS}/{one['id']}/count", None, deadline)
        except Unavailable:
            return False
        except (Rejected, TypeError, KeyError, ValueError):
            return True
        return True

    def upsert(
        self, collection: str, ids: Sequence[int], vectors: Sequence[Sequence[float]], deadline: Deadline
    ) -> None:
        """Put vectors in; the collection is made if need be. Raises WrongSize, Rejected or Unavailable."""
        for start in range(0, len(ids), _ROWS):
            body = {
                "ids": [str(one) for one in ids[start : start + _ROWS]],
                "embeddings": [list(vector) for vector in vectors[start : start + _ROWS]],
            }
            try:
                self._in(collection, "upsert", body, deadline, create=True)
            except NotThere:  # it was made anew meanwhile
                self._in(collection, "upsert", body, deadline, create=True)

    def query(
        self, collection: str, vector: Sequence[float], count: int, deadline: Deadline
    ) -> list[tuple[int, float]]:
        """(piece, cosine similarity) of the nearest ones, best first. Raises NotThere, Rejected or Unavailable."""
        if not self._away.allows():
            raise Unavailable("the vector store did not answer a moment ago", kind="connection", provider=PROVIDER)
        try:
            body = {"query_embeddings": [list(vector)], "n_results": count, "include": ["distances"]}
            told = self._in(collection, "query", body, deadline)
        except Unavailable:
            self._away.failed()
            raise
        self._away.worked()
        try:
            return [
                (int(one), 1.0 - float(distance))
                for one, distance in zip(told["ids"][0], told["distances"][0], strict=True)
            ]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Unavailable("the answer holds no passages", kind="protocol", provider=PROVIDER) from None

    def delete(self, collection: str, ids: Sequence[int], deadline: Deadline) -> None:
        """Take vectors out; those that are not there do not matter. Raises Rejected or Unavailable."""
        for start in range(0, len(ids), _ROWS):
            try:
                self._in(collection, "delete", {"ids": [str(one) for one in ids[start : start + _ROWS]]}, deadline)
            except NotThere:
                return

    def count(self, collection: str, deadline: Deadline) -> int:
        """How many vectors it holds; 0 if it is not there. Raises Rejected or Unavailable."""
        try:
            return int(self._in(collection, "count", None, deadline, method="GET"))
        except NotThere:
            return 0
        except (TypeError, ValueError):
            raise Unavailable("the answer is no number", kind="protocol", provider=PROVIDER) from None

    def drop(self, collection: str, deadline: Deadline) -> None:
        """Delete a collection with all that is in it. Raises Rejected or Unavailable."""
        self._ids.pop(collection, None)
        response = self._call("DELETE", f"{_COLLECTIONS}/{quote(collection, safe='')}", None, deadline)
        if not response.ok and response.status != 404:
            _refuse(response)

    # -- how ---------------------------------------------------------------------------------------------------------

    def _in(
        self, collection: str, verb: str, body: Any, deadline: Deadline, *, create: bool = False, method: str = "POST"
    ) -> Any:
        known = collection in self._ids
        for fresh in (False, True):
            number = self._id(collection, deadline, create=create, fresh=fresh)
            response = self._call(method, f"{_COLLECTIONS}/{number}/{verb}", body, deadline)
            if response.status == 404 and known and not fresh:
                continue  # the number is that of a collection that was lost or dropped
            if not response.ok:
                _refuse(response)
            return response.json()
        raise AssertionError("unreachable")

    def _id(self, collection: str, deadline: Deadline, *, create: bool, fresh: bool) -> str:
        number = None if fresh else self._ids.get(collection)
        if number is not None:
            return number
        if create:
            body = {
                "name": collection,
                "get_or_create": True,
                "configuration": {"hnsw": {"space": "cosine", "ef_search": 100}},
            }
            response = self._call("POST", _COLLECTIONS, body, deadline)
        else:
            response = self._call("GET", f"{_COLLECTIONS}/{quote(collection, safe='')}", None, deadline)
        if not response.ok:
            _refuse(response)
        number = self._ids[collection] = str(response.json()["id"])
        return number

    def _call(self, method: str, path: str, body: Any, deadline: Deadline) -> Response:
        wanted = self.settings.chromadb
        headers = {}
        if wanted is not None and wanted.token is not None:
            headers = {"Authorization": f"Bearer {wanted.token.get_secret_value()}"}
        return get_http().request(
            method,
            f"{self._base()}/api/v2{path}",
            json=body,
            deadline=deadline,
            provider=PROVIDER,
            headers=headers,
            patience=_PATIENCE,
            max_bytes=_MAX_ANSWER,
        )

    def _base(self) -> str:
        wanted = self.settings.chromadb
        if wanted is not None and wanted.url:
            return wanted.url
        try:
            port = int(address_file(self.settings.home).read_text(encoding="ascii"))
        except (OSError, ValueError):
            port = wanted.port if wanted is not None else 0
        return f"http://127.0.0.1:{port}"


_COLLECTIONS = "/tenants/default_tenant/databases/default_database/collections"


def _refuse(response: Response) -> None:
    told = response.json_or_none()
    kind = told.get("error") if isinstance(told, dict) else ""
    words = str(told.get("message", "")) if isinstance(told, dict) else ""
    if response.status == 404:
        raise NotThere("there is no such collection", kind="not_found", provider=PROVIDER, status=404)
    if kind == "InvalidArgumentError" and "dimension" in words:
        raise WrongSize("the collection holds vectors of another length", kind="invalid_request", provider=PROVIDER)
    refuse(response)


_open: Chroma | None = None


def get_chroma(settings: Settings) -> Chroma:
    """This process's client."""
    global _open
    if _open is None or _open.settings is not settings:
        _open = Chroma(settings)
    return _open


def collection_of(base: str) -> str:
    """The collection of a knowledge base."""
    return base
