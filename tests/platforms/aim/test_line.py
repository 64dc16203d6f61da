"""The bridge: what comes in is recorded, what goes out is acknowledged, and one process has the account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.bridges import aim
from mindbot_tasks.bridges.aim_line import AimLine
from mindbot_tasks.bridges.mailbag import Mailbag
from mindbot_tasks.cli.doctor import vendors
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, Rejected, SignatureInvalid, Throttled, Unavailable
from mindbot_tasks.core.settings import AimSettings, Settings
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms.aim import Aim
from mindbot_tasks.platforms.aim.account import Timing
from mindbot_tasks.platforms.aim.payload import cookie_of
from mindbot_tasks.platforms.base import Examined, Inbound, Platform
from mindbot_tasks.platforms.queues import queue_of
from mindbot_tasks.stores.connections import Reporter
from mindbot_tasks.stores.holding import Holding
from mindbot_tasks.task import OUR_OWN_REFUSALS

SECRET = "open sesame"
TIMING = Timing(ack_s=60, patience_s=0.05, backoff_s=0.05, backoff_max_s=0.2, elsewhere_s=0.1)


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with running("oscar", "--account", f"Mind Bot={SECRET}") as emulator:
        yield emulator


@pytest.fixture
def oscar(process: Emulator) -> Iterator[Emulator]:
    process.control.reset()
    yield process
    process.control.reset()


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as found:
        yield found


@pytest.fixture
def settings(oscar: Emulator) -> AimSettings:
    port = oscar.control.call("GET", "/oscar")["port"]
    return AimSettings(username="mindbot", password=SecretStr(SECRET), server="127.0.0.1", port=port)


class Taken:
    """What would be in the ledger; away for the first `refusals` calls."""

    def __init__(self, refusals: int = 0) -> None:
        self.messages: list[Message] = []
        self.refusals = refusals

    def __call__(self, messages: Sequence[Message]) -> Callable[[], list[int]]:
        if self.refusals > 0:
            self.refusals -= 1
            raise DatabaseUnavailable("away")
        self.messages += messages
        return lambda: [1] * len(messages)


def until(true: Callable[[], object], what: str, within_s: float = 60) -> None:
    ends_at = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends_at, f"there is still no {what}"
        time.sleep(0.02)


@contextmanager
def holding(settings: AimSettings, client: Any, taken: Taken | None = None, **options: Any) -> Iterator[AimLine]:
    reporter = Reporter("aim", "default", publish=lambda *_, **__: False)  # there is no Redis to be told
    line = AimLine(
        "default", settings, record=taken or Taken(), holding=Holding("aim:default", lives_s=600, client=client),
        timing=options.pop("timing", TIMING), keep_every_s=0.1, reporter=reporter,
    )  # fmt: skip
    line.start()
    try:
        yield line
    finally:
        line.close()


def online(oscar: Emulator) -> bool:
    return bool(oscar.control.call("GET", "/oscar")["online"])


def can_send(line: AimLine) -> None:
    """Returns when it can: a little after the server takes it for online."""
    until(lambda: line._reporter.state == "online", "connection")


@pytest.fixture
def platform(settings: AimSettings) -> Platform:
    return Aim("default", settings)


@pytest.fixture
def outgoing() -> Outgoing:
    return Outgoing(
        message_id=1, platform="aim", bot="default", conversation_id="alice", conversation_kind="one_to_one",
        sender_id="alice", address={"screen_name": "Alice B"}, part=Part("text", "1 < 2\nyes"), number=0, total=1,
        key="mindbot-1-0",
    )  # fmt: skip


class TestTheLine:
    def test_what_comes_in_is_recorded_and_they_see_that_we_type(
        self, oscar: Emulator, settings: AimSettings, client: Any
    ) -> None:
        taken = Taken()
        with holding(settings, client, taken):
            until(lambda: online(oscar), "connection")
            told = oscar.control.call("POST", "/send", {"from": "Alice B", "to": "mindbot", "text": "hello"})
            until(lambda: taken.messages, "message")
            [message] = taken.messages
            assert (message.platform, message.bot, message.text) == ("aim", "default", "hello")
            assert (message.sender_id, message.sender_name) == ("aliceb", "Alice B")
            assert message.external_id.startswith(f"aliceb:{told['cookie']}:")
            [typed] = oscar.control.wait_for(event="typing")
            assert (typed["to"], typed["what"]) == ("Alice B", 2)

    def test_messages_wait_for_the_database(self, oscar: Emulator, settings: AimSettings, client: Any) -> None:
        taken = Taken(refusals=1)
        with holding(settings, client, taken):
            until(lambda: online(oscar), "connection")
            for text in ("one", "two"):
                oscar.control.call("POST", "/send", {"to": "mindbot", "text": text})
            until(lambda: len(taken.messages) == 2, "messages")
        assert [message.text for message in taken.messages] == ["one", "two"]

    def test_a_piece_goes_out_with_its_own_cookie_and_is_acknowledged(
        self, oscar: Emulator, settings: AimSettings, client: Any, platform: Platform, outgoing: Outgoing
    ) -> None:
        with holding(settings, client) as line:
            can_send(line)
            platform.send(outgoing, Deadline(60))
        (call,) = oscar.control.calls(path="/oscar/04/06")
        assert (call["to"], call["text"]) == ("Alice B", "<HTML><BODY>1 &lt; 2<BR>yes</BODY></HTML>")
        assert call["cookie"] == cookie_of(outgoing.key).hex()

    def test_who_is_not_there_is_a_final_no(
        self, oscar: Emulator, settings: AimSettings, client: Any, platform: Platform, outgoing: Outgoing
    ) -> None:
        oscar.control.call("POST", "/offline", {"names": ["Alice B"]})
        with holding(settings, client) as line:
            can_send(line)
            with pytest.raises(Rejected) as raised:
                platform.send(outgoing, Deadline(60))
            assert raised.value.kind == "not_found"

    def test_too_many_at_once_are_told_to_come_back(
        self, oscar: Emulator, settings: AimSettings, client: Any, platform: Platform, outgoing: Outgoing
    ) -> None:
        sent = 0
        with holding(settings, client) as line:
            can_send(line)
            with pytest.raises(Throttled) as raised:  # noqa: PT012 - the seventh at once; a slow machine may send more
                while sent < 60:
                    platform.send(replace(outgoing, key=f"mindbot-{sent}-0"), Deadline(60))
                    sent += 1
            assert raised.value.code == "our_limit"
        assert sent >= 6
        assert oscar.control.calls(event="dropped") == []

    def test_a_server_that_says_nothing_leaves_it_unclear(
        self, oscar: Emulator, settings: AimSettings, client: Any, platform: Platform, outgoing: Outgoing
    ) -> None:
        with holding(settings, client, timing=replace(TIMING, ack_s=0.3)) as line:
            can_send(line)
            oscar.control.call("POST", "/switches", {"ack": False})
            with pytest.raises(Unavailable) as raised:
                platform.send(outgoing, Deadline(60))
            assert raised.value.kind == "ambiguous"
            assert not platform.capabilities.idempotent_send

    def test_two_processes_do_not_throw_each_other_out(
        self, oscar: Emulator, settings: AimSettings, client: Any
    ) -> None:
        with holding(settings, client) as first:
            until(lambda: online(oscar), "connection")
            with holding(settings, client):
                time.sleep(0.4)
                assert len(oscar.control.calls(event="login")) == 1
                first.close()
                until(lambda: len(oscar.control.calls(event="login")) == 2 and online(oscar), "second connection")

    def test_who_has_lost_the_account_lets_go(self, oscar: Emulator, settings: AimSettings, client: Any) -> None:
        with holding(settings, client):
            until(lambda: online(oscar), "connection")
            client.set("mindbot:held:aim:default", "somebody else")
            until(lambda: not online(oscar), "end of the connection")
            client.delete("mindbot:held:aim:default")
            until(lambda: online(oscar), "connection once the other is gone")

    def test_a_stop_signs_off(self, oscar: Emulator, settings: AimSettings, client: Any) -> None:
        with holding(settings, client):
            until(lambda: online(oscar), "connection")
        assert oscar.control.wait_for(event="signed_off")
        assert client.get("mindbot:held:aim:default") is None
        assert oscar.control.call("GET", "/oscar")["complaints"] == []


class TestThePlatform:
    def test_nobody_calls_it(self, platform: Platform) -> None:
        with pytest.raises(SignatureInvalid):
            platform.verify(Inbound("POST", {}, {}, b"", 0))
        assert not platform.capabilities.called

    def test_a_process_without_the_connection_cannot_send(self, platform: Platform, outgoing: Outgoing) -> None:
        with pytest.raises(Unavailable) as raised:
            platform.send(outgoing, Deadline(60))
        assert raised.value.kind == "connection"
        assert raised.value.code in OUR_OWN_REFUSALS  # waiting for the connection uses up no retries

    def test_examining_logs_in_and_comes_not_online(self, platform: Platform, oscar: Emulator) -> None:
        assert isinstance(platform, Examined)
        assert "mindbot" in platform.examine(Deadline(60))
        assert [call["code"] for call in oscar.control.calls(event="login")] == [0]
        assert not online(oscar)

    def test_examining_tells_a_wrong_password(self, settings: AimSettings) -> None:
        with pytest.raises(Rejected) as raised:
            Aim("default", settings.model_copy(update={"password": SecretStr("nonsense")})).examine(Deadline(60))
        assert raised.value.kind == "auth"
        assert "nonsense" not in str(raised.value)

    @pytest.mark.parametrize(
        ("password", "level", "words"), [(SECRET, "ok", "mindbot at"), ("x", "fail", "wrong name")]
    )
    def test_the_doctor_tells_which_it_is(self, settings: AimSettings, password: str, level: str, words: str) -> None:
        bot = settings.model_copy(update={"password": SecretStr(password)})
        [found] = [one for one in vendors.look_at_vendors(Settings(aim={"default": bot})) if one.what == "aim"]
        assert found.level == level
        assert words in found.text.in_("en")

    def test_the_command_serves_the_queue_of_the_bot(self) -> None:
        command = aim.command("Mind Bot, the second")
        assert command[command.index("-Q") + 1] == queue_of("aim", "Mind Bot, the second")
        assert "," not in queue_of("aim", "a, b")
        assert "%" not in command[command.index("-n") + 1].removesuffix("@%h")


class TestMailbag:
    def test_holds_so_many_and_no_more(self) -> None:
        gate = threading.Event()
        seen: list[Message] = []

        def record(messages: Sequence[Message]) -> Callable[[], None]:
            gate.wait(60)
            seen.extend(messages)
            return lambda: None

        bag = Mailbag("x", record, most=2)
        bag.put(_message("1"))
        until(bag._queue.empty, "first one in hand")
        assert [bag.put(_message(name)) for name in "234"] == [True, True, False]
        gate.set()
        assert bag.close(60) == 0
        assert [message.text for message in seen] == ["1", "2", "3"]

    def test_one_that_cannot_be_recorded_does_not_stop_the_others(self) -> None:
        seen: list[Message] = []

        def record(messages: Sequence[Message]) -> Callable[[], None]:
            if messages[0].text == "bad":
                raise ValueError("a bug")
            seen.extend(messages)
            return lambda: None

        bag = Mailbag("x", record)
        bag.put(_message("bad"))
        bag.put(_message("good"))
        assert bag.close(60) == 0
        assert [message.text for message in seen] == ["good"]

    def test_tells_how_many_it_could_not_record(self) -> None:
        bag = Mailbag("x", Taken(refusals=1000), retry_s=0.01)
        bag.put(_message("1"))
        bag.put(_message("2"))
        assert bag.close(0.2) == 2
        bag._record_them = Taken()  # let the thread end

    def test_a_broker_that_hangs_keeps_no_message_from_the_ledger(self) -> None:
        broker = threading.Event()
        recorded: list[str] = []
        started: list[str] = []

        def record(messages: Sequence[Message]) -> Callable[[], None]:
            text = messages[0].text
            recorded.append(text)

            def start() -> None:
                broker.wait(60)
                started.append(text)

            return start

        bag = Mailbag("x", record)
        for text in ("1", "2", "3"):
            bag.put(_message(text))
        until(lambda: recorded == ["1", "2", "3"], "messages in the ledger")
        assert started == []
        broker.set()
        until(lambda: started == ["1", "2", "3"], "chains, in the order of the messages")
        assert bag.close(60) == 0


def _message(text: str) -> Message:
    return Message("aim", "default", text, "alice", "one_to_one", "alice", "alice", (Part("text", text),), {})
