"""The agent with its tools, and how it works together with the workflows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from mindbot_tasks.core.settings.context import Prompt
from mindbot_tasks.core.settings.providers import ProviderSettings
from mindbot_tasks.core.settings.section import AtLeastOne, Count, Seconds, Section, Share, Url, Wrong
from mindbot_tasks.core.settings.workflows import WorkflowSettings
from mindbot_tasks.core.words import Sentence

#: protocols of services that are asked as a whole and take no tools of ours
WITHOUT_TOOLS = frozenset({"dify", "coze", "transformers", "huggingface", "local"})


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
    timeout: Seconds = 90  #: of one answer, all its model calls and tools together
    token_budget: Count = 100_000  #: of all model calls of one answer; 0: none
    max_cost: Annotated[float, Field(ge=0)] = 0  #: of one answer, in the currency of the prices; 0: none


class WebSearchSettings(Section):
    """One search engine; without it there is no tool `web_search`."""

    engine: Literal["searxng", "bing", "tavily", "duckduckgo"] = "searxng"
    endpoint: Url = ""  #: "" means: the vendor's own; SearXNG has none
    api_key: SecretStr | None = None
    results: AtLeastOne = 5
    enabled: bool = True

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> WebSearchSettings:
        if self.enabled and self.engine == "searxng" and not self.endpoint:
            raise Wrong(Sentence("settings.needs_key", key="endpoint", value="engine: searxng"))
        if self.enabled and self.engine in ("bing", "tavily") and self.api_key is None:
            raise Wrong(Sentence("settings.needs_key", key="api_key", value=f"engine: {self.engine}"))
        return self


class AgentFilesSettings(Section):
    """The folder that each conversation has for the file tools."""

    max_file_kb: AtLeastOne = 256
    max_total_kb: AtLeastOne = 4096
    max_files: AtLeastOne = 50
    keep_days: AtLeastOne = 30  #: after the last change a folder is deleted


class AgentToolsSettings(Section):
    """What all tools of the agent share, and what single ones need."""

    timeout: Seconds = 20  #: of one call of a tool that names no time of its own
    max_result_chars: AtLeastOne = 8000  #: of a result that goes back to the model
    confirm: list[str] = []  #: tools, or groups, that run only after a "yes", beside those that say so themselves
    trusted: list[str] = []  #: tools, or groups, that run without asking although they have effects
    confirm_within: Seconds = 600
    web_search: WebSearchSettings | None = None
    files: AgentFilesSettings = AgentFilesSettings()


class McpServerSettings(Section):
    """A server of tools that speaks the Model Context Protocol: a program to start, or an address."""

    command: str = ""
    args: list[str] = []
    env: dict[str, SecretStr] = {}
    cwd: str = ""
    url: Url = ""
    headers: dict[str, SecretStr] = {}
    timeout: Seconds = 30  #: of one call
    start_timeout: Seconds = 20
    tools: list[str] = []  #: the only ones to offer; empty: all
    confirm: Literal["effects", "always", "never"] = "effects"  #: effects: all but those that say they only read
    enabled: bool = True

    @model_validator(mode="after")
    def _is_one_of_both(self) -> McpServerSettings:
        if bool(self.command) == bool(self.url):
            raise Wrong(Sentence("settings.command_or_url"))
        return self


class AgentWorkflowsSettings(Section):
    enabled: bool = True
    routing_strategy: Literal["tool-first", "workflow-first", "hybrid"] = "hybrid"
    confidence_threshold: Share = 0.6  #: from here on `hybrid` trusts the classification
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
    tools: AgentToolsSettings = AgentToolsSettings()
    mcp: dict[str, McpServerSettings] = {}
