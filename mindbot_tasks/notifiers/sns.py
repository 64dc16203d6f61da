"""SMS by AWS SNS. Nobody can ask it what became of a message: "accepted" is all there is to know.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, 2026-11.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.settings import SmsProviderSettings
from mindbot_tasks.model.alert import Accepted, Channel, Notification
from mindbot_tasks.notifiers import wire

if TYPE_CHECKING:
    from botocore.client import BaseClient

_AUTH = frozenset(
    {"AuthorizationError", "AuthorizationErrorException", "InvalidClientTokenId", "SignatureDoesNotMatch",
     "AccessDenied", "UnrecognizedClientException", "ExpiredToken"}
)  # fmt: skip
_THROTTLED = frozenset({"Throttling", "ThrottledException", "ThrottlingException", "TooManyRequestsException"})
_SERVER = frozenset({"InternalError", "InternalErrorException", "InternalFailure", "ServiceUnavailable"})


class SnsSms:
    """Messages of one AWS account and region."""

    channel: ClassVar[Channel] = Channel.SMS

    def __init__(self, name: str, settings: SmsProviderSettings) -> None:
        self.name = name
        self._settings = settings
        self._lock = threading.Lock()
        self._client: BaseClient | None = None

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        attributes = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
        if self._settings.sender_id:
            attributes["AWS.SNS.SMS.SenderID"] = {"DataType": "String", "StringValue": self._settings.sender_id}
        told = self._asked(
            "publish",
            deadline,
            PhoneNumber=notification.address,
            Message=notification.short,
            MessageAttributes=attributes,
        )
        price = self._settings.price
        return Accepted(str(told["MessageId"]), price, self._settings.currency if price is not None else "", final=True)

    def examine(self, deadline: Deadline) -> str:
        told = self._asked("get_sms_attributes", deadline)["attributes"]
        limit = told.get("MonthlySpendLimit")
        return f"{self._region}, monthly limit {limit} USD" if limit else self._region

    @property
    def _region(self) -> str:
        return self._settings.region or "us-east-1"

    def _asked(self, operation: str, deadline: Deadline, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

        deadline.check()
        try:
            return getattr(self._connected(), operation)(**arguments)
        except ClientError as exc:
            raise self._meaning(exc.response) from None
        except EndpointConnectionError:
            raise Unavailable("no connection", kind="connection", code="connect", provider=self.name) from None
        except BotoCoreError as exc:
            # a time-out may come after SNS took the message, a wrong argument cannot; the SDK tells both by class
            if type(exc).__name__ in ("ParamValidationError", "NoCredentialsError", "PartialCredentialsError"):
                raise Rejected(
                    f"the call cannot be made ({type(exc).__name__})", kind="invalid_request", provider=self.name
                ) from None
            raise Unavailable(f"no answer ({type(exc).__name__})", kind="connection", provider=self.name) from None

    def _connected(self) -> BaseClient:
        """Its time-outs are the SDK's own; one try, because the outbox tries again."""
        with self._lock:
            if self._client is None:
                import boto3
                from botocore.config import Config

                settings = self._settings
                self._client = boto3.session.Session().client(
                    "sns",
                    region_name=self._region,
                    aws_access_key_id=wire.plain(settings.access_key),
                    aws_secret_access_key=wire.plain(settings.secret_key),
                    endpoint_url=settings.base_url or None,
                    config=Config(
                        connect_timeout=2,
                        read_timeout=settings.timeout,
                        retries={"total_max_attempts": 1, "mode": "standard"},
                        max_pool_connections=20,
                    ),
                )
            return self._client

    def _meaning(self, told: Any) -> Rejected | Throttled | Unavailable:
        code = str(told.get("Error", {}).get("Code", ""))
        status = told.get("ResponseMetadata", {}).get("HTTPStatusCode")
        words = f"SNS answered {status}, {code}"
        if code in _THROTTLED or status == 429:
            return Throttled(words, kind="rate_limit", provider=self.name, status=status, code=code)
        if code in _SERVER or (status or 0) >= 500:
            return Unavailable(words, kind="server", provider=self.name, status=status, code=code)
        kind = "auth" if code in _AUTH else "invalid_request"
        return Rejected(words, kind=kind, provider=self.name, status=status, code=code)
