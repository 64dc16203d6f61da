"""The variants of a workflow between which people are divided: an A/B test."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from mindbot_tasks.core.settings.section import Section, Url, Wrong
from mindbot_tasks.core.words import Sentence


class VariantSettings(Section):
    """Another workflow, or this one with another app; with neither, the workflow as it is."""

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1  #: share of the people; 0: nobody
    workflow: str = ""  #: another workflow that answers instead
    dify_endpoint: Url = ""  #: "" means: as the workflow
    dify_api_key: SecretStr | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> VariantSettings:
        if self.workflow and (self.dify_api_key is not None or self.dify_endpoint):
            raise Wrong(Sentence("settings.variant_of_both"))
        return self

    @property
    def is_control(self) -> bool:
        """The workflow as it is."""
        return not self.workflow and self.dify_api_key is None and not self.dify_endpoint
