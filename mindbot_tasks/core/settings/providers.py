"""Model providers, and how one of them is chosen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Seconds, Section, Share, Url


class _Named(Section):
    """May be written as its name alone."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


_SWITCHED = {"enabled": True, "disabled": False}


def _switched(value: Any) -> Any:
    """The vendors' words for true and false."""
    return _SWITCHED.get(value.lower(), value) if isinstance(value, str) else value


class ModelSettings(_Named):
    max_tokens: AtLeastOne = 4096
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    context_tokens: Count = 0  #: 0: a careful default of the provider
    vision: bool | None = None  #: None: by the name
    thinking: Annotated[bool | None, BeforeValidator(_switched)] = None  #: None: as the vendor thinks best
    extra_body: dict[str, Any] = {}  #: more fields for the request
    path: str = ""  #: of a model that this machine runs itself
    input_price: Annotated[float, Field(ge=0)] | None = None  #: of a million tokens; None: what models.yaml knows
    output_price: Annotated[float, Field(ge=0)] | None = None
    rate_limit: AtLeastOne | None = None  #: requests per minute, of the whole fleet; beside that of the provider
    tokens_per_minute: AtLeastOne | None = None


class WorkflowRef(_Named):
    """A workflow that a provider offers."""

    workflow_id: str = ""


def _apart(written: str | SecretStr) -> list[str]:
    text = written.get_secret_value() if isinstance(written, SecretStr) else written
    return [key for each in text.split(",") if (key := each.strip())]


class ProviderSettings(Section):
    enabled: bool = True
    type: str = ""  #: "" means: by name; a name of one's own needs e.g. "openai" here
    api_key: SecretStr | None = None  #: the first of `api_keys`, however they were written
    api_keys: list[SecretStr] = []
    base_url: Url = ""  #: "" means: the vendor's own
    models: list[ModelSettings] = []
    workflows: list[WorkflowRef] = []
    bot_id: str = ""
    rate_limit: AtLeastOne | None = None  #: requests per minute, of the whole fleet
    tokens_per_minute: AtLeastOne | None = None  #: in and out, of the whole fleet
    max_concurrency: Count = 0  #: calls at the same time, of the whole fleet; 0: as many as there are
    timeout: Seconds = 60
    weight: Annotated[float, Field(ge=0)] = 1
    keep_alive: str = ""  #: Ollama: how long a model stays loaded, such as "30m" or "-1"
    device: str = "auto"  #: local models: auto, cpu, cuda, mps
    trust_remote_code: bool = False  #: local models: run code that comes with the model

    @model_validator(mode="before")
    @classmethod
    def _gather_keys(cls, data: Any) -> Any:
        """One key, a list, or several with commas between them; under either name."""
        if not isinstance(data, dict):
            return data
        given = [data.get("api_key"), data.get("api_keys")]
        found = [each for value in given for each in (value if isinstance(value, list) else [value])]
        if not all(each is None or isinstance(each, str | SecretStr) for each in found):
            return data  # pydantic says what is wrong with it
        keys = list(dict.fromkeys(key for each in found if each is not None for key in _apart(each)))
        return {**data, "api_key": keys[0], "api_keys": keys} if keys else data


class ProviderSelectionSettings(Section):
    strategy: Literal["ordered", "round_robin", "weighted", "performance_based"] = "ordered"
    fallback_order: list[str] = []
    performance_threshold: Share = 0.8
    cost_optimization: bool = False
    shutdown_warning_days: Count = 60  #: before the day on which a vendor switches a model off
