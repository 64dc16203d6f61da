"""What every answerer that asks somebody else's server must do; a test file gives `far` and `answerer`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import (
    Cancelled,
    DeadlineExceeded,
    Draining,
    FarSideError,
    Rejected,
    RetryableError,
    Throttled,
    Unavailable,
)
from mindbot_tasks.llm.base import Answerer
from tests.llm.asking import nobody, question, stopping
from tests.slack import at_most


class AnswererContract:
    path = "*"  #: of the call that answers
    recovers: bool = False  #: it fetches an answer whose stream was cut, and need not ask again

    def test_answers_and_tells_how_the_answer_grows(self, far: Emulator, answerer: Answerer) -> None:
        far.control.fault("answer", self.path, text="one two 三 四 five", always=True)
        far.control.pace(tokens_per_second=30)
        seen: list[str] = []
        answer = answerer.answer(question(), Deadline(30), seen.append).answer
        assert answer.text == "one two 三 四 five" == seen[-1]
        assert len(seen) > 1
        assert all(later.startswith(earlier) for earlier, later in zip(seen, seen[1:], strict=False))  # noqa: RUF007
        assert answer.usage.output_tokens > 0
        assert answer.first_token_ms is not None
        assert answer.first_token_ms <= answer.latency_ms

    def test_asks_once(self, far: Emulator, answerer: Answerer) -> None:
        answerer.answer(question(), Deadline(30), nobody)
        assert len(far.control.calls()) == 1

    @pytest.mark.parametrize("fault", ["split_utf8", "crlf"])
    def test_the_cut_of_the_bytes_does_not_matter(self, far: Emulator, answerer: Answerer, fault: str) -> None:
        said = answerer.answer(question("早上好，世界 🌍"), Deadline(30), nobody).answer.text
        assert "早上好，世界 🌍" in said
        far.control.fault(fault, self.path)
        assert answerer.answer(question("早上好，世界 🌍"), Deadline(30), nobody).answer.text == said

    @pytest.mark.parametrize("what", ["unknown_event", "after_end", "content_type"])
    def test_oddities_are_overlooked(self, far: Emulator, answerer: Answerer, what: str) -> None:
        said = answerer.answer(question(), Deadline(30), nobody).answer.text
        far.control.fault("malformed", self.path, what=what)
        assert answerer.answer(question(), Deadline(30), nobody).answer.text == said

    @pytest.mark.parametrize(
        ("fault", "options", "error", "kind"),
        [
            ("status", {"status": 500}, Unavailable, "server"),
            ("status", {"status": 503, "body": "overloaded"}, Unavailable, "server"),
            ("status", {"status": 529}, Unavailable, "server"),
            ("status", {"status": 401}, Rejected, "auth"),
            ("status", {"status": 402}, Rejected, "quota"),
            ("throttle", {"retry_after": None}, Throttled, "rate_limit"),
            ("html", {"status": 502}, Unavailable, "server"),
            ("html", {"status": 429}, Throttled, "rate_limit"),
            ("malformed", {"what": "html"}, Unavailable, "protocol"),
            ("malformed", {"what": "json"}, Unavailable, "protocol"),
            ("malformed", {"what": "cut_event"}, Unavailable, "protocol"),
            ("malformed", {"what": "huge"}, Unavailable, "protocol"),
            ("malformed", {"what": "empty"}, Unavailable, "connection"),
            ("cut", {"after_events": 1}, Unavailable, "connection"),
            ("cut", {"after_events": 1, "clean": True}, Unavailable, "connection"),
            ("cut", {"after_events": 1, "reset": True}, Unavailable, "connection"),
            ("drop", {}, Unavailable, "connection"),
            ("drop", {"reset": True}, Unavailable, "connection"),
            ("accept_then_cut", {}, Unavailable, "connection"),
            ("answer", {"text": " "}, Unavailable, "content"),
        ],
    )
    def test_faults_have_a_name(
        self,
        far: Emulator,
        answerer: Answerer,
        fault: str,
        options: dict[str, Any],
        error: type[FarSideError],
        kind: str,
    ) -> None:
        far.control.fault(fault, self.path, **options)
        if self.recovers and (fault in ("cut", "accept_then_cut") or options.get("what") in ("html", "empty")):
            assert "the weather" in answerer.answer(question("the weather"), Deadline(30), nobody).answer.text
            assert len([call for call in far.control.calls() if call["path"] == self.path]) == 1
            return
        with pytest.raises(error) as caught:
            answerer.answer(question("the weather"), Deadline(30), nobody)
        assert caught.value.provider == answerer.name
        if fault != "malformed" or options["what"] != "html":
            assert caught.value.kind == kind
        assert "weather" not in str(caught.value)
        assert answerer.answer(question(), Deadline(30), nobody).answer.text  # and the next call is as good as ever

    def test_a_server_that_asks_to_wait_is_heard(self, far: Emulator, answerer: Answerer) -> None:
        far.control.fault("throttle", self.path, retry_after=7)
        with pytest.raises(Throttled) as caught:
            answerer.answer(question(), Deadline(30), nobody)
        assert caught.value.retry_after_s == 7

    @pytest.mark.parametrize(
        ("fault", "options"),
        [
            ("silence", {"seconds": 60}),
            ("silence", {"seconds": 60, "headers": True}),
            ("silence", {"seconds": 60, "ping": True, "ping_every_s": 0.2}),
            ("drip", {"bytes_per_s": 20}),
        ],
    )
    def test_the_deadline_holds(self, far: Emulator, answerer: Answerer, fault: str, options: dict[str, Any]) -> None:
        far.control.fault(fault, self.path, **options)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            answerer.answer(question(), Deadline(1), nobody)
        assert time.monotonic() - started < at_most(5)

    @pytest.mark.parametrize("exc", [Draining, Cancelled])
    @pytest.mark.parametrize("headers", [False, True])
    def test_a_stop_is_no_failure_and_is_noticed_in_silence(
        self, far: Emulator, answerer: Answerer, exc: type[Exception], headers: bool
    ) -> None:
        far.control.fault("silence", self.path, seconds=60, headers=headers)
        started = time.monotonic()
        with pytest.raises(exc):
            answerer.answer(question(), stopping(exc, 0.3), nobody)
        assert time.monotonic() - started < at_most(5)

    def test_a_text_of_two_megabytes_is_cut(self, far: Emulator, answerer: Answerer) -> None:
        far.control.fault("answer", self.path, text="many words ", repeat=20_000)
        try:
            answer = answerer.answer(question(), Deadline(60), nobody).answer
        except RetryableError as exc:
            assert exc.code == "too_big"  # noqa: PT017 - either is fine, what counts is that memory has a limit
        else:
            assert len(answer.text) <= 220_000
