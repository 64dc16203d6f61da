"""Included into a worker by `celery worker -I tests.flows.poison`: words in a message that end its process, or fail."""

from __future__ import annotations

import os
import time
from typing import Any

from mindbot_tasks import generate as stage
from tests.flows.words import DEADLY, INDIGESTIBLE

_question_for: Any = vars(stage)["question_for"]


def _swallow(held: Any, settings: Any) -> Any:
    if DEADLY in held.text:
        time.sleep(1)  # until others have come into the same process
        os._exit(9)  # as a crash in native code would: no exception, no clean-up
    if INDIGESTIBLE in held.text:
        raise ValueError(f"cannot digest {held.text!r}")  # as bugs do, it quotes what it stumbled over
    return _question_for(held, settings)


vars(stage)["question_for"] = _swallow
