"""The adapter of customer service against the emulator: what a customer sees, whatever is repeated."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator

import pytest

from emulators.running import Emulator, running
from emulators.wecom.callbacks import App
from emulators.wecom.kf_bell import KfCustomers
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import WeComCsSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.model.news import Occurrence
from mindbot_tasks.platforms.base import Capabilities
from mindbot_tasks.platforms.wecomcs import WeComCs
from mindbot_tasks.platforms.wecomcs.client import KfClient
from mindbot_tasks.platforms.weixin import Client
from tests.platforms import weixin_vectors as vectors

JPEG = b"\xff\xd8\xff and so on"
SEND = "/cgi-bin/kf/send_msg"


class KeptTokens:
    def __init__(self) -> None:
        self.kept: str = ""

    def get(self, name: str, fetch: object) -> str:
        self.kept = self.kept or fetch()[0]  # type: ignore[operator]
        return self.kept

    def drop(self, name: str, used: str) -> None:
        self.kept = ""


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with running("wecom") as emulator:
        yield emulator


@pytest.fixture
def people(process: Emulator) -> Iterator[KfCustomers]:
    process.control.reset()
    it = KfCustomers("http://127.0.0.1:9", process.url, App("t", vectors.AES_KEY, vectors.CORPID))
    yield it
    it.close()


@pytest.fixture
def platform(process: Emulator) -> WeComCs:
    settings = WeComCsSettings.model_validate(
        {"corpid": vectors.CORPID, "secret": "s", "token": "t", "encoding_aes_key": vectors.AES_KEY,
         "api_base": process.url, "servicer_userids": ["ann"]}
    )  # fmt: skip
    client = Client("wecomcs", corpid="ww", secret="s", api_base=process.url, http=Http(), tokens=KeptTokens())
    return WeComCs("default", settings, KfClient(client))


def read_all(platform: WeComCs, cursor: str = "") -> list[Message | Occurrence]:
    found: list[Message | Occurrence] = []
    while True:
        page = platform.pull("wk1", cursor, "", Deadline(60))
        found += page.items
        cursor = page.cursor
        if not page.more:
            return found


def answer_to(message: object, part: Part | None = None, number: int = 0) -> Outgoing:
    assert isinstance(message, Message)
    return Outgoing(
        1, "wecomcs", "default", message.conversation_id, "one_to_one", message.sender_id, message.address,
        part or Part("text", "an answer"), number, 1, f"mindbot-1-{number}",
    )  # fmt: skip


def test_every_item_of_every_page_comes_in_order_also_after_empty_ones(platform: WeComCs, people: KfCustomers) -> None:
    people.control.call("POST", "/kf/set", {"empty_pages": True})
    sent = [people.says("wk1", "wm1", f"number {n}", bell="lost") for n in range(5)]
    sent.append(people.enters("wk1", "wm2", bell="lost"))
    assert [item.external_id for item in read_all(platform)] == sent


def test_a_send_whose_answer_was_lost_is_repeated_and_seen_once(platform: WeComCs, people: KfCustomers) -> None:
    people.says("wk1", "wm1", "hello", bell="lost")
    outgoing = answer_to(read_all(platform)[0])
    people.control.fault("accept_then_cut", SEND)
    with pytest.raises(Unavailable):
        platform.send(outgoing, Deadline(60))
    assert people.shown("wm1") == ["an answer"], "it was taken"
    first = platform.send(outgoing, Deadline(60))
    assert platform.send(outgoing, Deadline(60)) == first
    assert people.shown("wm1") == ["an answer"]


def test_an_answer_of_any_length_is_let_through_with_room_for_one_more(platform: WeComCs, people: KfCustomers) -> None:
    people.says("wk1", "wm1", "hello", bell="lost")
    message = read_all(platform)[0]
    for number, part in enumerate(platform.render(Answer("好的，我来解释。" * 3000, provider="test"))):
        platform.send(answer_to(message, part, number), Deadline(60))
    platform.send(answer_to(message, Part("text", "one more"), 4), Deadline(60))
    with pytest.raises(Rejected) as raised:
        platform.send(answer_to(message, Part("text", "too much"), 5), Deadline(60))
    assert raised.value.kind == "quota"
    assert len(people.shown("wm1")) == 5


def test_two_days_later_nothing_is_let_through(platform: WeComCs, people: KfCustomers) -> None:
    people.says("wk1", "wm1", "hello", bell="lost")
    message = read_all(platform)[0]
    people.control.call("POST", "/clock", {"advance_s": 2 * 86_400 + 1})
    with pytest.raises(Rejected) as raised:
        platform.send(answer_to(message), Deadline(60))
    people.control.call("POST", "/clock", {"advance_s": -2 * 86_400 - 1})
    assert raised.value.kind == "expired"


def test_while_a_person_has_the_conversation_the_bot_cannot_get_in(platform: WeComCs, people: KfCustomers) -> None:
    people.says("wk1", "wm1", "hello", bell="lost")
    people.agent("wk1", "wm1", "take", bell="lost")
    message, taken = read_all(platform)
    assert isinstance(taken, Occurrence)
    assert taken.with_human
    for outgoing in (answer_to(message), dataclasses.replace(answer_to(message), number=1)):
        with pytest.raises(Rejected) as raised:
            platform.send(outgoing, Deadline(60))
        assert raised.value.kind == "with_person"
    assert people.shown("wm1") == []


@pytest.mark.parametrize(("on_duty", "state"), [({"ann": True}, 3), ({"ann": False}, 2), ({}, 2)])
def test_a_conversation_is_handed_over_once(
    platform: WeComCs, people: KfCustomers, on_duty: dict[str, bool], state: int
) -> None:
    people.control.call("POST", "/kf/set", {"servicers": on_duty})
    people.says("wk1", "wm1", "转人工", bell="lost")
    message = read_all(platform)[0]
    platform.send(answer_to(message), Deadline(60))
    for _ in range(2):
        assert platform.hand_over(answer_to(message, Part("transfer"), 1), Deadline(60))
    session = people.control.call("POST", "/kf/session", {"open_kfid": "wk1", "external_userid": "wm1"})
    assert session["state"] == state


def test_who_has_the_conversation_is_known_also_when_nobody_tells(platform: WeComCs, people: KfCustomers) -> None:
    people.says("wk1", "wm1", "hello", bell="lost")
    assert not platform.has_person("wk1:wm1", Deadline(60))
    people.agent("wk1", "wm1", "take", bell="lost")
    assert platform.has_person("wk1:wm1", Deadline(60))
    people.agent("wk1", "wm1", "end", bell="lost")
    assert platform.has_person("wk1:wm1", Deadline(60)), "what he wrote was to the person"
    people.says("wk1", "wm1", "hello again", bell="lost")
    assert not platform.has_person("wk1:wm1", Deadline(60))


def test_one_call_of_the_emulator_writes_and_rings(people: KfCustomers) -> None:
    values = {"url": "http://127.0.0.1:9", "token": "t", "encoding_aes_key": vectors.AES_KEY, "corpid": "ww",
              "open_kfid": "wk1", "external_userid": "wm1", "content": "hello"}  # fmt: skip
    assert people.control.call("POST", "/kf/send", values)["status"] == 0, "nobody listens there"


def test_a_welcome_is_said_once(platform: WeComCs, people: KfCustomers) -> None:
    people.enters("wk1", "wm1", bell="lost")
    (entered,) = read_all(platform)
    assert isinstance(entered, Occurrence)
    for _ in range(2):
        platform.react(entered, Deadline(60))
    assert len(people.shown("wm1")) == 1


def test_a_file_of_a_customer_can_be_fetched(platform: WeComCs, people: KfCustomers) -> None:
    picture = {"base64": base64.b64encode(JPEG).decode(), "name": "cat.jpg", "media_type": "image/jpeg"}
    kept = people.control.call("POST", "/media", picture)
    people.says("wk1", "wm1", {"media_id": kept["media_id"]}, bell="lost", msgtype="image")
    message = read_all(platform)[0]
    assert isinstance(message, Message)
    with platform.open_media(message.parts[0], message.address, Deadline(60)) as media:
        assert b"".join(media.chunks) == JPEG
    with pytest.raises(Rejected), platform.open_media(Part("image", data={"media_id": "x"}), {}, Deadline(60)):
        pass


class Kept:
    """A file as the store has it."""

    size, media_type, name = len(JPEG), "image/jpeg", "cat.jpg"

    def read(self) -> bytes:
        return JPEG


def test_a_picture_goes_out_as_a_picture_and_what_is_not_taken_as_its_name(
    platform: WeComCs, people: KfCustomers
) -> None:
    kept = Kept()
    platform._read_file = lambda file_id: kept  # type: ignore[assignment, return-value]
    platform.capabilities = Capabilities(idempotent_send=True, images=True, files=True)
    people.says("wk1", "wm1", "show me a cat", bell="lost")
    message = read_all(platform)[0]
    cat = Part("image", data={"file": 1, "name": "cat.jpg"})
    answer = Answer("Here: " + "a cat. " * 2000, provider="test", parts=(cat, cat, Part("transfer")))
    parts = platform.render(answer)
    assert [part.kind for part in parts] == ["text", "text", "image", "image", "transfer"]
    platform.send(answer_to(message, parts[2], 2), Deadline(60))
    shown = people.control.call("POST", "/kf/shown", {"external_userid": "wm1"})
    assert [one["msgtype"] for one in shown] == ["image"]
    kept.size = 1
    platform.send(answer_to(message, parts[3], 3), Deadline(60))
    assert people.shown("wm1")[-1] == "[cat.jpg]"


def test_a_token_that_died_is_replaced(platform: WeComCs, people: KfCustomers) -> None:
    assert platform.examine(Deadline(60)) == "kf/account/list: 0"
    people.control.call("POST", "/tokens/expire")
    assert platform.examine(Deadline(60)) == "kf/account/list: 0"


def test_customers_are_known_by_their_nickname(platform: WeComCs, people: KfCustomers) -> None:
    assert platform.name_of("wm7", Deadline(60)) == "Customer wm7"
