"""What all sections of the configuration share: unknown keys are errors, and a key may have another name."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from mindbot_tasks.core.words import Sentence


class Wrong(ValueError):
    """A value that a validator of ours refuses; says why in both languages."""

    def __init__(self, sentence: Sentence, hint: Sentence | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    also_called: ClassVar[dict[str, str]] = {}  #: other name of a key -> its name here

    @model_validator(mode="before")
    @classmethod
    def _use_our_names(cls, data: Any) -> Any:
        if not cls.also_called or not isinstance(data, dict):
            return data
        # with both names given the other one stays, and is refused as an unknown key
        return {
            cls.also_called[key] if cls.also_called.get(key, key) not in data and key in cls.also_called else key: value
            for key, value in data.items()
        }


def _check_scheme(url: str, schemes: tuple[str, ...]) -> None:
    if url and not url.startswith(schemes):
        raise Wrong(Sentence("settings.bad_url", schemes=", ".join(schemes)))


def _check_http(url: str) -> str:
    _check_scheme(url, ("http://", "https://"))
    return url.rstrip("/")


def _check_redis(url: SecretStr) -> SecretStr:
    _check_scheme(url.get_secret_value(), ("redis://", "rediss://", "unix://"))
    return url


def _check_broker(url: SecretStr) -> SecretStr:
    _check_scheme(
        url.get_secret_value(), ("redis://", "rediss://", "redis+socket://", "unix://", "amqp://", "amqps://")
    )
    return url


def _check_database(url: SecretStr) -> SecretStr:
    _check_scheme(url.get_secret_value(), ("sqlite://", "sqlite+", "postgresql://", "postgresql+", "postgres://"))
    return url


def _check_rate(rate: str) -> str:
    if rate and not re.fullmatch(r"[0-9]*\.?[0-9]+/[smh]", rate):
        raise Wrong(Sentence("settings.bad_rate"))
    return rate


Url = Annotated[str, AfterValidator(_check_http)]  #: without the slash at its end; "" means: not set
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_check_broker)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database)]
Rate = Annotated[str, AfterValidator(_check_rate)]  #: "20/s", "600/m" or "1000/h"
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
