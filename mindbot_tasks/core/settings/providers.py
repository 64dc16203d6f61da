"""Model providers, and how one of them is chosen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Seconds, Section, Share, Url


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
