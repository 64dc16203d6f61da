"""Who signs on where, and how patient a connection is."""

from __future__ import annotations

from dataclasses import dataclass, field

from mindbot_tasks.core.settings import AimSettings


@dataclass(frozen=True, slots=True)
class Account:
    """One account on one server."""

    name: str
    password: str = field(repr=False)
    host: str
    port: int
    tls: bool = False
    keep_login_host: bool = False

    @classmethod
    def of(cls, settings: AimSettings) -> Account:
        return cls(
            name=settings.username,
            password=settings.password.get_secret_value(),
            host=settings.server,
            port=settings.port,
            tls=settings.tls,
            keep_login_host=settings.keep_login_host,
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    login_s: float = 30.0  #: from the first packet to being online; servers allow as much
    keepalive_s: float = 60.0
    probe_after_s: float = 120.0  #: of silence, until the server is asked whether it lives
    probe_s: float = 15.0
    ack_s: float = 15.0
    patience_s: float = 2.0  #: a message waits so long for its turn; if that is not enough, it comes again later
    # between two connections
    backoff_s: float = 2.0
    backoff_max_s: float = 300.0
    steady_s: float = 300.0  #: after so long online the back-off begins anew
    too_often_s: float = 600.0
    elsewhere_s: float = 300.0
    elsewhere_most: int = 3  #: times an hour; then two processes fight for one account, and we give in
