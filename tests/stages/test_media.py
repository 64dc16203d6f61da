"""Files that come with messages, through the stages: fetched, kept, heard, seen, or honestly missed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event, select

from emulators.running import Emulator, running
from mindbot_tasks import intake
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Draining, Rejected, Unavailable
from mindbot_tasks.core.settings import (
    FilesSettings,
    ModelSettings,
    ProviderSettings,
    Settings,
    SpeechToTextSettings,
    WorkflowSettings,
)
from mindbot_tasks.core.words import say
from mindbot_tasks.llm.dify import modes
from mindbot_tasks.model.message import JSON, Part, Stage
from mindbot_tasks.platforms import fetching, registry
from mindbot_tasks.platforms.base import Media
from mindbot_tasks.stores import files
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import AnswerRow, FileRow, MessageRow
from tests.stages.conftest import Configure, Ledger
from tests.stages.stooge import Stooge
from tests.stores.files import PDF, PROGRAM, png, wav
from tests.stores.words import message

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY
PICTURE = Part("image", "", {"code": "p", "name": "cat.png"})


class Keeper(Stooge):
    """A platform whose messages bring files; `held` says what is behind a code."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, bytes | Exception | Callable[[], bytes]] = {"p": png(), "d": PDF, "v": wav(0.5)}
        self.opened: list[str] = []

    @contextmanager
    def open_media(self, part: Part, address: Mapping[str, JSON], deadline: Deadline) -> Iterator[Media]:
        deadline.check()
        code = str(part.data["code"])
        self.opened.append(code)
        found = self.held[code]
        if isinstance(found, Exception):
            raise found
        yield Media(iter([found() if callable(found) else found]), "from-header.bin")


@pytest.fixture
def stooge(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    it = Keeper()
    monkeypatch.setitem(registry.FACTORIES, "stooge", lambda bot, _settings: it if bot == "default" else None)
    return it


@pytest.fixture(scope="module")
def dify() -> Iterator[Emulator]:
    with running("dify", "--upload", "image") as emulator:
        yield emulator


@pytest.fixture
def model(configure: Configure, openai: Emulator) -> Callable[..., Settings]:
    def make(name: str = "test-vision", **changes: Any) -> Settings:
        provider = ProviderSettings(base_url=f"{openai.url}/v1", type="openai", models=[ModelSettings(name=name)])
        return configure(providers={"m": provider}, **changes)

    return make


def speech(openai: Emulator) -> SpeechToTextSettings:
    return SpeechToTextSettings(base_url=f"{openai.url}/v1", model="whisper", api_key=SecretStr("key"))


def receive(ledger: Ledger, *parts: Part, text: str = "", **fields: Any) -> int:
    words = (Part("text", text),) if text else ()
    return intake.receive([replace(message(platform="stooge", **fields), parts=(*words, *parts))])[0]


def parts_of(ledger: Ledger, message_id: int) -> Any:
    with reading() as connection:
        return connection.execute(select(MessageRow.parts).where(MessageRow.id == message_id)).scalar_one()


def rows() -> int:
    with reading() as connection:
        return len(list(connection.execute(select(FileRow.id))))


def test_a_picture_is_kept_and_shown_to_a_model_that_sees(
    ledger: Ledger, stooge: Keeper, model: Callable[..., Settings], openai: Emulator
) -> None:
    model()
    one = receive(ledger, PICTURE, text="what is this?")
    assert ledger.run(one, C, G, R) == "SUCCESS"
    data = parts_of(ledger, one)[1]["data"]
    assert (data["media_type"], data["size"], data["name"], data["code"]) == ("image/png", len(png()), "cat.png", "p")
    assert files.find(data["file"]).read() == png()
    (asked,) = openai.control.calls(path="/v1/chat/completions")
    assert (asked["pictures"], asked["text"]) == ([len(png())], "what is this?")
    assert stooge.shown == ["I see 1 picture(s). You said: what is this?"]


def test_a_picture_without_words_is_enough_for_a_model_that_sees(
    ledger: Ledger, stooge: Keeper, model: Callable[..., Settings]
) -> None:
    model()
    ledger.run(receive(ledger, PICTURE), C, G, R)
    assert stooge.shown == ["I see 1 picture(s). You said: (The user sent this without any words.)"]


@pytest.mark.parametrize("name", ["plain-text-model", "blind-vision"])
def test_a_model_that_does_not_see_is_told_so(
    ledger: Ledger, stooge: Keeper, model: Callable[..., Settings], name: str
) -> None:
    """The second one was taken for one that sees, and refuses."""
    model(name)
    ledger.run(receive(ledger, PICTURE, Part("file", "", {"code": "d"}), text="well?"), C, G, R)
    said = stooge.shown[0] + "".join(stooge.shown[1:])
    assert said.startswith("You said: well?")
    assert "cat.png. You cannot see it" in said
    assert "from-header.bin. You cannot read it" in said


def test_nobody_is_asked_when_nobody_can_look(
    ledger: Ledger, stooge: Keeper, model: Callable[..., Settings], openai: Emulator
) -> None:
    model("plain-text-model")
    ledger.run(receive(ledger, PICTURE), C, G, R)
    assert stooge.shown == ["I cannot see pictures here. Please write your question."]
    assert openai.control.calls() == []


def test_speech_becomes_words_before_it_is_classified(
    ledger: Ledger, stooge: Keeper, model: Callable[..., Settings], openai: Emulator
) -> None:
    model(
        speech_to_text=speech(openai),
        workflows={"sound": WorkflowSettings(task_patterns=["recording of"], dify_api_key=None)},
    )
    one = receive(ledger, Part("voice", "", {"code": "v"}))
    assert ledger.run(one, C) == "SUCCESS"
    told = ledger.told(one).message
    assert (told["text"], told["label"]) == ("a recording of 0.5 seconds", "sound")
    assert parts_of(ledger, one)[0]["data"]["recognised"] is True
    ledger.run(one, G, R)
    assert stooge.shown == ["You said: a recording of 0.5 seconds"]


def test_speech_that_the_platform_recognised_is_not_fetched(ledger: Ledger, stooge: Keeper, openai: Emulator) -> None:
    ledger.run(receive(ledger, Part("voice", "good morning", {"code": "v"})), C)
    assert stooge.opened == []


@pytest.mark.parametrize(
    ("with_speech", "fault", "told"),
    [
        (False, {}, "I cannot listen to voice messages here."),
        (True, {"action": "status", "status": 400}, "I could not read from-header.bin: the speech could not be"),
        (True, {"action": "answer", "text": " "}, "I could not read from-header.bin: I could not hear any words in it"),
    ],
)
def test_speech_that_nobody_understands_is_answered_clearly(
    ledger: Ledger,
    stooge: Keeper,
    model: Callable[..., Settings],
    openai: Emulator,
    with_speech: bool,
    fault: dict[str, Any],
    told: str,
) -> None:
    model(speech_to_text=speech(openai) if with_speech else None)
    if fault:
        openai.control.fault(path="/v1/audio/transcriptions", **fault)
    one = receive(ledger, Part("voice", "", {"code": "v"}))
    assert ledger.run(one, C, G, R) == "SUCCESS"
    assert told in stooge.shown[0]
    assert "Please write" in stooge.shown[0]


def test_a_recogniser_that_is_down_is_tried_again_with_the_stored_file(
    ledger: Ledger, stooge: Keeper, model: Callable[..., Settings], openai: Emulator
) -> None:
    model(speech_to_text=speech(openai))
    openai.control.fault("status", "/v1/audio/transcriptions", status=503)
    one = receive(ledger, Part("voice", "", {"code": "v"}))
    assert ledger.run(one, C) == "RETRY"
    ledger.awaken(one)
    assert ledger.run(one, C) == "SUCCESS"
    assert ledger.told(one).message["text"] == "a recording of 0.5 seconds"
    assert stooge.opened == ["v"]
    assert rows() == 1


def test_a_file_that_cannot_be_had_is_named_in_the_answer(ledger: Ledger, stooge: Keeper) -> None:
    stooge.held |= {"gone": Rejected("no", kind="expired"), "bad": PROGRAM}
    one = receive(
        ledger,
        Part("file", "", {"code": "bad", "name": "tool.pdf"}),
        Part("image", "", {"code": "gone"}),
        PICTURE,
        text="2+2",
    )
    assert ledger.run(one, C, G, R) == "SUCCESS"
    said = "\n".join(stooge.shown)
    assert "tool.pdf: files of this type are not accepted" in said
    assert "your picture: it is no longer there" in said
    assert [part["data"].get("unavailable") for part in parts_of(ledger, one)] == [None, "type", "gone", None]
    assert rows() == 1


def test_what_is_unreachable_is_tried_again_and_then_done_without(ledger: Ledger, stooge: Keeper) -> None:
    stooge.held["p"] = Unavailable("away")
    one = receive(ledger, PICTURE, Part("file", "", {"code": "d"}), text="hello")
    for _ in range(3):
        assert ledger.run(one, C) == "RETRY"
        ledger.awaken(one)
    assert ledger.run(one, C) == "SUCCESS"
    assert stooge.opened == ["p", "d", "p", "p", "p"]  # what was fetched is not fetched again
    assert parts_of(ledger, one)[1]["data"]["unavailable"] == "unreachable"
    assert "file" in parts_of(ledger, one)[2]["data"]


def test_with_half_of_the_time_gone_there_is_no_more_waiting(ledger: Ledger, stooge: Keeper) -> None:
    stooge.held["p"] = Unavailable("away")
    one = receive(ledger, PICTURE, text="hello")
    ledger.change(one, deadline_at=ledger.told(one).message["deadline_at"] - 320_000)
    assert ledger.run(one, C) == "SUCCESS"
    assert parts_of(ledger, one)[1]["data"]["unavailable"] == "unreachable"


def test_a_stopping_worker_hands_a_fetch_over(ledger: Ledger, stooge: Keeper) -> None:
    stooge.held["p"] = Draining("stopping")
    one = receive(ledger, PICTURE)
    assert ledger.run(one, C) == "IGNORED"
    assert ledger.state(one) == "received"


def test_a_worker_that_died_after_storing_leaves_no_second_copy(ledger: Ledger, stooge: Keeper) -> None:
    one = receive(ledger, PICTURE, text="hi")
    stored = files.save([png()], message_id=one, part=1, name="cat.png")
    ledger.change(one, strikes=1, attempt=1)
    assert ledger.run(one, C) == "SUCCESS"
    assert parts_of(ledger, one)[1]["data"]["file"] == stored.file_id
    assert stooge.opened == []


def test_a_message_with_too_many_files_keeps_the_first(ledger: Ledger, stooge: Keeper) -> None:
    one = receive(ledger, *[PICTURE] * (fetching.MOST_FILES + 1))
    ledger.run(one, C)
    marks = [part["data"].get("unavailable") for part in parts_of(ledger, one)]
    assert marks == [None] * fetching.MOST_FILES + ["too_many"]


def test_a_full_store_is_tried_again(ledger: Ledger, stooge: Keeper, configure: Configure) -> None:
    configure(files=FilesSettings(path="/dev/full/files"))
    one = receive(ledger, PICTURE)
    assert ledger.run(one, C) == "RETRY"


def test_a_text_costs_no_more_statements_and_a_file_only_its_row(ledger: Ledger, stooge: Keeper) -> None:
    counted: list[str] = []
    here = threading.current_thread()  # the worker's pulse has statements of its own

    def count(*given: Any) -> None:
        if threading.current_thread() is here:
            counted.append(given[2])

    event.listen(ledger.engine, "before_cursor_execute", count)
    for parts, most in (((), 2), ((PICTURE,), 3)):
        one = receive(ledger, *parts, text="hello", conversation=f"c{most}")
        counted.clear()
        ledger.run(one, C)
        ours = [line for line in counted if "messages" in line or "files" in line]
        assert len(ours) == most


def test_dify_gets_the_pictures_it_wants_and_its_own_are_sent_on(
    ledger: Ledger, stooge: Keeper, configure: Configure, dify: Emulator
) -> None:
    modes.forget()
    dify.control.reset()
    configure(
        workflows={"general_chat": WorkflowSettings(dify_endpoint=f"{dify.url}/v1", dify_api_key=SecretStr("app-chat"))}
    )
    one = receive(ledger, PICTURE, Part("file", "", {"code": "d", "name": "r.pdf"}), text="draw this")
    assert ledger.run(one, C, G) == "SUCCESS"
    (asked,) = dify.control.calls(path="/v1/chat-messages")
    assert asked["files"] == ["image"]
    assert "r.pdf. You cannot read it" in asked["text"]
    assert "cat.png" not in asked["text"]
    with reading() as connection:
        (part,) = connection.execute(select(AnswerRow.parts).where(AnswerRow.message_id == one)).scalar_one()
    assert (part["kind"], part["data"]["media_type"]) == ("image", "image/png")
    assert part["data"]["url"].startswith(f"{dify.url}/files/tools/")
    assert files.find(part["data"]["file"]).size > 0


def test_the_words_for_a_model_are_in_the_language_of_the_message() -> None:
    assert "图片 x" in say("attachments.for_model_image", "zh", name="x")
