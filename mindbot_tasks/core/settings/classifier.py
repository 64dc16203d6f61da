"""How it is decided which workflow a message is for, beside the patterns of the workflows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mindbot_tasks.core.settings.section import Section, Share


class ClassifierSettings(Section):
    enabled: bool = True  #: False: only the patterns decide
    threshold: Share = 0.35
    sticky_minutes: Annotated[float, Field(ge=0)] = 10  #: 0: every message stands alone
