"""The places where people talk to the bot; each may have several bots."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from mindbot_tasks.core.settings.bots import BotSettings
from mindbot_tasks.core.settings.section import Count, Port, Seconds, Url


class DingTalkSettings(BotSettings):
    named_by: ClassVar[tuple[str, ...]] = ("name", "robot_name", "client_id")
    also_called: ClassVar[dict[str, str]] = {"enable-stream-reply": "enable_stream_reply"}

    client_id: str
    client_secret: SecretStr
    robot_code: str = ""
    robot_name: str = ""
    markdown_card: bool = True
    enable_stream_reply: bool = False
    card_template_id: str = ""
    card_content_key: str = ""  #: "" means: what the template is known to have, else "content"
    card_update_s: Seconds = 0.3
    card_route_key: str = ""
    card_callback_secret: SecretStr | None = None
    card_feedback_up: str = "feedback_up"
    card_feedback_down: str = "feedback_down"
    api_base: Url = "https://api.dingtalk.com"
    oapi_base: Url = "https://oapi.dingtalk.com"
    gateway_base: Url = ""  #: "" means: as api_base
    mode: Literal["http", "stream"] = "http"
    timestamp_tolerance_s: Count = 3600


class WeComSettings(BotSettings):
    named_by: ClassVar[tuple[str, ...]] = ("name", "corpid")
    also_called: ClassVar[dict[str, str]] = {"EncodingAESKey": "encoding_aes_key", "agentid": "agent_id"}

    corpid: str
    secret: SecretStr
    token: SecretStr
    encoding_aes_key: SecretStr
    contacts_secret: SecretStr | None = None
    agent_id: Count | None = None  #: None: taken from the messages that come in
    host: str = ""  #: "" means: as web.host; a server of its own is started only when port is given
    port: Port | None = None
    api_base: Url = "https://qyapi.weixin.qq.com"
    markdown: bool = False  #: the few marks that WeCom knows, instead of plain text
    timestamp_tolerance_s: Count = 900


class WeComCsSettings(BotSettings):
    named_by: ClassVar[tuple[str, ...]] = ("name", "corpid")
    also_called: ClassVar[dict[str, str]] = {"EncodingAESKey": "encoding_aes_key"}

    corpid: str
    secret: SecretStr
    token: SecretStr
    encoding_aes_key: SecretStr
    host: str = ""
    port: Port | None = None
    api_base: Url = "https://qyapi.weixin.qq.com"
    timestamp_tolerance_s: Count = 900
    open_kfids: list[str] = []  #: accounts that are asked although they never rang
    max_age_s: Count = 600
    max_parts: Annotated[int, Field(ge=1, le=5)] = 4  #: WeChat shows 5 messages after each of the customer's
    welcome: str | None = None  #: None: our own words; "": no welcome
    take_sessions: bool = True  #: new sessions become the bot's (state 1)
    #: whole messages, or parts of them with * on the open sides
    human_words: list[str] = [
        "人工", "人工服务", "*转人工*", "*找人工*", "*人工客服*", "*真人客服*",
        "human", "agent", "*human please*", "*talk to a human*", "*speak to a human*", "*human agent*", "*real person*",
    ]  # fmt: skip
    servicer_userids: list[str] = []  #: who is asked first to take over; then, or without any, the pool


class AimSettings(BotSettings):
    named_by: ClassVar[tuple[str, ...]] = ("name", "username")

    username: str
    password: SecretStr
    server: str
    port: Port = 5190
    tls: bool = False
    keep_login_host: bool = False  #: for servers behind NAT, which advertise an address that cannot be reached
    keepalive_s: Seconds = 60


class ChatSettings(BotSettings):
    """The generic platform: signed JSON in, answer by callback or fetched."""

    secrets: list[SecretStr] = Field(default=[])  #: whsec_...; two while one replaces the other
    callback_url: Url = ""  #: "": the asker fetches the answer
    allow_private_callback: bool = False
    allow_private_attachments: bool = False
