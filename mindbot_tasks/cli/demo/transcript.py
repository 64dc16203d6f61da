"""What the demo shows at the end: who said what by which door, who answered, and how long each stage took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from mindbot_tasks.cli.demo.doors import Exchange
from mindbot_tasks.cli.stage_times import StageTime
from mindbot_tasks.cli.supervision.banner import wide
from mindbot_tasks.core.words import Lang, say

WIDTH = 80


def transcript(exchanges: Sequence[Exchange], lang: Lang) -> str:
    """All exchanges, for a terminal of 80 columns."""
    return "\n\n".join(_one(number, exchange, lang) for number, exchange in enumerate(exchanges, 1))


def _one(number: int, exchange: Exchange, lang: Lang) -> str:
    view = exchange.view
    door = say(f"demo.{exchange.door}", lang)
    rows = [
        (exchange.who, exchange.question),
        ("MindBot", exchange.answer or ""),
        (say("demo.row_kind", lang), kind_of(view, lang)),
        (say("demo.row_by", lang), answered_by(view, lang)),
        (say("demo.row_back", lang), say(f"demo.back_{exchange.door}", lang)),
        (say("demo.row_stages", lang), _stages(exchange, lang)),
    ]
    width = max(wide(label) for label, _ in rows)
    lines = [f"{number}. {door}  POST {exchange.path}"]
    for label, text in rows:
        lines += _indented(label + " " * (width - wide(label)), text)
    return "\n".join(lines)


def _indented(label: str, text: str) -> Iterable[str]:
    head = f"   {label}  "
    indent = " " * wide(head)
    # by columns: a Chinese character takes two
    console = Console(width=WIDTH)
    wrapped = [line.plain.rstrip() for line in Text(text).wrap(console, WIDTH - len(indent)) if line.plain.strip()]
    for place, line in enumerate(wrapped or [""]):
        yield (head if place == 0 else indent) + line


def kind_of(view: dict[str, Any], lang: Lang) -> str:
    """What the message was taken for, how surely and why."""
    found = view["classification"]
    if not found:
        return "-"
    return say("demo.kind", lang, label=found["label"], confidence=found["confidence"], reason=found["reason"])


def answered_by(view: dict[str, Any], lang: Lang) -> str:
    """The workflow or the model that answered."""
    answer = view["answer"]
    if answer["workflow"]:
        text = say("demo.by_workflow", lang, workflow=answer["workflow"], provider=answer["provider"])
    elif answer["model"]:
        text = say("demo.by_model", lang, model=answer["model"], provider=answer["provider"])
    else:
        text = say("demo.by_itself", lang, provider=answer["provider"])
    if answer["first_token_ms"] is None:
        return text
    times = say("demo.by_times", lang, ms=answer["latency_ms"], first=answer["first_token_ms"])
    return f"{text}, {times}"


def _stages(exchange: Exchange, lang: Lang) -> str:
    parts = [say("demo.acknowledged", lang, ms=f"{exchange.acknowledged_ms:.0f}")]
    parts += [
        say("demo.stage", lang, stage=time.stage, took=time.took_ms, waited=time.waited_ms) for time in exchange.stages
    ]
    return "\n".join([", ".join(parts), say("demo.total", lang, ms=exchange.total_ms)])


def as_record(exchange: Exchange) -> dict[str, Any]:
    """The same for programs."""
    view = exchange.view
    return {
        "door": exchange.door,
        "webhook": exchange.path,
        "acknowledged_ms": exchange.acknowledged_ms,
        "message_id": exchange.message_id,
        "from": exchange.who,
        "question": exchange.question,
        "answer": exchange.answer,
        "state": view["state"],
        "classification": view["classification"],
        "answered_by": {name: view["answer"][name] for name in ("workflow", "provider", "model")},
        "latency_ms": view["answer"]["latency_ms"],
        "first_token_ms": view["answer"]["first_token_ms"],
        "stages": [_as_dict(time) for time in exchange.stages],
        "total_ms": exchange.total_ms,
    }


def _as_dict(time: StageTime) -> dict[str, object]:
    return {"stage": time.stage, "waited_ms": time.waited_ms, "took_ms": time.took_ms}
