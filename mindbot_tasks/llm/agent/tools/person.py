"""The tool `get_user_info`: what the ledger knows about whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mindbot_tasks.llm.agent.tools.base import Call, Tool, arguments
from mindbot_tasks.stores import people
from mindbot_tasks.stores.database import reading


def _run(given: Mapping[str, Any], call: Call) -> str:
    with reading() as connection:
        found = people.asker(connection, call.question.message_id)
    if found is None:
        return "nothing is known about the user"
    about = {
        "name": found.name or None,
        "platform": found.platform,
        "user_id": found.user_id,
        "conversation": found.conversation_kind,
        "conversation_title": found.conversation_title or None,
        "language": call.question.language,
        "known_since": found.known_since or None,
    }
    return orjson.dumps({key: value for key, value in about.items() if value is not None}).decode()


GET_USER_INFO = Tool(
    name="get_user_info",
    description="Tells who the user is: name, platform, kind of conversation, language. It takes no arguments.",
    schema=arguments({}),
    run=_run,
    timeout_s=5,
)
