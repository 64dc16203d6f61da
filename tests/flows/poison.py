"""Included into a worker by `celery worker -I tests.flows.poison`: a message with the word in it ends its process."""

from __future__ import annotations

import os
from typing import Any

from mindbot_tasks import generate as stage

WORD = "arsenic"
_question_for = stage.question_for


def _swallow(held: Any, settings: Any) -> Any:
    if WORD in held.text:
        os._exit(9)  # as a crash in native code would: no exception, no clean-up
    return _question_for(held, settings)


stage.question_for = _swallow
