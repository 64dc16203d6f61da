"""The file store: bytes and rows, types and sizes, retention and crashes, in a directory and in S3."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from sqlalchemy import select, update

from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings import FilesSettings, Settings, reset_settings
from mindbot_tasks.stores import file_places, files
from mindbot_tasks.stores.database import forget_engine, one_statement, reading
from mindbot_tasks.stores.tables import FileRow
from tests.stores.files import PDF, PROGRAM, png

Configure = Callable[..., Settings]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 that listens on the loopback interface."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str) -> FilesSettings:
    """A bucket of this test's own."""
    name = f"files-{uuid.uuid4().hex[:8]}"
    settings = FilesSettings(
        backend="s3",
        bucket=name,
        endpoint_url=s3_server,
        region="us-east-1",
        access_key_id=SecretStr("key"),
        secret_access_key=SecretStr("secret"),
    )
    boto3.client(
        "s3", endpoint_url=s3_server, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ).create_bucket(Bucket=name)
    return settings


@pytest.fixture
def one_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is stored today, also when midnight comes in the midst of the test."""
    today = datetime.now(UTC)

    class Today(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return today

    monkeypatch.setattr(file_places, "datetime", Today)


@pytest.fixture
def configured(
    database_url: str, tmp_path: Path, one_date: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Configure]:
    given_url = database_url

    def forget() -> None:
        reset_settings()
        file_places.forget_places()
        forget_engine(close=True)

    def make(**section: Any) -> Settings:
        forget()
        database_url = section.pop("database", given_url)
        its_files = section.pop("files", None) or FilesSettings(**section)
        settings = Settings(home=tmp_path, database_url=SecretStr(database_url), files=its_files)
        monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
        return settings

    yield make
    forget()


def rows() -> list[Any]:
    with reading() as connection:
        return list(connection.execute(select(FileRow.id, FileRow.place, FileRow.expires_at)))


def bytes_kept(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


def days_ago(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """What was stored until now was stored long ago."""
    for number, day in enumerate(sorted((folder / "files").iterdir())):
        old = f"2001-02-{number + 1:02}"
        day.rename(day.with_name(old))
        with one_statement() as connection:
            for row in rows():
                place = row.place.replace(day.name, old)
                connection.execute(update(FileRow).where(FileRow.id == row.id).values(place=place))


def test_keeps_a_file_by_its_bytes_and_finds_it_by_its_id(configured: Configure, tmp_path: Path) -> None:
    configured()
    picture = png()
    stored = files.save([picture[:10], picture[10:]], name="../../etc/photo.png", message_id=7, part=1)
    assert stored.media_type == "image/png"
    assert (stored.name, stored.size, stored.sha256) == ("photo.png", len(picture), hashlib.sha256(picture).hexdigest())
    found = files.find(stored.file_id)
    assert found == stored
    assert found.read() == picture
    assert files.of_message(7) == {1: stored}
    [path] = bytes_kept(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name == stored.sha256


def test_keeps_files_in_an_s3_store(configured: Configure, bucket: FilesSettings) -> None:
    configured(files=bucket)
    stored = files.save([PDF], name="report.pdf")
    assert (stored.media_type, stored.place.partition(":")[0]) == ("application/pdf", "s3")
    assert files.find(stored.file_id).read() == PDF


def test_files_of_an_earlier_backend_stay_readable(
    configured: Configure, bucket: FilesSettings, tmp_path: Path
) -> None:
    configured()
    stored = files.save([PDF])
    configured(files=bucket)
    assert files.find(stored.file_id).read() == PDF


def test_s3_that_is_away_is_unavailable_and_a_lost_object_is_gone(configured: Configure, bucket: FilesSettings) -> None:
    configured(files=bucket)
    stored = files.save([PDF])
    file_places.open_place("s3").delete(stored.place.partition(":")[2])
    with pytest.raises(Rejected) as gone:
        stored.read()
    assert gone.value.kind == "not_found"
    configured(files=bucket.model_copy(update={"endpoint_url": "http://127.0.0.1:9"}))
    with pytest.raises(Unavailable) as away:
        files.save([PDF])
    assert "127.0.0.1" not in str(away.value)


def test_stops_reading_what_is_too_big(configured: Configure, tmp_path: Path) -> None:
    configured(max_mb=1)
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield png()
        while True:
            read += 100_000
            yield bytes(100_000)

    with pytest.raises(files.FileRefused) as refused:
        files.save(endless())
    assert refused.value.code == "too_big"
    assert read <= 1_100_000
    with pytest.raises(files.FileRefused):
        files.save([PDF], max_bytes=10)
    assert rows() == []
    assert bytes_kept(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (PROGRAM, "type"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "type"),
        (b"#!/bin/sh\nrm -rf /\n", "type"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "type"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "type"),
        (bytes(100), "type"),
        (b"", "empty"),
    ],
)
def test_programs_pages_and_the_unknown_are_not_taken(
    configured: Configure, content: bytes, code: str, tmp_path: Path
) -> None:
    configured()
    with pytest.raises(files.FileRefused) as refused:
        files.save([content], name="holiday.jpg")
    assert refused.value.code == code
    assert bytes_kept(tmp_path) == []


def test_a_program_is_refused_before_the_rest_of_it_is_read(configured: Configure) -> None:
    configured(types=["*"])

    def program() -> Iterator[bytes]:
        yield PROGRAM + bytes(10_000)
        pytest.fail("read on")

    with pytest.raises(files.FileRefused):
        files.save(program())


def test_files_expire_with_the_bytes_that_nobody_else_needs(
    configured: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured()
    first, twin, other = files.save([PDF], message_id=1), files.save([PDF], message_id=2), files.save([png()])
    assert first.place == twin.place
    days_ago(monkeypatch, tmp_path)
    with one_statement() as connection:
        files.let_go(connection, [1])
    assert files.delete_expired(10) == 1
    assert len(bytes_kept(tmp_path)) == 2
    assert files.find(twin.file_id).read() == PDF
    with one_statement() as connection:
        files.let_go(connection, [2])
    assert files.delete_expired(10) == 1
    assert [path.name for path in bytes_kept(tmp_path)] == [other.sha256]


def test_a_file_has_a_time_of_its_own_when_the_settings_say_so(configured: Configure) -> None:
    configured(retention_days=2)
    files.save([PDF])
    [row] = rows()
    assert row.expires_at is not None
    assert files.delete_expired(10) == 0


def test_bytes_without_a_row_are_swept_but_not_those_of_today(
    configured: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the bytes and the row leaves an orphan."""
    configured()

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    kept = files.save([png()])
    with monkeypatch.context() as patch:
        patch.setattr(files, "_insert", die)
        with pytest.raises(KeyboardInterrupt):
            files.save([PDF])
    assert len(bytes_kept(tmp_path)) == 2
    assert files.sweep_orphans() == 0
    days_ago(monkeypatch, tmp_path)
    half = next((tmp_path / "files").glob("*/*")) / ".0123456789abcdef"
    half.write_bytes(b"half")
    assert files.sweep_orphans(batch=1) == 2
    assert [path.name for path in bytes_kept(tmp_path)] == [kept.sha256]


def test_a_process_killed_between_the_bytes_and_the_row_loses_only_the_bytes(
    sqlite_url: str, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """if True:
        import os, signal
        from mindbot_tasks.stores import files
        files.save([b"kept"])
        files._insert = lambda: os.kill(os.getpid(), signal.SIGKILL)
        files.save([b"lost"])
    """
    environment = {**os.environ, "MINDBOT_HOME": str(tmp_path), "DATABASE_URL": sqlite_url}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=False)
    assert ended.returncode == -signal.SIGKILL
    configured(database=sqlite_url)
    assert len(bytes_kept(tmp_path)) == 2
    assert len(rows()) == 1
    days_ago(monkeypatch, tmp_path)
    assert files.sweep_orphans() == 1
    assert files.find(rows()[0].id).read() == b"kept"


def test_orphans_are_swept_in_s3(configured: Configure, bucket: FilesSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(files=bucket)
    kept = files.save([PDF])
    with monkeypatch.context() as patch:
        patch.setattr(files, "key_for", lambda sha256: f"2001-02-03/{sha256[:2]}/{sha256}")
        needed = files.save([b"some words"])
        orphan = files.save([png()])
    with one_statement() as connection:
        connection.execute(FileRow.__table__.delete().where(FileRow.id == orphan.file_id))  # type: ignore[attr-defined]
    assert files.sweep_orphans() == 1
    assert needed.read() == b"some words"
    assert kept.read() == PDF
    with pytest.raises(Rejected):
        orphan.read()


def test_a_full_disk_is_unavailable(configured: Configure, tmp_path: Path) -> None:
    configured(path="/dev/full/files")
    with pytest.raises(Unavailable):
        files.save([PDF])
    shutil.rmtree(tmp_path / "files", ignore_errors=True)
