"""Every error that MindBot raises on purpose.

MindBotError
├── SettingsError            this process must not start
├── SignatureInvalid         the caller is not who it says
├── PayloadInvalid           signed, but not readable
├── DatabaseUnavailable      nothing can be recorded now; ask again later
├── Stopped                  the work was told to stop (not a failure)
│   ├── Draining             this process is shutting down: somebody else goes on
│   ├── Cancelled            a person asked for the answer to be stopped
│   └── BelongsElsewhere     processes that serve another queue are made for this
└── FarSideError             somebody else's server; carries `provider`, `status`, `code`
    ├── Rejected             it would say no again
    └── RetryableError       the same call may work later
        ├── Unavailable      no connection, time-out, 5xx
        │   └── DeadlineExceeded   our own total deadline ran out
        └── Throttled        told to wait `retry_after_s` seconds
"""

from __future__ import annotations


class MindBotError(Exception):
    """Base of all our errors; the message must never hold a secret or the text of a message."""

    retryable = False
    retry_after_s: float | None = None


class SettingsError(MindBotError):
    """The configuration cannot be used."""


class SignatureInvalid(MindBotError):
    """A webhook whose signature, token or timestamp does not hold."""


class PayloadInvalid(MindBotError):
    """A webhook that is signed but cannot be read."""


class DatabaseUnavailable(MindBotError):
    """The database did not answer in time."""

    retryable = True


class OtherTables(DatabaseUnavailable):
    """The database is not of this version: it is migrated before, or after, this process was started."""


class Stopped(MindBotError):
    """Work that ended because it was told to, not because it failed."""


class Draining(Stopped):
    """This process is shutting down; the step is handed to another worker."""


class Cancelled(Stopped):
    """A person asked for this answer to be stopped."""


class BelongsElsewhere(Stopped):
    """This process is not made for the work; those that serve `queue` are."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"work for the queue {queue}")
        self.queue = queue


#: kind of a Rejected: a person has taken the conversation over, so the bot may not, and need not, say anything
WITH_PERSON = "with_person"


class FarSideError(MindBotError):
    """A call to somebody else's server did not work.

    kind is one word for people and metrics: auth, quota, rate_limit, timeout, connection, server, invalid_request,
    not_found, content, expired, protocol, with_person.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "server",
        provider: str = "",
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.provider = provider
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class Rejected(FarSideError):
    """The far side understood and said no; the same call would get the same answer."""


class RetryableError(FarSideError):
    """The same call may work later."""

    retryable = True


class Unavailable(RetryableError):
    """No connection, a time-out or a server error."""


class DeadlineExceeded(Unavailable):
    """The call took longer in total than we allow."""


class Throttled(RetryableError):
    """The far side, or our own fleet-wide limit, asks to wait `retry_after_s` seconds."""
