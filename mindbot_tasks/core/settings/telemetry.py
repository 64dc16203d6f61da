"""Traces: to which collector they go, and of which messages."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, SecretStr

from mindbot_tasks.core.settings.section import Seconds, Section, Share, Url

SamplerName = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
SAMPLERS: tuple[str, ...] = get_args(SamplerName)
#: where OpenTelemetry's own tools look for a collector when nobody says where it is
USUAL_ENDPOINT = "http://localhost:4318"


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class TelemetrySettings(Section):
    """On with an address, or with `enabled: true`. The names are OpenTelemetry's, and so are its variables."""

    enabled: bool | None = None
    endpoint: Url = ""
    traces_endpoint: Url = ""
    headers: dict[str, SecretStr] = {}
    timeout: Seconds = 10.0
    service_name: str = "mindbot-{role}"
    resource_attributes: dict[str, str] = {}
    sampler: Annotated[SamplerName, BeforeValidator(_lower)] = "parentbased_traceidratio"
    sample_ratio: Share = 1.0
    incoming: Literal["parent", "link", "ignore"] = "parent"
    view_url: Url = ""

    @property
    def on(self) -> bool:
        """Whether messages are traced."""
        named = bool(self.endpoint or self.traces_endpoint)
        return self.sampler != "always_off" and (named if self.enabled is None else self.enabled)

    @property
    def address(self) -> str:
        """Where traces are posted to."""
        return self.traces_endpoint or f"{self.endpoint or USUAL_ENDPOINT}/v1/traces"
