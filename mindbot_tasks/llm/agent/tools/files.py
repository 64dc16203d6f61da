"""The tools of the group `files`: reading, writing and listing in the conversation's own folder, and nowhere else.

A folder is flat: a name is the name of a file, never a path. Files are opened below a descriptor of the folder, without
following links, so that not even a link that got there by other means leads out.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.agent import AgentFilesSettings
from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed, arguments

GROUP = "files"
FOLDER = "agent_files"
_NAME = re.compile(r"[\w\-()（）][\w\-. ()（）]{0,98}")
_PARTS = ".part-"
_NAME_SCHEMA = {"type": "string", "description": "name of the file, without a folder", "minLength": 1, "maxLength": 99}


class Folder:
    """The files of one conversation."""

    def __init__(self, home: Path, conversation_key: str, limits: AgentFilesSettings) -> None:
        self._path = home / FOLDER / hashlib.sha256(conversation_key.encode()).hexdigest()[:32]
        self._limits = limits

    @contextmanager
    def _opened(self) -> Iterator[int]:
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def names(self) -> list[tuple[str, int]]:
        """Each file with its size in bytes."""
        with self._opened() as folder:
            return _listed(folder)

    def read(self, name: str) -> str:
        """Raises ToolFailed."""
        with self._opened() as folder:
            try:
                descriptor = os.open(_checked(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except FileNotFoundError:
                raise ToolFailed("there is no such file") from None
            except OSError as exc:
                raise ToolFailed("this file cannot be read") from exc
            with os.fdopen(descriptor, "rb") as file:
                if not _is_ours(os.fstat(descriptor)):
                    raise ToolFailed("this file cannot be read")
                content = file.read(self._limits.max_file_kb * 1024 + 1)
        if len(content) > self._limits.max_file_kb * 1024:
            raise ToolFailed("the file is too large")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise ToolFailed("the file is no text") from None

    def write(self, name: str, content: str) -> int:
        """The size in bytes. Raises ToolFailed."""
        data = content.encode(errors="replace")
        if len(data) > self._limits.max_file_kb * 1024:
            raise ToolFailed(f"a file may have at most {self._limits.max_file_kb} KB")
        wanted = _checked(name)
        with self._opened() as folder:
            others = {found: size for found, size in _listed(folder) if found != wanted}
            if len(others) >= self._limits.max_files:
                raise ToolFailed(f"there may be at most {self._limits.max_files} files")
            if sum(others.values()) + len(data) > self._limits.max_total_kb * 1024:
                raise ToolFailed(f"all files together may have at most {self._limits.max_total_kb} KB")
            part = f"{_PARTS}{secrets.token_hex(8)}"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(part, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(data)
                os.replace(part, wanted, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as exc:
                raise ToolFailed("the file cannot be written") from exc
        return len(data)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name.endswith((" ", ".")):
        raise ToolFailed("a file name has letters, digits, '-', '_', '.', spaces and brackets, and names no folder")
    return name


def _is_ours(found: os.stat_result) -> bool:
    # a second name could be outside
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _listed(folder: int) -> list[tuple[str, int]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            about = entry.stat(follow_symlinks=False)
            if not entry.name.startswith(_PARTS) and _is_ours(about):
                found.append((entry.name, about.st_size))
    return sorted(found)


def _folder(call: Call) -> Folder:
    limits = call.settings.agent.tools.files if call.settings.agent is not None else AgentFilesSettings()
    return Folder(call.settings.home, call.question.conversation_key, limits)


def _list(given: Mapping[str, Any], call: Call) -> str:
    return "\n".join(f"{name} ({size} bytes)" for name, size in _folder(call).names()) or "there are no files yet"


def _read(given: Mapping[str, Any], call: Call) -> str:
    return _folder(call).read(str(given["name"]))


def _write(given: Mapping[str, Any], call: Call) -> str:
    size = _folder(call).write(str(given["name"]), str(given["content"]))
    return f"written, {size} bytes"


LIST_FILES = Tool(
    name="list_files",
    description="Lists the files of this conversation.",
    schema=arguments({}),
    run=_list,
    group=GROUP,
    timeout_s=10,
)
READ_FILE = Tool(
    name="read_file",
    description="Reads a text file of this conversation.",
    schema=arguments({"name": _NAME_SCHEMA}, required=("name",)),
    run=_read,
    group=GROUP,
    timeout_s=10,
    outside=True,
)
WRITE_FILE = Tool(
    name="write_file",
    description="Writes a text file of this conversation, in place of the one of that name if there is one.",
    schema=arguments({"name": _NAME_SCHEMA, "content": {"type": "string"}}, required=("name", "content")),
    run=_write,
    group=GROUP,
    timeout_s=10,
)


def purge(settings: Settings) -> int:
    """Delete the folders in which nothing has changed for long; returns how many."""
    limits = settings.agent.tools.files if settings.agent is not None else AgentFilesSettings()
    oldest = time.time() - limits.keep_days * 86_400
    root, gone = settings.home / FOLDER, 0
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone
