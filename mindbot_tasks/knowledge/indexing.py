"""The word index of a knowledge base: files on this machine, made from the database and shared by all its processes.

A folder for each base: segments (`segments.py`) that never change, and a manifest that names those that count and the
places in them that do not any more. Who brings it up to date holds a lock, writes new files beside the old ones, and
replaces the manifest in one step: readers go on with what they have, and whoever is killed leaves the last whole state.
Nothing here is the truth: a folder that is lost, damaged or of another database is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
import uuid
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import orjson
import structlog

from mindbot_tasks.stores import knowledge, knowledge_chunks
from mindbot_tasks.stores.database import reading

if TYPE_CHECKING:
    from mindbot_tasks.knowledge.segments import Segment

log = structlog.get_logger(__name__)

#: pieces that are cut into terms before they are written: about 40 MB of memory
_AT_ONCE = 4_096
#: a file of so many pieces is not merged any more
_FULL = 65_536
_DEAD = 0.3  #: a file with a greater share of dead places is written anew without them
_TEXTS = 500
#: so many new pieces are nothing for the process that notices (about 0.3 s); more are for a process of their own
SMALL = 400
_CHILD_S = 1800.0


@dataclass(slots=True)
class Manifest:
    """Which files count, as of which version of the base."""

    born: int = 0  #: when the base was made: another one of the same name has nothing to do with these files
    version: int = 0
    segments: list[str] = field(default_factory=list)
    dead: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """That of a folder; an empty one where there is none, or no good one."""
        try:
            told = orjson.loads((folder / _MANIFEST).read_bytes())
            return cls(int(told["born"]), int(told["version"]), list(told["segments"]), dict(told["dead"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, folder: Path) -> None:
        """Raises OSError."""
        fresh = folder / f"{_MANIFEST}.new"
        with fresh.open("wb") as file:
            told: dict[str, Any] = {
                "born": self.born, "version": self.version, "segments": self.segments, "dead": self.dead,
            }  # fmt: skip
            file.write(orjson.dumps(told))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / _MANIFEST)


_MANIFEST = "manifest.json"


def folder_of(home: Path, base: str) -> Path:
    """Where the files of a base are."""
    return home / "words" / quote(base, safe="")


def forget(home: Path, base: str) -> None:
    """Have all of it made anew."""
    shutil.rmtree(folder_of(home, base), ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path, wait_s: float) -> Iterator[bool]:
    """Whether nobody else is writing there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    ends_at = time.monotonic() + wait_s
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= ends_at:
                    yield False
                    return
                time.sleep(0.05)
        yield True


Outcome = Literal["done", "busy", "many", "stopped"]


def bring_up_to_date(
    home: Path, base: str, *, most: int | None = None, wait_s: float = 0.0, stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Put into the files what has changed; "busy": somebody else is at it; "many": more than `most` pieces are new.

    Raises DatabaseUnavailable, OSError.
    """
    folder = folder_of(home, base)
    with _alone(folder, wait_s) as ours:
        if not ours:
            return "busy"
        with reading() as connection:
            row = knowledge.bases(connection).get(base)
            if row is None:
                return "done"
            manifest = Manifest.read(folder)
            if manifest.born != row.created_at or manifest.version > row.version:
                manifest = Manifest(row.created_at)
            if manifest.version == row.version:
                return "done"
            there = knowledge_chunks.findable(connection, base)
        return _Update(folder, manifest).run(there, row.version, most, stop)


class _Update:
    """One time of bringing a folder up to date; the lock is ours."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self._open = self._opened()

    def _opened(self) -> list[Segment]:
        from mindbot_tasks.knowledge.segments import Damaged, load

        try:
            return [load(self._folder / name) for name in self._manifest.segments]
        except (OSError, Damaged) as exc:
            log.warning("word_index_made_anew", folder=self._folder.name, reason=type(exc).__name__)
            self._manifest = Manifest(self._manifest.born)
            return []

    def run(self, there: array[int], version: int, most: int | None, stop: Callable[[], bool]) -> Outcome:
        import numpy as np

        wanted = np.unique(np.frombuffer(there, np.int64)) if len(there) else np.zeros(0, np.int64)
        known = np.zeros(0, np.int64)
        dead: dict[str, list[int]] = {}
        for segment in self._open:
            gone = ~np.isin(segment.chunk_ids, wanted)
            gone |= np.isin(segment.chunk_ids, known)  # after a copied file, perhaps: each piece counts once
            if gone.any():
                dead[segment.name] = np.nonzero(gone)[0].tolist()
            known = np.concatenate([known, segment.chunk_ids[~gone]])
        new = np.setdiff1d(wanted, known, assume_unique=True)
        if most is not None and len(new) > most:
            return "many"
        self._manifest.dead = dead
        for start in range(0, len(new), _AT_ONCE):
            if stop():
                return "stopped"
            self._add([int(one) for one in new[start : start + _AT_ONCE]])
            self._tidy()
            self._manifest.write(self._folder)  # whoever is killed has not worked in vain
        self._tidy()
        self._manifest.version = version
        self._manifest.write(self._folder)
        self._sweep()
        return "done"

    def _add(self, chunk_ids: list[int]) -> None:
        from mindbot_tasks.knowledge.segments import Builder, load

        builder = Builder()
        for start in range(0, len(chunk_ids), _TEXTS):
            with reading() as connection:
                texts = knowledge_chunks.texts(connection, chunk_ids[start : start + _TEXTS])
            for chunk_id, (title, text) in texts.items():
                builder.add(chunk_id, title, text)
        if builder.chunk_ids:
            path = self._folder / f"{uuid.uuid4().hex}.words"
            builder.write(path)
            self._open.append(load(path))
            self._manifest.segments.append(path.name)

    def _living(self, segment: Segment) -> int:
        return segment.pieces - len(self._manifest.dead.get(segment.name, ()))

    def _tidy(self) -> None:
        """Few files: as many small ones together as make a piece of work worth doing, as the carry of a counter."""
        for at, segment in enumerate(self._open):
            if segment.pieces - self._living(segment) > _DEAD * segment.pieces:
                self._merge(at, at + 1)
        while True:
            first = len(self._open) - 1
            size = self._living(self._open[first]) if self._open else 0
            while first > 0:
                before = self._living(self._open[first - 1])
                if before > 2 * size or before + size > _FULL:
                    break
                size += before
                first -= 1
            if first >= len(self._open) - 1:
                return
            self._merge(first, len(self._open))

    def _merge(self, first: int, last: int) -> None:
        from mindbot_tasks.knowledge.segments import load, merge

        path = self._folder / f"{uuid.uuid4().hex}.words"
        merge(self._open[first:last], self._manifest.dead, path)
        for segment in self._open[first:last]:
            self._manifest.dead.pop(segment.name, None)
        self._open[first:last] = [load(path)]
        self._manifest.segments = [segment.name for segment in self._open]

    def _sweep(self) -> None:
        """Nobody needs the files that are not in the manifest; who has mapped one keeps it."""
        for path in self._folder.iterdir():
            if path.name not in self._manifest.segments and path.name != _MANIFEST:
                path.unlink(missing_ok=True)


def run_child(base: str, meanwhile: Callable[[], object]) -> bool:
    """Bring it up to date in a process that gets in nobody's way; whether that worked. Raises OSError."""
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mindbot_tasks.knowledge.indexing", base],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(":")},
    ) as child:
        ends_at = time.monotonic() + _CHILD_S
        while (code := child.poll()) is None:
            if time.monotonic() > ends_at:
                child.kill()
            meanwhile()
            time.sleep(0.5)
    return code == 0


def main() -> None:
    """`python -m mindbot_tasks.knowledge.indexing BASE`."""
    from mindbot_tasks.core.settings import get_settings

    os.nice(10)
    parent = os.getppid()
    # when whoever asked for it is gone, the next question asks again
    outcome = bring_up_to_date(get_settings().home, sys.argv[1], stop=lambda: os.getppid() != parent)
    sys.exit(0 if outcome == "done" else 1)


if __name__ == "__main__":
    main()
