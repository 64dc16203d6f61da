"""The whole configuration as one frozen object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mindbot_tasks.core.settings.agent import WITHOUT_TOOLS, AgentSettings
from mindbot_tasks.core.settings.alerts import AlertManagerSettings
from mindbot_tasks.core.settings.bots import BotSettings
from mindbot_tasks.core.settings.budgets import BudgetsSettings
from mindbot_tasks.core.settings.classifier import ClassifierSettings
from mindbot_tasks.core.settings.context import ContextSettings, Prompt
from mindbot_tasks.core.settings.knowledge import ChromaSettings
from mindbot_tasks.core.settings.media import FilesSettings, SpeechToTextSettings
from mindbot_tasks.core.settings.metrics import MetricsSettings
from mindbot_tasks.core.settings.platforms import (
    AimSettings,
    ChatSettings,
    DingTalkSettings,
    WeComCsSettings,
    WeComSettings,
)
from mindbot_tasks.core.settings.problems import Problem
from mindbot_tasks.core.settings.process import TimesSettings, WebSettings
from mindbot_tasks.core.settings.providers import ProviderSelectionSettings, ProviderSettings
from mindbot_tasks.core.settings.response import ResponseSettings
from mindbot_tasks.core.settings.section import AtLeastOne, BrokerUrl, Count, DatabaseUrl, Rate, RedisUrl, Section
from mindbot_tasks.core.settings.telemetry import TelemetrySettings
from mindbot_tasks.core.settings.workflows import WorkflowSettings

PREFIX = "MINDBOT_"
BETWEEN = "__"


_ANY_BOT = BotSettings()
AnySection = TypeVar("AnySection", bound=Section)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _over(installation: AnySection, own: AnySection | None) -> AnySection:
    """The installation's section with what the bot's own says instead, key by key."""
    if own is None:
        return installation
    return installation.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


class Settings(BaseSettings):
    """What is in a dict of this object is on; what is off is only in `off`, with the reason."""

    # MINDBOT_DINGTALK__CLIENT_ID=... fills dingtalk.client_id; `load` reads it, so that errors can name the variable
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=BETWEEN, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    home: Path = Path("var")
    redis_url: RedisUrl = SecretStr("redis://127.0.0.1:6379/0")
    broker_url: BrokerUrl = SecretStr("")  #: "" means: redis_url
    database_url: DatabaseUrl = SecretStr("sqlite:///var/mindbot.db")
    secret_key: SecretStr = SecretStr("")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = "INFO"
    log_file: str = ""
    production: bool = False
    language: Literal["auto", "en", "zh"] = "auto"
    system_prompt: Prompt = ""
    history_tokens: Count = 2000  #: of the conversation so far, that go along with a question
    context: ContextSettings = ContextSettings()
    response: ResponseSettings = ResponseSettings()
    retention_days: AtLeastOne = 30
    limits: dict[str, Rate] = {}  #: by stage, of the whole fleet; "" means: none
    web: WebSettings = WebSettings()
    times: TimesSettings = TimesSettings()
    dingtalk: dict[str, DingTalkSettings] = {}  #: by bot name; the single form is "default"
    wecom: dict[str, WeComSettings] = {}
    wecomcs: dict[str, WeComCsSettings] = {}
    aim: dict[str, AimSettings] = {}
    chat: dict[str, ChatSettings] = {}
    providers: dict[str, ProviderSettings] = {}
    provider_selection: ProviderSelectionSettings = ProviderSelectionSettings()
    budgets: BudgetsSettings = BudgetsSettings()
    workflows: dict[str, WorkflowSettings] = {}
    classifier: ClassifierSettings = ClassifierSettings()
    agent: AgentSettings | None = None
    chromadb: ChromaSettings | None = None
    files: FilesSettings = FilesSettings()
    speech_to_text: SpeechToTextSettings | None = None
    alert_manager: AlertManagerSettings | None = None
    metrics: MetricsSettings = MetricsSettings()
    telemetry: TelemetrySettings | None = None

    _off: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())
    _files: tuple[Path, ...] = PrivateAttr(default=())

    def bot(self, platform: str, bot: str) -> BotSettings:
        """What is configured for this bot; the defaults for one that is built in, such as the playground's."""
        found = getattr(self, platform, None)
        found = found.get(bot) if isinstance(found, dict) else None
        return found if isinstance(found, BotSettings) else _ANY_BOT

    def context_of(self, platform: str, bot: str) -> ContextSettings:
        """What this bot remembers, and how."""
        return _over(self.context, self.bot(platform, bot).context)

    def silence_ms(self, platform: str, bot: str) -> int:
        """After so long a silence a conversation is over; 0: it never is."""
        return self.context_of(platform, bot).session_minutes * 60_000

    def response_of(self, platform: str, bot: str) -> ResponseSettings:
        """What becomes of this bot's answers."""
        return _over(self.response, self.bot(platform, bot).response)

    @property
    def runs_agent(self) -> bool:
        """Whether there is work for processes that serve the queue `agent`: it is on, and has a model that can be."""
        chain = self.agent.langchain if self.agent is not None else None
        if chain is None:
            return False
        named = [chain.primary_provider, *chain.fallback_providers] if chain.primary_provider else self.providers
        found = {name: self.providers[name] for name in named if name in self.providers}
        return any((one.type or name).lower() not in WITHOUT_TOOLS for name, one in found.items())

    @property
    def off(self) -> dict[str, str]:
        """Dotted path of what is off -> why."""
        return self._off

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What works, but probably not as meant."""
        return self._warnings

    @property
    def read_from(self) -> tuple[Path, ...]:
        """The files that were read."""
        return self._files

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)
