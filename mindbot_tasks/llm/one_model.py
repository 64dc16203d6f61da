"""What every answerer has that asks one model over HTTP by a protocol of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindbot_tasks.core.http import Http, Patience
from mindbot_tasks.llm.attachments import is_picture
from mindbot_tasks.llm.base import Attachment


@dataclass(frozen=True, slots=True, kw_only=True)
class OneModel:
    """A protocol adds where its model is, and who asks."""

    max_tokens: int | None = None
    temperature: float | None = None
    system_prompt: str = ""
    patience: Patience | None = None
    vision: bool = False
    extra: Mapping[str, Any] | None = None  #: more fields of the body
    http: Http | None = None

    def takes(self, attachment: Attachment) -> bool:
        return self.vision and is_picture(attachment)
