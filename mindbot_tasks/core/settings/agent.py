"""The agent with its tools, and how it works together with the workflows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mindbot_tasks.core.settings.context import Prompt
from mindbot_tasks.core.settings.providers import ProviderSettings
from mindbot_tasks.core.settings.section import AtLeastOne, Section
from mindbot_tasks.core.settings.workflows import WorkflowSettings


class LangchainSettings(Section):
    also_called: ClassVar[dict[str, str]] = {"provider": "primary_provider"}

    enabled: bool = True
    primary_provider: str = ""  #: "" means: the first of provider_selection
    fallback_providers: list[str] = []
    model: str = ""  #: "" means: the first of the provider
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_iterations: AtLeastOne = 10
    tools: list[str] = []
    system_prompt: Prompt = ""


class AgentWorkflowsSettings(Section):
    enabled: bool = True
    routing_strategy: Literal["tool-first", "workflow-first", "hybrid"] = "hybrid"
    fallback_enabled: bool = True
    workflows: dict[str, WorkflowSettings] = {}


class IntegrationSettings(Section):
    context_sharing: bool = True
    performance_tracking: bool = True
    analytics_enabled: bool = True
    fallback_enabled: bool = True
    debug_mode: bool = False


class AgentSettings(Section):
    langchain: LangchainSettings | None = None
    providers: dict[str, ProviderSettings] = {}
    workflows: AgentWorkflowsSettings | None = None
    integration: IntegrationSettings = IntegrationSettings()
