"""Apps of the emulator for the tests of Dify."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.llm.dify.app import DifyApp, Manner
from tests.llm.asking import PATIENCE

CHAT, RUN = "/v1/chat-messages", "/v1/workflows/run"


def app(far: Emulator, key: str, endpoint: str = "/v1", **manner: Any) -> DifyApp:
    """The app of a key; without more words its kind has to be learnt."""
    return DifyApp(
        "workflow:flow", far.url + endpoint, SecretStr(key), workflow="flow", patience=PATIENCE, manner=Manner(**manner)
    )


def paths(far: Emulator) -> list[str]:
    """What was called, in order."""
    return [call["path"] for call in far.control.calls()]
