"""How our own processes behave: where the web side listens, and how long anything may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from mindbot_tasks.core.settings.section import AtLeastOne, Seconds, Section


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  #: 0: any free one
    max_body_bytes: AtLeastOne = 1_000_000
    playground: bool | None = None  #: None: on, unless in production
    console: bool = True  #: the operators' pages; from other machines, and in production, with one of api_keys
    playground_admin: bool | None = None  #: None: yes, while only people at this machine get to the page
    public_url: str = ""
    api_keys: list[SecretStr] = []  #: who may use /api/v1
    api_calls_per_minute: AtLeastOne = 300  #: of one key
    max_streams: AtLeastOne = 8  #: open event streams of one web process; keep it below its threads
    trusted_proxies: Annotated[int, Field(ge=0)] = 0  #: how many proxies in front of us set X-Forwarded-For
    flower_url: str = ""  #: shown in the playground; "": the one that `mindbot up` starts


class TimesSettings(Section):
    """Seconds; they nest, and `check_nesting` finds where they do not."""

    webhook_s: Seconds = 1.5
    platform_s: Seconds = 5
    connect_s: Seconds = 3
    first_byte_s: Seconds = 20
    gap_s: Seconds = 15
    answer_s: Seconds = 120
    lease_s: Seconds = 150
    visibility_s: Seconds = 900
    drain_s: Seconds = 20
    guard_s: Seconds = 25
    stop_grace_s: Seconds = 60
    message_deadline_s: Annotated[float, Field(gt=30)] = 600  #: the last 30 s are kept for an apology
    dedup_days: AtLeastOne = 7
    feed_poll_s: Seconds = 180  #: what a platform only announces is looked at this often without an announcement


#: (what must be less, than what): a lease that ends before its answer gives the message to two workers, and so on
NESTING = (
    ("webhook_s", "platform_s"),
    ("connect_s", "first_byte_s"),
    ("first_byte_s", "answer_s"),
    ("gap_s", "answer_s"),
    ("answer_s", "lease_s"),
    ("lease_s", "visibility_s"),
    ("drain_s", "guard_s"),
    ("guard_s", "stop_grace_s"),
    ("answer_s", "message_deadline_s"),
)


def check_nesting(times: TimesSettings) -> list[tuple[str, str]]:
    """The pairs of NESTING that do not hold; none when the times nest."""
    return [(small, large) for small, large in NESTING if getattr(times, small) >= getattr(times, large)]
