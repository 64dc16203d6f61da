"""Every setting of MindBot, typed; read once from mindbot.yaml, the environment and .env."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: int = 8000
    max_body_bytes: int = 1_000_000
    playground: bool | None = None  #: None: on, unless in production


class TimesSettings(Section):
    """Seconds; they nest, and `check_nesting` refuses a set that does not."""

    webhook_s: float = 1.5
    platform_s: float = 5
    connect_s: float = 3
    first_byte_s: float = 20
    gap_s: float = 15
    answer_s: float = 120
    lease_s: float = 150
    visibility_s: float = 900
    drain_s: float = 20
    guard_s: float = 25
    stop_grace_s: float = 60
    message_deadline_s: float = 600
    dedup_days: int = 7


class DingTalkSettings(Section):
    client_id: str
    client_secret: SecretStr
    robot_code: str = ""
    robot_name: str = ""
    markdown_card: bool = True
    enable_stream_reply: bool = Field(default=False, alias="enable-stream-reply")
    card_template_id: str = ""
    api_base: str = "https://api.dingtalk.com"
    oapi_base: str = "https://oapi.dingtalk.com"
    gateway_base: str = ""  #: "" means: as api_base
    mode: Literal["http", "stream"] = "http"
    timestamp_tolerance_s: int = 3600


class ChatSettings(Section):
    """The generic platform: signed JSON in, answer by callback or fetched."""

    secrets: list[SecretStr] = []  #: whsec_...; two while one replaces the other
    callback_url: str = ""  #: "": the asker fetches the answer
    allow_private_callback: bool = False


class ModelSettings(Section):
    name: str
    max_tokens: int = 4096
    temperature: float = 0.7


class ProviderSettings(Section):
    enabled: bool = True
    api_key: SecretStr | None = None
    base_url: str = ""
    models: list[ModelSettings] = []
    rate_limit: int | None = None  #: requests per minute, of the whole fleet
    timeout: float = 60


class WorkflowSettings(Section):
    dify_endpoint: str = "https://api.dify.ai/v1/chat-messages"
    dify_api_key: SecretStr | None = None
    task_patterns: list[str] = []
    priority: int = 100
    timeout: float = 60
    max_retries: int = 2
    enabled: bool = True


class Settings(BaseModel):
    home: Path = Path("var")
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    database_url: SecretStr = SecretStr("sqlite:///var/mindbot.db")
    secret_key: SecretStr = SecretStr("")
    log_level: str = "INFO"
    log_file: str = ""
    production: bool = False
    language: Literal["auto", "en", "zh"] = "auto"
    system_prompt: str = ""
    web: WebSettings = WebSettings()
    times: TimesSettings = TimesSettings()
    dingtalk: dict[str, DingTalkSettings] = {}  #: by bot name; the single form is "default"
    chat: dict[str, ChatSettings] = {}
    providers: dict[str, ProviderSettings] = {}
    workflows: dict[str, WorkflowSettings] = {}
    off: dict[str, str] = {}  #: dotted path of what is off -> why


@functools.cache
def get_settings() -> Settings:
    """The settings of this process. Raises SettingsError with file, line and key."""
    import os

    values: dict[str, object] = {}
    if url := os.environ.get("REDIS_URL"):
        values["redis_url"] = SecretStr(url)
    if url := os.environ.get("DATABASE_URL"):
        values["database_url"] = SecretStr(url)
    if home := os.environ.get("MINDBOT_HOME"):
        values["home"] = Path(home)
        values.setdefault("database_url", SecretStr(f"sqlite:///{home}/mindbot.db"))
    return Settings.model_validate(values)
