"""The file store: bytes in a place (a directory or S3), and a row for each file. Bytes first, the row after.

A crash in between leaves bytes that nobody knows; `sweep_orphans` finds them.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy import BigInteger, Connection, bindparam, delete, insert, select, update

from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.file_places import PROVIDER, Place, is_settled, key_for, open_place, settled_day
from mindbot_tasks.stores.file_types import HEAD_BYTES, is_taken, sniff
from mindbot_tasks.stores.tables import FileRow

DAY_MS = 86_400_000
_IN_MEMORY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the store."""

    file_id: int
    name: str
    media_type: str  #: as found in the bytes, not as claimed
    size: int
    sha256: str
    place: str

    def chunks(self) -> Iterator[bytes]:
        """The bytes, a piece at a time. Raises Rejected (kind "not_found") or Unavailable."""
        return _place_of(self.place).chunks(self.place.partition(":")[2])

    def read(self) -> bytes:
        """All of the bytes; no file is bigger than `files.max_mb` was when it came."""
        return b"".join(self.chunks())


class FileRefused(Rejected):
    """A file that we do not take; `code` says why: too_big, type, program, empty."""

    def __init__(self, code: str, media_type: str = "") -> None:
        super().__init__(f"the file is not taken: {code}", kind="content", code=code, provider=PROVIDER)
        self.media_type = media_type


def save(
    chunks: Iterable[bytes],
    *,
    name: str = "",
    message_id: int | None = None,
    part: int = 0,
    max_bytes: int | None = None,
    settings: Settings | None = None,
) -> Stored:
    """Keep a file and return it. Its type is found in its bytes; reading stops as soon as it cannot be taken.

    `max_bytes` lowers the limit of the settings. Raises FileRefused, Unavailable or DatabaseUnavailable, and whatever
    `chunks` raises.
    """
    settings = settings or get_settings()
    most = settings.files.max_mb * 1_000_000
    most = most if max_bytes is None else min(most, max_bytes)
    scheme = settings.files.backend
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as kept:
        digest, size, head, media_type = hashlib.sha256(), 0, b"", ""
        keep = _writer(kept)
        for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise FileRefused("too_big", media_type)
            if len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
                if len(head) == HEAD_BYTES:
                    media_type = _taken(head, settings)
            digest.update(chunk)
            keep(chunk)
        if size == 0:
            raise FileRefused("empty")
        media_type = media_type or _taken(head, settings)
        sha256 = digest.hexdigest()
        key = key_for(sha256)
        kept.seek(0)
        open_place(scheme, settings).put(key, kept, size)
    days = settings.files.retention_days
    values = {
        "message_id": message_id,
        "part": part,
        "name": cut(name.replace("\\", "/").rpartition("/")[2].strip()),  # never a path
        "media_type": media_type,
        "size": size,
        "sha256": sha256,
        "place": f"{scheme}:{key}",
        "keep_ms": None if days is None else days * DAY_MS,
    }
    with one_statement() as connection:
        file_id = connection.execute(_insert(), values).scalar_one()
    return Stored(file_id, values["name"], media_type, size, sha256, values["place"])  # type: ignore[arg-type]


def find(file_id: int, *, message_id: int | None = None) -> Stored:
    """A stored file by its id, and only if it is of that message, should one be given.

    Raises Rejected (kind "not_found") or DatabaseUnavailable.
    """
    with reading() as connection:
        of_it = () if message_id is None else (FileRow.message_id == message_id,)
        found = _select(connection, FileRow.id == file_id, *of_it)
    if not found:
        raise Rejected("the file is gone", kind="not_found", code="gone", provider=PROVIDER)
    return found[0][1]


def of_message(message_id: int) -> dict[int, Stored]:
    """The files that were stored for a message, by number of its part. Raises DatabaseUnavailable."""
    with reading() as connection:
        return dict(_select(connection, FileRow.message_id == message_id))


def let_go(connection: Connection, message_ids: Sequence[int]) -> None:
    """These messages are deleted: the next `delete_expired` takes their files."""
    connection.execute(update(FileRow).where(FileRow.message_id.in_(message_ids)).values(expires_at=0))


def delete_expired(limit: int) -> int:
    """Delete up to `limit` files whose time is over, rows first; returns how many went.

    Bytes that cannot be deleted now, or that another file shares, are left to `sweep_orphans`.
    """
    with one_statement() as connection:
        expired = select(FileRow.id).where(FileRow.expires_at <= DB_NOW).order_by(FileRow.expires_at).limit(limit)
        places = [
            row.place
            for row in connection.execute(delete(FileRow).where(FileRow.id.in_(expired)).returning(FileRow.place))
        ]
    _delete_unneeded(sorted({place for place in places if is_settled(place.partition(":")[2])}))
    return len(places)


def sweep_orphans(settings: Settings | None = None, *, batch: int = 500) -> int:
    """Delete bytes that no row knows, left by a crash; only of days into which nobody writes any more."""
    settings = settings or get_settings()
    scheme = settings.files.backend
    gone, waiting = 0, []
    for key in open_place(scheme, settings).keys_before(settled_day()):
        waiting.append(f"{scheme}:{key}")
        if len(waiting) == batch:
            gone += _delete_unneeded(waiting)
            waiting = []
    return gone + _delete_unneeded(waiting)


def _delete_unneeded(places: Sequence[str]) -> int:
    if not places:
        return 0
    with reading() as connection:
        needed = set(connection.execute(select(FileRow.place).where(FileRow.place.in_(places))).scalars())
    for place in places:
        if place not in needed:
            _place_of(place).delete(place.partition(":")[2])
    return sum(place not in needed for place in places)


def _writer(kept: IO[bytes]) -> Callable[[bytes], None]:
    """Small files stay in memory, bigger ones go to the directory for temporary files, which may be full."""

    def write(chunk: bytes) -> None:
        try:
            kept.write(chunk)
        except OSError as exc:
            raise Unavailable(
                f"a file cannot be buffered ({type(exc).__name__})", kind="server", provider=PROVIDER
            ) from exc

    return write


def _place_of(place: str) -> Place:
    return open_place(place.partition(":")[0])


def _taken(head: bytes, settings: Settings) -> str:
    media_type = sniff(head)
    if not is_taken(media_type, settings.files.types):
        raise FileRefused("type", media_type)
    return media_type


def _select(connection: Connection, *conditions: Any) -> list[tuple[int, Stored]]:
    columns = (FileRow.part, FileRow.id, FileRow.name, FileRow.media_type, FileRow.size, FileRow.sha256, FileRow.place)
    return [(row[0], Stored(*row[1:])) for row in connection.execute(select(*columns).where(*conditions))]


@functools.cache
def _insert() -> Any:
    names = ("message_id", "part", "name", "media_type", "size", "sha256", "place")
    values: dict[str, Any] = {name: bindparam(name, type_=FileRow.__table__.c[name].type) for name in names}
    values |= {"created_at": DB_NOW, "expires_at": DB_NOW + bindparam("keep_ms", type_=BigInteger)}
    return insert(FileRow).values(values).returning(FileRow.id)
