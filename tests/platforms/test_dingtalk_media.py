"""Files, cards with buttons and links on DingTalk: fetched, uploaded, sent, or said in words."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Unavailable
from mindbot_tasks.core.http import PUBLIC, Http
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.core.words import say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Part
from mindbot_tasks.platforms.base import HoldsMedia
from mindbot_tasks.platforms.dingtalk import DingTalk
from mindbot_tasks.platforms.dingtalk.client import Client
from mindbot_tasks.platforms.dingtalk.media import Files
from tests.platforms.test_dingtalk import NOW_MS, SECRET, PlainTokens, call, to_outgoing

UPLOAD, SESSION = "/media/upload", "/robot/sendBySession"
TO_PERSON, TO_GROUP = "/v1.0/robot/oToMessages/batchSend", "/v1.0/robot/groupMessages/send"
GROUP = {"conversationType": "2", "conversationId": "cidGROUP=="}
BUTTONS = [{"title": f"Button {n}", "url": f"https://example.com/{n}"} for n in range(1, 7)]


@dataclass(frozen=True)
class Kept:
    """A file of a store that is a dict."""

    content: bytes
    name: str
    media_type: str

    @property
    def size(self) -> int:
        return len(self.content)

    def chunks(self) -> Iterator[bytes]:
        yield self.content[:10]
        yield self.content[10:]


STORE = {
    1: Kept(b"\x89PNG picture" * 4, "chart.png", "image/png"),
    2: Kept(b"#!AMR speech" * 4, "", "audio/amr"),
    3: Kept(b"%PDF- paper" * 4, "报告 2026.pdf", "application/pdf"),
    4: Kept(b"ftypmp42" * 4, "clip.mp4", "video/mp4"),
    5: Kept(b"MZ program" * 4, "tool.exe", "application/x-dosexec"),
}


def read_file(file_id: int) -> Kept:
    if file_id not in STORE:
        raise Rejected("the file is gone", kind="not_found")
    return STORE[file_id]


def robot(url: str, **values: Any) -> DingTalk:
    settings = DingTalkSettings(
        client_id="dingapp0001", client_secret=SecretStr(SECRET), api_base=url, oapi_base=url, **values
    )
    tokens = PlainTokens()
    client = Client(settings, Http(), tokens)
    files = Files(settings, client, Http(), Http(PUBLIC), tokens)
    return DingTalk("default", settings, client, files=files, read_file=read_file, clock_ms=lambda: NOW_MS)


@pytest.fixture(scope="module")
def _process() -> Iterator[Emulator]:
    with running("dingtalk") as emulator:
        yield emulator


@pytest.fixture
def dingtalk(_process: Emulator) -> Emulator:
    _process.control.reset()
    _process.control.call("POST", "/sessions", {"session": "s1", "conversation": "cidAAAA=="})
    return _process


@pytest.fixture
def bot(dingtalk: Emulator) -> DingTalk:
    return robot(dingtalk.url)


def message(bot: DingTalk, dingtalk: Emulator, **changes: Any) -> Message:
    return bot.parse(call(**{"sessionWebhook": f"{dingtalk.url}/robot/sendBySession?session=s1", **changes}))[0]


def send(bot: DingTalk, dingtalk: Emulator, part: Part, **changes: Any) -> str:
    return bot.send(to_outgoing(message(bot, dingtalk, **changes), part, number=1), Deadline(60))


# in


def test_a_picture_is_fetched_by_its_download_code(bot: DingTalk, dingtalk: Emulator) -> None:
    content = base64.b64encode(b"GIF89a...").decode()
    dingtalk.control.call("POST", "/files", {"code": "dc1", "content": content, "media_type": "image/gif"})
    asked = message(bot, dingtalk, msgtype="picture", text=None, content={"downloadCode": "dc1"})
    assert isinstance(bot, HoldsMedia)
    with bot.open_media(asked.parts[0], asked.address, Deadline(60)) as media:
        assert b"".join(media.chunks) == b"GIF89a..."
        assert media.media_type == "image/gif"
    (fetched,) = [one for one in dingtalk.control.calls() if one["path"].startswith("/temporary/")]
    assert not fetched["with_token"], "a temporary address is of anybody"


def test_a_code_that_is_gone_is_a_no(bot: DingTalk, dingtalk: Emulator) -> None:
    asked = message(bot, dingtalk)
    for part in (Part("image", data={"download_code": "gone"}), Part("image")):
        with pytest.raises(Rejected), bot.open_media(part, asked.address, Deadline(60)):
            pass


ELSEWHERE = ["http://127.0.0.1:1/x", "http://169.254.169.254/x", "file:///etc/passwd", "x", 7, None]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_temporary_address_leads_nowhere_inside(bot: DingTalk, dingtalk: Emulator, url: object) -> None:
    dingtalk.control.fault("status", "/v1.0/robot/messageFiles/download", status=200, body={"downloadUrl": url})
    asked, picture = message(bot, dingtalk), Part("image", data={"download_code": "code-1"})
    with pytest.raises(FarSideError), bot.open_media(picture, asked.address, Deadline(60)):
        pass
    assert [one for one in dingtalk.control.calls() if one["path"].startswith("/temporary/")] == []


# out


def test_renders_words_first_and_files_after_them(bot: DingTalk) -> None:
    picture, paper = Part("image", data={"file": 1}), Part("file", data={"file": 3})
    link = Part("link", "docs", {"url": "https://example.com"})
    card = Part("card", "Choose", {"title": "Well?", "buttons": BUTTONS[:2]})
    pieces = bot.render(Answer("Here", provider="t", parts=(picture, link, card, paper)))
    assert [piece.kind for piece in pieces] == ["markdown", "image", "card", "file"]
    assert "[docs](https://example.com)" in pieces[0].text


@pytest.mark.parametrize("changes", [{}, GROUP])
@pytest.mark.parametrize(
    ("kind", "file_id", "key", "uploaded"),
    [
        ("image", 1, "sampleImageMsg", ["image"]),
        ("voice", 2, "sampleAudio", ["voice"]),
        ("file", 3, "sampleFile", ["file"]),
        ("video", 4, "sampleVideo", ["video", "image"]),
        ("file", 1, "", []),
    ],
)
def test_files_are_uploaded_and_sent_by_the_api(
    bot: DingTalk, dingtalk: Emulator, kind: Any, file_id: int, key: str, uploaded: list[str], changes: dict[str, Any]
) -> None:
    sent_id = send(bot, dingtalk, Part(kind, data={"file": file_id, "duration_ms": 2500}), **changes)
    uploads = dingtalk.control.calls(path=UPLOAD, accepted=True)
    assert [one["media_type"] for one in uploads] == uploaded
    if not key:  # a picture that was to be sent as a file, which DingTalk does not take
        assert dingtalk.control.calls(path=SESSION)[0]["text"] == say("dingtalk.not_sent", "zh", name="file")
        return
    assert uploads[0]["sha256"] == hashlib.sha256(STORE[file_id].content).hexdigest()
    (sent,) = dingtalk.control.calls(path=TO_GROUP if changes else TO_PERSON, accepted=True)
    assert sent["msg_key"] == key
    assert sent_id == sent["process_query_key"]


@pytest.mark.parametrize("file_id", [5, 99])
def test_what_cannot_be_sent_is_said(bot: DingTalk, dingtalk: Emulator, file_id: int) -> None:
    send(bot, dingtalk, Part("file", data={"file": file_id, "name": "tool.exe"}))
    (sent,) = dingtalk.control.calls(path=SESSION, accepted=True)
    assert sent["text"] == say("dingtalk.not_sent", "zh", name="tool.exe")
    send(bot, dingtalk, Part("file", data={"file": file_id, "name": "tool.exe", "url": "https://example.com/t"}))
    assert dingtalk.control.calls(path=SESSION, accepted=True)[1]["text"] == "[tool.exe](https://example.com/t)"


def test_people_outside_the_organisation_get_words_for_files(bot: DingTalk, dingtalk: Emulator) -> None:
    send(bot, dingtalk, Part("image", data={"file": 1}), senderStaffId=None)
    assert dingtalk.control.calls(path=UPLOAD) == []
    assert len(dingtalk.control.calls(path=SESSION, accepted=True)) == 1


def test_a_stale_legacy_token_is_replaced_once(bot: DingTalk, dingtalk: Emulator) -> None:
    send(bot, dingtalk, Part("image", data={"file": 1}))
    dingtalk.control.call("POST", "/tokens/expire")
    send(bot, dingtalk, Part("image", data={"file": 1}))
    assert [one["accepted"] for one in dingtalk.control.calls(path=UPLOAD)] == [True, False, True]


def test_an_upload_whose_answer_was_lost_is_safe_to_repeat(bot: DingTalk, dingtalk: Emulator) -> None:
    dingtalk.control.fault("accept_then_cut", UPLOAD)
    with pytest.raises(Unavailable) as raised:
        send(bot, dingtalk, Part("image", data={"file": 1}))
    assert raised.value.kind == "connection"


def test_a_send_whose_answer_was_lost_is_not(bot: DingTalk, dingtalk: Emulator) -> None:
    dingtalk.control.fault("accept_then_cut", TO_PERSON)
    with pytest.raises(Unavailable) as raised:
        send(bot, dingtalk, Part("image", data={"file": 1}))
    assert raised.value.kind == "ambiguous"


# cards with buttons, links


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("expired", [False, True])
def test_cards_with_buttons_go_both_ways(bot: DingTalk, dingtalk: Emulator, count: int, expired: bool) -> None:
    changes = {"sessionWebhookExpiredTime": NOW_MS} if expired else {}
    card = Part("card", "**Choose** one", {"title": "Well?", "buttons": BUTTONS[:count]})
    (piece,) = bot.render(Answer("", provider="t", parts=(card,)))
    send(bot, dingtalk, piece, **changes)
    (sent,) = dingtalk.control.calls(path=TO_PERSON if expired else SESSION, accepted=True)
    assert sent["text"] == "**Choose** one"
    if expired:
        assert sent["msg_key"] == "sampleActionCard" + (str(count) if count > 1 else "")
    else:
        assert sent["msgtype"] == "actionCard"


@pytest.mark.parametrize("buttons", [BUTTONS, [], None, [{"title": "x", "url": "javascript:alert(1)"}], [7]])
def test_cards_that_dingtalk_cannot_show_become_words(bot: DingTalk, buttons: Any) -> None:
    card = Part("card", "Choose one", {"title": "Well?", "buttons": buttons})
    (piece,) = bot.render(Answer("", provider="t", parts=(card,)))
    assert piece.kind == "markdown"
    assert "Choose one" in piece.text
    assert "javascript" not in piece.text
    for button in BUTTONS if buttons is BUTTONS else []:
        assert f"[{button['title']}]({button['url']})" in piece.text


@pytest.mark.parametrize("expired", [False, True])
def test_a_link_with_a_picture_is_a_message_of_its_own(bot: DingTalk, dingtalk: Emulator, expired: bool) -> None:
    about = {"title": "MindBot", "url": "https://example.com", "picture": "https://example.com/p.png"}
    (piece,) = bot.render(Answer("", provider="t", parts=(Part("link", "About it", about),)))
    send(bot, dingtalk, piece, **({"sessionWebhookExpiredTime": NOW_MS} if expired else {}))
    (sent,) = dingtalk.control.calls(path=TO_PERSON if expired else SESSION, accepted=True)
    assert sent["text"] == "About it"
    assert sent.get("msg_key", sent.get("msgtype")) == ("sampleLink" if expired else "link")


def test_without_a_file_store_files_are_words(dingtalk: Emulator) -> None:
    settings = DingTalkSettings(client_id="d", client_secret=SecretStr("s"))
    bot = DingTalk("default", settings, Client(settings, Http(), PlainTokens()))
    assert not bot.capabilities.files
    picture = Part("image", data={"file": 1, "url": "https://example.com/p.png", "name": "p"})
    (piece,) = bot.render(Answer("Here", provider="t", parts=(picture, replace(picture, kind="voice"))))
    assert piece.kind == "markdown"
    assert "![p](https://example.com/p.png)" in piece.text
