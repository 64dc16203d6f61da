"""Where the bytes of files lie: a directory of this machine, or an S3-compatible store.

A key is "<day>/<two letters>/<sha256>": equal files of a day share a place. Nobody writes to a day that has passed, so
what nobody needs any more can be deleted there without asking who might be about to write it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings import FilesSettings, Settings, get_settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

CHUNK_BYTES = 65_536
PROVIDER = "files"


class Place(Protocol):
    """A store of bytes under keys."""

    def put(self, key: str, source: IO[bytes], size: int) -> None:
        """Keep these bytes; when this returns they survive a crash. Raises Unavailable."""

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes. Raises Rejected (kind "not_found") or Unavailable."""

    def delete(self, key: str) -> None:
        """Forget them; nothing happens if they are gone already. Raises Unavailable."""

    def keys_before(self, day: str) -> Iterator[str]:
        """The keys of earlier days. Raises Unavailable."""


def key_for(sha256: str) -> str:
    """Where a file goes today."""
    return f"{datetime.now(UTC):%Y-%m-%d}/{sha256[:2]}/{sha256}"


def settled_day() -> str:
    """Nobody writes into days before this one; a day more than necessary, for machines whose clocks differ."""
    return f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"


def is_settled(key: str) -> bool:
    return key[:10] < settled_day()


class Local:
    """A directory; every file is complete from the moment it has its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, source: IO[bytes], size: int) -> None:
        target = self._folder / key
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            incoming = target.parent / f".{secrets.token_hex(8)}"
            try:
                incoming.touch(0o600, exist_ok=False)
                with incoming.open("wb") as file:
                    while chunk := source.read(CHUNK_BYTES):
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                incoming.replace(target)
            except BaseException:
                incoming.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)
        except OSError as exc:
            raise _trouble("written", exc) from exc

    def chunks(self, key: str) -> Iterator[bytes]:
        try:
            with (self._folder / key).open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError:
            raise _gone() from None
        except OSError as exc:
            raise _trouble("read", exc) from exc

    def delete(self, key: str) -> None:
        target = self._folder / key
        try:
            target.unlink(missing_ok=True)
        except OSError as exc:
            raise _trouble("deleted", exc) from exc
        for folder in (target.parent, target.parent.parent):
            with contextlib.suppress(OSError):  # other files are in it
                folder.rmdir()

    def keys_before(self, day: str) -> Iterator[str]:
        try:
            for folder in sorted(self._folder.glob("[0-9]*-[0-9]*-[0-9]*")):
                if folder.name < day:
                    for path in list(folder.glob("*/*")):  # also what a crash left half written
                        yield path.relative_to(self._folder).as_posix()
        except OSError as exc:
            raise _trouble("listed", exc) from exc


class S3:
    """A bucket of Amazon's or of a store that speaks the same protocol."""

    def __init__(self, settings: FilesSettings) -> None:
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._client = _s3_client(settings)

    def put(self, key: str, source: IO[bytes], size: int) -> None:
        with _s3_errors():
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=source, ContentLength=size)

    def chunks(self, key: str) -> Iterator[bytes]:
        with _s3_errors():
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
            with contextlib.closing(body):
                yield from body.iter_chunks(CHUNK_BYTES)

    def delete(self, key: str) -> None:
        with _s3_errors():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def keys_before(self, day: str) -> Iterator[str]:
        with _s3_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self._prefix)
                    if key[:10] >= day:  # keys come in order
                        return
                    yield key


@functools.cache
def _open(scheme: str, folder: Path) -> Place:
    return Local(folder) if scheme == "local" else S3(get_settings().files)


def open_place(scheme: str, settings: Settings | None = None) -> Place:
    """The store of that kind as it is configured now: files that were kept under another backend stay readable.

    Raises Rejected (not_found) for one that is not configured any more.
    """
    settings = settings or get_settings()
    if scheme == "s3" and not settings.files.bucket:
        raise Rejected(
            "the file is in an S3 store that is not configured any more", kind="not_found", provider=PROVIDER
        )
    return _open(scheme, Path(settings.files.path or settings.home / "files").expanduser())


def forget_places() -> None:
    """After a fork, and for tests: connections are not shared."""
    _open.cache_clear()


os.register_at_fork(after_in_child=forget_places)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _trouble(what: str, exc: OSError) -> Unavailable:
    return Unavailable(f"a file cannot be {what} ({type(exc).__name__})", kind="server", provider=PROVIDER)


def _gone() -> Rejected:
    return Rejected("the file is gone", kind="not_found", code="gone", provider=PROVIDER)


def _s3_client(settings: FilesSettings) -> BaseClient:
    import boto3  # only a process that touches such files pays for it
    from botocore.config import Config

    def plain(secret: Any) -> str | None:
        return secret.get_secret_value() if secret is not None else None

    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url or None,
        region_name=settings.region or None,
        aws_access_key_id=plain(settings.access_key_id),
        aws_secret_access_key=plain(settings.secret_access_key),
        config=Config(
            connect_timeout=3,
            read_timeout=15,
            retries={"total_max_attempts": 2, "mode": "standard"},
            max_pool_connections=32,
            # stores of others do not know the newer checksums
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@contextlib.contextmanager
def _s3_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in ("NoSuchKey", "404"):
            raise _gone() from None
        raise Unavailable(
            "the S3 store refused", kind="server", provider=PROVIDER, code=code[:64], status=status
        ) from None
    except BotoCoreError as exc:  # its words may spell out the endpoint and more
        raise Unavailable(
            f"the S3 store does not answer ({type(exc).__name__})", kind="connection", provider=PROVIDER
        ) from None
