"""Where answers come from: model providers, Dify workflows, the agent and the knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Seconds, Section, Share, Url, Wrong
from mindbot_tasks.core.words import Sentence


def _check_pattern(pattern: str) -> str:
    """Patterns come from people and meet text from strangers, so they run on RE2: no catastrophic backtracking."""
    import re2  # only a process that has patterns pays for it

    # "\b" in double quotes is a backspace, which compiles and never matches
    if any(ord(letter) < 32 and letter not in "\t\n" for letter in pattern):
        raise Wrong(Sentence("settings.control_in_pattern"), Sentence("settings.use_single_quotes"))
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as exc:
        reason = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise Wrong(Sentence("settings.bad_pattern", reason=reason), Sentence("settings.linear_time")) from exc
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]


class _Named(Section):
    """May be written as its name alone."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class ModelSettings(_Named):
    max_tokens: AtLeastOne = 4096
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    context_tokens: Count = 0  #: 0: a careful default of the provider
    vision: bool | None = None  #: None: by the name
    input_price: Annotated[float, Field(ge=0)] | None = None  #: of a million tokens, in a currency of one's own choice
    output_price: Annotated[float, Field(ge=0)] | None = None


class WorkflowRef(_Named):
    """A workflow that a provider offers."""

    workflow_id: str = ""


class ProviderSettings(Section):
    enabled: bool = True
    type: str = ""  #: "" means: by name; a name of one's own needs e.g. "openai" here
    api_key: SecretStr | None = None
    base_url: Url = ""  #: "" means: the vendor's own
    models: list[ModelSettings] = []
    workflows: list[WorkflowRef] = []
    bot_id: str = ""
    rate_limit: AtLeastOne | None = None  #: requests per minute, of the whole fleet
    timeout: Seconds = 60
    weight: Annotated[float, Field(ge=0)] = 1


class ProviderSelectionSettings(Section):
    strategy: Literal["ordered", "round_robin", "weighted", "performance_based"] = "ordered"
    fallback_order: list[str] = []
    performance_threshold: Share = 0.8
    cost_optimization: bool = False


class WorkflowSettings(Section):
    dify_endpoint: Url = "https://api.dify.ai/v1/chat-messages"
    dify_api_key: SecretStr | None = None
    task_patterns: list[Pattern] = []
    priority: int = 100
    timeout: Seconds = 60
    max_retries: Count = 2
    enabled: bool = True


class LangchainSettings(Section):
    also_called: ClassVar[dict[str, str]] = {"provider": "primary_provider"}

    enabled: bool = True
    primary_provider: str = ""  #: "" means: the first of provider_selection
    fallback_providers: list[str] = []
    model: str = ""  #: "" means: the first of the provider
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_iterations: AtLeastOne = 10
    tools: list[str] = []
    system_prompt: str = ""


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


class ChromaSettings(Section):
    """The knowledge base."""

    enabled: bool = True
    base_path: Path = Path("./data/chroma")
    collection_name: Annotated[str, Field(min_length=3, max_length=63)] = "mindbot_knowledge"
    embedding_model: str = ""  #: "" means: the offline one
    chunk_size: AtLeastOne = 1000
    chunk_overlap: Count = 200

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> ChromaSettings:
        if self.chunk_overlap >= self.chunk_size:
            raise Wrong(
                Sentence(
                    "settings.must_be_less",
                    small_key="chunk_overlap",
                    small=self.chunk_overlap,
                    large_key="chunk_size",
                    large=self.chunk_size,
                )
            )
        return self
