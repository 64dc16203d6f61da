"""The program that reads one document: bytes in, JSON out, with little memory and time, and no network."""

from __future__ import annotations

import importlib
import os
import resource
import sys

import orjson

from mindbot_tasks.knowledge.extraction.base import Read, Unreadable

_MEMORY = 1_500_000_000


def main() -> None:
    """`python -m mindbot_tasks.knowledge.extraction.child KIND SECONDS`."""
    kind, seconds = sys.argv[1], float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    content = sys.stdin.buffer.read()
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is not our answer
    told: dict[str, object]
    try:
        found = read(kind, content)
        told = {
            "title": found.title,
            "note": found.note,
            "blocks": [
                {"text": one.text, "headings": one.headings, "place": one.place, "kind": one.kind}
                for one in found.blocks
            ],
        }
    except Unreadable as exc:
        told = {"error": str(exc)}
    except MemoryError:
        told = {"error": "reading it needs too much memory"}
    with os.fdopen(out, "wb") as stream:
        stream.write(orjson.dumps(told))


def read(kind: str, content: bytes) -> Read:
    """The blocks of a document. Raises Unreadable, whatever the bytes are."""
    module = {"md": "markdown", "csv": "tables", "txt": "plain", "docx": "office", "pptx": "office", "xlsx": "office"}
    reader = importlib.import_module(f"mindbot_tasks.knowledge.extraction.{module.get(kind, kind)}")
    found = Read([])
    try:
        reader.read(content, found, kind)
    except (Unreadable, MemoryError):
        raise
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except Exception as exc:  # noqa: BLE001 - a damaged document makes libraries raise anything
        raise Unreadable(f"it is damaged ({type(exc).__name__})") from None
    if not found.blocks:
        raise Unreadable(found.note or "there is no text in it")
    return found


if __name__ == "__main__":
    main()
