"""Every setting of MindBot, typed; read once from mindbot.yaml, the environment and `.env`."""

from __future__ import annotations

from mindbot_tasks.core.once import Once
from mindbot_tasks.core.settings.agent import (
    AgentSettings,
    AgentToolsSettings,
    AgentWorkflowsSettings,
    IntegrationSettings,
    LangchainSettings,
    McpServerSettings,
    WebSearchSettings,
)
from mindbot_tasks.core.settings.alerts import (
    AlertLimitsSettings,
    AlertManagerSettings,
    MaintenanceSettings,
    ProbeSettings,
    RecipientSettings,
    RemedySettings,
    RotationSettings,
    RuleSettings,
)
from mindbot_tasks.core.settings.bots import BotSettings
from mindbot_tasks.core.settings.budgets import BudgetSettings, BudgetsSettings
from mindbot_tasks.core.settings.classifier import ClassifierSettings
from mindbot_tasks.core.settings.context import ContextSettings
from mindbot_tasks.core.settings.knowledge import ChromaSettings
from mindbot_tasks.core.settings.media import FilesSettings, SpeechToTextSettings
from mindbot_tasks.core.settings.metrics import InfluxDBSettings, MetricsSettings, StatsDSettings
from mindbot_tasks.core.settings.notifiers import (
    AlertWebhookSettings,
    EmailSettings,
    IncidentSettings,
    SmsProviderSettings,
    SmsSettings,
)
from mindbot_tasks.core.settings.platforms import (
    AimSettings,
    ChatSettings,
    DingTalkSettings,
    WeComCsSettings,
    WeComSettings,
)
from mindbot_tasks.core.settings.problems import InvalidSettings, Place, Problem
from mindbot_tasks.core.settings.process import TimesSettings, WebSettings
from mindbot_tasks.core.settings.providers import (
    ModelSettings,
    ProviderSelectionSettings,
    ProviderSettings,
    WorkflowRef,
)
from mindbot_tasks.core.settings.response import PiiKind, PiiSettings, ResponseSettings, WordsSettings
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.settings.section import Section
from mindbot_tasks.core.settings.telemetry import TelemetrySettings
from mindbot_tasks.core.settings.workflows import EndpointSettings, WorkflowSettings

__all__ = [
    "AgentSettings",
    "AgentToolsSettings",
    "AgentWorkflowsSettings",
    "AimSettings",
    "AlertLimitsSettings",
    "AlertManagerSettings",
    "AlertWebhookSettings",
    "BotSettings",
    "BudgetSettings",
    "BudgetsSettings",
    "ChatSettings",
    "ChromaSettings",
    "ClassifierSettings",
    "ContextSettings",
    "DingTalkSettings",
    "EmailSettings",
    "EndpointSettings",
    "FilesSettings",
    "IncidentSettings",
    "InfluxDBSettings",
    "IntegrationSettings",
    "InvalidSettings",
    "LangchainSettings",
    "MaintenanceSettings",
    "McpServerSettings",
    "MetricsSettings",
    "ModelSettings",
    "PiiKind",
    "PiiSettings",
    "Place",
    "ProbeSettings",
    "Problem",
    "ProviderSelectionSettings",
    "ProviderSettings",
    "RecipientSettings",
    "RemedySettings",
    "ResponseSettings",
    "RotationSettings",
    "RuleSettings",
    "Section",
    "Settings",
    "SmsProviderSettings",
    "SmsSettings",
    "SpeechToTextSettings",
    "StatsDSettings",
    "TelemetrySettings",
    "TimesSettings",
    "WeComCsSettings",
    "WeComSettings",
    "WebSearchSettings",
    "WebSettings",
    "WordsSettings",
    "WorkflowRef",
    "WorkflowSettings",
    "get_settings",
    "reset_settings",
]


def _load() -> Settings:
    """The settings of this process. Raises InvalidSettings with file, line and key of every problem."""
    from mindbot_tasks.core.settings.load import load  # YAML and the rest are needed once

    return load()


get_settings = Once(_load)


def reset_settings() -> None:
    """Forget what was read; for tests, and for a process that has just written what the settings read."""
    get_settings.forget()
