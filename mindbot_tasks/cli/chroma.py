"""`mindbot chroma`: the one process that opens the directory of the vectors, and what keeps that in order.

What is in the directory can be made anew from the database at any time. So nothing here asks for a person: a directory
that is gone while the server runs, or that the server cannot open, is replaced by an empty one, and the periodic
comparison (`mindbot.tend`) has the vectors made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import structlog

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.supervision.child import tied_to
from mindbot_tasks.cli.supervision.instance import free_port, why_not_bindable
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, SettingsError
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.knowledge.chroma import Chroma, address_file

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
_READY_S = 60.0
_STOP_S = 8.0
_LISTEN_EVERY_S, _LISTEN_S, _SILENT_FOR_SURE = 10.0, 10.0, 3
_SCRIPT = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; sys.exit(app())"


@click.command()
@told_plainly
def chroma() -> None:
    """Run the vector store of this machine, on loopback."""
    settings = get_settings()
    wanted = settings.chromadb
    if wanted is None or wanted.url:
        raise SettingsError("chromadb is off, or `chromadb.url` names a server elsewhere")
    folder = wanted.base_path.resolve()
    with _alone(folder):
        code = _serve(settings, folder)
    sys.exit(code)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two servers on one directory would lose vectors. Raises SettingsError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"another process serves {folder}") from None
        yield


def _serve(settings: Settings, folder: Path) -> int:
    """Until a signal, or until the directory is no longer what it was; returns the exit code."""
    wanted = settings.chromadb
    assert wanted is not None  # noqa: S101 - who calls has looked
    folder.mkdir(parents=True, exist_ok=True)
    port = wanted.port if why_not_bindable(HOST, wanted.port) is None else free_port(first=wanted.port + 1)
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ending.append(number))
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _SCRIPT, "run", "--path", str(folder), "--host", HOST, "--port", str(port)],
        env={**os.environ, "ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1"},
        stdout=subprocess.DEVNULL,  # a line for each request
        preexec_fn=tied_to(os.getpid(), signal.SIGTERM),
    )
    try:
        if not _is_ready(process, port, ending):
            if not ending:
                _put_aside(folder)
            return 0 if ending else 1
        file = address_file(settings.home)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(str(port), encoding="ascii")
        fresh.replace(file)
        log.info("vector_store_ready", port=port)
        click.echo(f"chroma on {HOST}:{port}, vectors in {folder}")
        hangs = threading.Event()
        threading.Thread(target=_listen, args=(settings, hangs), name="listener", daemon=True).start()
        return _watch(process, folder, ending, hangs)
    finally:
        _end(process)


def _is_ready(process: subprocess.Popen[bytes], port: int, ending: list[int]) -> bool:
    ends_at = time.monotonic() + _READY_S
    while time.monotonic() < ends_at and process.poll() is None and not ending:
        try:
            if get_http().request("GET", f"http://{HOST}:{port}/api/v2/heartbeat", deadline=Deadline(2)).ok:
                return True
        except FarSideError:
            time.sleep(0.2)
    return False


def _put_aside(folder: Path) -> None:
    """It could not be opened: start again with an empty one."""
    aside = folder.with_name(f"{folder.name}.broken-{int(time.time())}")
    folder.rename(aside)
    log.warning("vector_store_put_aside", folder=str(aside))


def _listen(settings: Settings, hangs: threading.Event) -> None:
    """Set `hangs` when the server has answered nothing for a while; its heartbeat alone says nothing.

    Seen after a full disk: the heartbeat comes, and every count and search waits for ever, until it is started anew.
    """
    client = Chroma(settings)
    silent = 0
    while silent < _SILENT_FOR_SURE:
        time.sleep(_LISTEN_EVERY_S)
        try:
            answers = client.answers(Deadline(_LISTEN_S))
        except Exception:
            log.exception("listener_failed")
            answers = True
        silent = 0 if answers else silent + 1
    hangs.set()


def _watch(process: subprocess.Popen[bytes], folder: Path, ending: list[int], hangs: threading.Event) -> int:
    inode = folder.stat().st_ino
    while not ending and process.poll() is None:
        time.sleep(0.2)
        if hangs.is_set():
            log.warning("vector_store_hangs", folder=str(folder))
            return 1
        try:
            same = folder.stat().st_ino == inode and (folder / "chroma.sqlite3").exists()
        except OSError:
            same = False
        if not same:
            log.warning("vector_store_lost", folder=str(folder))
            return 1  # the supervisor starts us again, with a directory of its own
    return 0 if ending else 1


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
