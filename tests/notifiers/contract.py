"""What every notifier that speaks HTTP must do with the answers a vendor can give."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DeadlineExceeded, Rejected, Throttled, Unavailable
from mindbot_tasks.notifiers.base import Notifier
from tests.notifiers.conftest import notification


class NotifierContract(ABC):
    """Subclasses give `vendor` and `notifier`."""

    refused_status = 400

    @pytest.fixture
    @abstractmethod
    def vendor(self) -> Emulator: ...

    @pytest.fixture
    @abstractmethod
    def notifier(self, vendor: Emulator) -> Notifier: ...

    def test_a_message_is_taken_once(self, vendor: Emulator, notifier: Notifier) -> None:
        told = notifier.send(notification(), Deadline(60))
        assert told.provider_message_id
        assert len(vendor.control.calls(accepted=True)) == 1

    def test_429_says_how_long_to_wait(self, vendor: Emulator, notifier: Notifier) -> None:
        vendor.control.fault("throttle", retry_after=7)
        with pytest.raises(Throttled) as raised:
            notifier.send(notification(), Deadline(60))
        assert raised.value.retry_after_s == 7
        assert len(vendor.control.calls()) == 1, "the outbox tries again, not the notifier"

    @pytest.mark.parametrize("status", [500, 503])
    def test_server_errors_may_go_away(self, vendor: Emulator, notifier: Notifier, status: int) -> None:
        vendor.control.fault("status", status=status)
        with pytest.raises(Unavailable):
            notifier.send(notification(), Deadline(60))
        assert len(vendor.control.calls()) == 1

    def test_a_gateways_page_is_no_success(self, vendor: Emulator, notifier: Notifier) -> None:
        vendor.control.fault("html", status=502)
        with pytest.raises(Unavailable):
            notifier.send(notification(), Deadline(60))

    def test_a_refusal_is_final_and_shows_no_secret(self, vendor: Emulator, notifier: Notifier) -> None:
        vendor.control.fault("status", status=self.refused_status, body={"code": 20003, "message": "no"})
        with pytest.raises(Rejected) as raised:
            notifier.send(notification(), Deadline(60))
        assert raised.value.provider == notifier.name
        assert "15551230000" not in str(raised.value)

    def test_a_vendor_that_hangs_costs_no_more_than_the_deadline(self, vendor: Emulator, notifier: Notifier) -> None:
        vendor.control.fault("silence", seconds=20)
        with pytest.raises((Unavailable, DeadlineExceeded)) as raised:
            notifier.send(notification(), Deadline(0.5))
        assert raised.value.code not in ("connect", "tls"), "it may have gone out"

    def test_nobody_there_means_nothing_was_sent(self, notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
        elsewhere = self.elsewhere()
        with pytest.raises(Unavailable) as raised:
            elsewhere.send(notification(), Deadline(60))
        assert raised.value.code == "connect"

    @abstractmethod
    def elsewhere(self) -> Notifier:
        """The same notifier, of an address where nobody listens."""
