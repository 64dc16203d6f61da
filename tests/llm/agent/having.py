"""Settings with an agent, for its tests."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import ModelSettings, ProviderSettings, Settings
from mindbot_tasks.core.settings.agent import AgentSettings, AgentToolsSettings, LangchainSettings
from mindbot_tasks.llm.agent.tools.base import Call
from tests.llm.asking import question


def provider(far: Emulator, kind: str = "openai", **fields: Any) -> ProviderSettings:
    """The emulator of this vendor as a provider."""
    address = f"{far.url}/v1" if kind in ("openai", "deepseek") else far.url
    values: dict[str, Any] = {
        "type": kind,
        "base_url": address,
        "api_key": SecretStr("k"),
        "models": [ModelSettings(name="mock", input_price=1, output_price=2)],
    }
    return ProviderSettings(**(values | fields))


def agent(
    *tools: str, rules: dict[str, Any] | None = None, mcp: dict[str, Any] | None = None, **chain: Any
) -> AgentSettings:
    """The section; `rules` are keys of `agent.tools`, `chain` of `agent.langchain`."""
    return AgentSettings(
        langchain=LangchainSettings(tools=list(tools) or ["calculator", "get_time"], **chain),
        tools=AgentToolsSettings(**(rules or {})),
        mcp=mcp or {},
    )


def settings(**fields: Any) -> Settings:
    values: dict[str, Any] = {"agent": agent()}
    return Settings(**(values | fields))


def call(having: Settings | None = None, *, deadline: Deadline | None = None, **fields: Any) -> Call:
    """What a tool knows about who asks."""
    return Call(having or settings(), question(**fields), deadline or Deadline(60))
