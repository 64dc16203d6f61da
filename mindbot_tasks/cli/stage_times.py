"""How long a message waited for each stage and how long the stage took, from the steps of its timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mindbot_tasks.model.message import Stage

_STARTED = ":started"


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage of one message; a stage that was tried again counts all its tries together."""

    stage: str
    waited_ms: int
    took_ms: int


def stage_times(steps: Iterable[tuple[str, int]]) -> list[StageTime]:
    """The stages in the order in which they began; `steps` are (name, milliseconds since the step before).

    >>> stage_times([("received", 0), ("classify:started", 7), ("classified", 3), ("generate:started", 5)])
    [StageTime(stage='classify', waited_ms=7, took_ms=3), StageTime(stage='generate', waited_ms=5, took_ms=0)]
    """
    waited: dict[str, int] = {}
    took: dict[str, int] = {}
    stage = ""
    idle_ms = 0  # since the last stage ended, or since the message came
    for step, ms in steps:
        if step.endswith(_STARTED):
            stage = step.removesuffix(_STARTED)
            waited[stage] = waited.get(stage, 0) + idle_ms + ms
            idle_ms = 0
        elif stage:
            took[stage] = took.get(stage, 0) + ms
            if not _goes_on(step):
                stage = ""
        else:
            idle_ms += ms
    return [StageTime(stage, waited[stage], took.get(stage, 0)) for stage in waited]


def _goes_on(step: str) -> bool:
    """One piece of several was sent; the same stage has the message still."""
    return step == "part_sent"


#: the order in which a message takes them
STAGES = (Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY)
