"""WeCom against its emulator, with tokens, limits and uploads in a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import parse_qs

import pytest
import redis
from pydantic import SecretStr

from emulators.running import Emulator, running
from emulators.wecom.callbacks import App, Callback, build, verification
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, Rejected, SignatureInvalid, Throttled, Unavailable
from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import WeComSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms.base import Inbound
from mindbot_tasks.platforms.wecom import WeCom
from mindbot_tasks.platforms.wecom.sending import MEMBER_RATE, Sender
from mindbot_tasks.platforms.weixin import Client
from mindbot_tasks.stores import equal_sends, uploads
from mindbot_tasks.stores.limiter import Rate
from mindbot_tasks.stores.tokens import Tokens
from tests.platforms import weixin_vectors as vectors
from tests.platforms.wecom_calls import stored

APP = App(vectors.TOKEN, vectors.AES_KEY, vectors.CORPID)
SEND = "/cgi-bin/message/send"


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with running("wecom") as emulator:
        yield emulator


@pytest.fixture
def emulator(process: Emulator) -> Emulator:
    process.control.reset()
    return process


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


class InRedis:
    """`stores.uploads` on the Redis of this test."""

    def __init__(self, client: redis.Redis) -> None:
        self.find = partial(uploads.find, client=client)
        self.remember = partial(uploads.remember, client=client)


@pytest.fixture
def bot(emulator: Emulator, client: redis.Redis) -> WeCom:
    settings = WeComSettings(
        corpid=vectors.CORPID, secret=SecretStr("s"), token=SecretStr(vectors.TOKEN),
        encoding_aes_key=SecretStr(vectors.AES_KEY), api_base=emulator.url,
    )  # fmt: skip
    api = Client("wecom", corpid=vectors.CORPID, secret="s", api_base=emulator.url, http=Http(), tokens=Tokens(client))
    sender = Sender(
        settings, api, admit=partial(equal_sends.admit, client=client), uploads=InRedis(client),
        read_file=lambda file_id: stored(file_id, b"\x89PNG" + bytes(100), "a.png", "image/png"),
    )  # fmt: skip
    return WeCom("default", settings, api, sender)


def inbound(query: str, body: bytes = b"", method: str = "POST") -> Inbound:
    return Inbound(method, {}, {name: values[0] for name, values in parse_qs(query).items()}, body, now_ms())


def posted(**values: object) -> Inbound:
    made = build(Callback(**values), APP)  # type: ignore[arg-type]
    return inbound(made.query, made.body)


def outgoing(message: Message, part: Part, message_id: int = 1, number: int = 0) -> Outgoing:
    return Outgoing(
        message_id, "wecom", "default", message.conversation_id, "one_to_one", message.sender_id, message.address, part,
        number, 1, f"mindbot-{message_id}-{number}",
    )  # fmt: skip


def asked(bot: WeCom, user: str = "zhangsan") -> Message:
    call = posted(text="你好", user=user)
    bot.verify(call)
    (message,) = bot.parse(call)
    return message


def shown(emulator: Emulator) -> list[str]:
    return [call["text"] for call in emulator.control.calls(path=SEND, accepted=True)]


def test_there_and_back(emulator: Emulator, bot: WeCom) -> None:
    message = asked(bot)
    assert message.text == "你好"
    for number, part in enumerate(bot.render(Answer("**yes** " + "words. " * 500, provider="test"))):
        bot.send(outgoing(message, part, number=number), Deadline(60))
    calls = emulator.control.calls(path=SEND, accepted=True)
    assert len(calls) == 2
    assert all(call["reached"] == ["zhangsan"] and "cut_bytes" not in call for call in calls)
    assert emulator.control.call("GET", "/tokens") == {"fetches": 1}


@pytest.mark.parametrize("wrong", ["signature", "unsigned", "stale", "receiver", "padding", "no_xml", "bomb"])
def test_a_forged_call_is_refused(bot: WeCom, wrong: str) -> None:
    call = posted(wrong=wrong)

    def take() -> None:
        bot.verify(call)
        bot.parse(call)

    with pytest.raises((SignatureInvalid, PayloadInvalid)):
        take()


def test_the_address_is_verified(bot: WeCom) -> None:
    check = inbound(verification(APP, "4242"), method="GET")
    bot.verify(check)
    assert bot.acknowledge(check, []).body == b"4242"


def test_a_try_whose_answer_was_lost_is_repeated_and_shown_once(emulator: Emulator, bot: WeCom) -> None:
    message = asked(bot)
    emulator.control.fault("accept_then_cut", SEND)
    for part in (Part("text", "yes"), Part("image", "", {"file": 1})):
        piece = outgoing(message, part)
        if part.kind == "text":
            with pytest.raises(Unavailable):
                bot.send(piece, Deadline(60))
        bot.send(piece, Deadline(60))
        bot.send(piece, Deadline(60))
    assert [call["msgtype"] for call in emulator.control.calls(path=SEND, accepted=True)] == ["text", "image"]
    assert len(emulator.control.calls(path=SEND, duplicate=True)) == 3
    assert len(emulator.control.calls(path="/cgi-bin/media/upload")) == 1


def test_equal_answers_to_different_messages_all_show(emulator: Emulator, bot: WeCom) -> None:
    message = asked(bot)
    for message_id in (1, 2, 2, 3):
        bot.send(outgoing(message, Part("text", "yes"), message_id), Deadline(60))
    assert [text.rstrip("\u200b\u200c\u200d\u2060") for text in shown(emulator)] == ["yes"] * 3


@pytest.mark.parametrize("errcode", [40014, 42001])
def test_a_token_that_died_early_is_replaced(emulator: Emulator, bot: WeCom, errcode: int) -> None:
    message = asked(bot)
    bot.send(outgoing(message, Part("text", "one")), Deadline(60))
    emulator.control.call("POST", "/tokens/expire")
    emulator.control.call("POST", "/errcodes", {"path": "message/send", "errcode": errcode})
    bot.send(outgoing(message, Part("text", "two"), 2), Deadline(60))
    assert shown(emulator) == ["one", "two"]


def test_a_busy_moment_passes(emulator: Emulator, bot: WeCom) -> None:
    message = asked(bot)
    emulator.control.call("POST", "/errcodes", {"path": "message/send", "errcode": -1})
    with pytest.raises(Unavailable):
        bot.send(outgoing(message, Part("text", "one")), Deadline(60))
    bot.send(outgoing(message, Part("text", "one")), Deadline(60))
    assert shown(emulator) == ["one"]


def test_the_platform_never_drops_what_we_send_too_fast(emulator: Emulator, bot: WeCom) -> None:
    message = asked(bot, user="lisi")
    waits = []
    began_at_s = time.monotonic()
    for number in range(40):
        try:
            bot.send(outgoing(message, Part("text", f"{number}"), number + 1), Deadline(60))
        except Throttled as exc:
            waits.append(exc.retry_after_s)
    more = (time.monotonic() - began_at_s) * 1e6 / MEMBER_RATE.interval_us  # on a machine that takes seconds for this
    assert MEMBER_RATE.burst <= len(shown(emulator)) <= MEMBER_RATE.burst + more + 1
    assert len(shown(emulator)) + len(waits) == 40
    assert not [call for call in emulator.control.calls(path=SEND) if "dropped" in call]


def test_without_redis_a_piece_is_the_first_of_its_kind() -> None:
    dead = redis.Redis.from_url("redis://127.0.0.1:1/0")
    admitted = equal_sends.admit("a bucket without redis", Rate(1e6, 2), "c", "k", remembered_s=60, client=dead)
    assert admitted == (0.0, "k")
    assert uploads.find("x", client=dead) == ""
    uploads.remember("x", "y", keep_s=60, client=dead)


def test_members_have_the_name_of_the_address_book(emulator: Emulator, bot: WeCom, client: redis.Redis) -> None:
    emulator.control.call("POST", "/contacts", {"zhangsan": "张三"})
    book = Client("wecom", corpid=vectors.CORPID, secret="b", api_base=emulator.url, http=Http(), tokens=Tokens(client))
    bot._contacts = book
    assert bot.name_of("zhangsan", Deadline(60)) == "张三"
    with pytest.raises(Rejected):
        bot.name_of("nobody", Deadline(60))


def test_without_the_secret_of_the_address_book_nobody_is_asked(emulator: Emulator, bot: WeCom) -> None:
    assert bot.name_of("zhangsan", Deadline(60)) == ""
    assert emulator.control.calls(path="/cgi-bin/user/get") == []
