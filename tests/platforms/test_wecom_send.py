"""What goes out to WeCom: pieces within the limits, sends that show once, files."""

from __future__ import annotations

from typing import Any

import grapheme
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Outgoing, Part, PartKind
from mindbot_tasks.platforms.base import WritesFirst
from mindbot_tasks.platforms.wecom import WeCom
from mindbot_tasks.platforms.wecom.pieces import MAX_BYTES, MAX_PIECES, marked
from mindbot_tasks.platforms.wecom.sending import MEMBER_RATE
from mindbot_tasks.platforms.weixin import words
from mindbot_tasks.platforms.weixin.uploading import upload_kind
from mindbot_tasks.stores.limiter import LocalLimits
from tests.platforms.far_side import FarSide, Say
from tests.platforms.wecom_calls import Memory, wecom

LONG = st.text(st.sampled_from("字e\u0301👩‍👩‍👧🇨🇳 。.!?\n*a1"), max_size=60).flatmap(
    lambda text: st.integers(1, 300).map(lambda times: text * times)
)


def send(bot: WeCom, part: Part | None = None, message_id: int = 1, number: int = 0, **address: Any) -> str:
    where = {"user_id": "ZhangSan", "agent_id": 1_000_002, **address}
    key = f"mindbot-{message_id}-{number}"
    piece = part or Part("text", "hi")
    outgoing = Outgoing(
        message_id, "wecom", "default", "ZhangSan", "one_to_one", "ZhangSan", where, piece, number, 1, key
    )
    return bot.send(outgoing, Deadline(60))


def render(text: str = "", *, markdown: bool = False, parts: tuple[Part, ...] = (), files: bool = False) -> list[Part]:
    bot = wecom(markdown=markdown, files={1: (b"", "", "")} if files else None)
    return bot.render(Answer(text, provider="test", parts=parts))


# pieces


@given(LONG, st.booleans())
def test_no_piece_is_longer_than_the_limit_even_with_a_mark(text: str, markdown: bool) -> None:
    pieces = render(text, markdown=markdown)
    assert len(pieces) <= MAX_PIECES
    for piece in pieces:
        assert piece.text.strip()
        shown = marked(piece.kind, {"content": piece.text}, "mindbot-1-0")["content"]
        assert len(shown.encode()) <= MAX_BYTES


@given(st.text(st.sampled_from("字e\u0301👩‍👩‍👧 。a"), min_size=1, max_size=40), st.integers(1, 60))
def test_pieces_joined_are_the_text_and_part_no_character(text: str, times: int) -> None:
    whole = (text * times).strip()
    pieces = [piece.text for piece in render(whole)]
    if len(pieces) < MAX_PIECES:
        assert "".join(pieces) == whole
        if len(whole.encode()) < 6000:
            assert sum(grapheme.length(piece) for piece in pieces) == grapheme.length(whole)


def test_a_text_is_cut_where_a_sentence_ends() -> None:
    sentence = "这是一个比较长的句子，用来看看在哪里断开。"
    pieces = [piece.text for piece in render(sentence * 60)]
    assert len(pieces) == 2
    assert all(piece.endswith("。") for piece in pieces)


def test_what_does_not_fit_into_five_pieces_is_left_out_and_that_is_said() -> None:
    pieces = render("字。" * 10_000)
    assert len(pieces) == MAX_PIECES
    assert pieces[-1].text.endswith("\n[…]")
    assert "[…]" not in pieces[-2].text


MARKDOWN = """# Title

Some **bold**, *slanted* and `code`; a [link](https://x.example/a).

- one
- two **2**
  1. deep

> quoted

| a | b |
|---|---|
| 1 | **2** |

```python
print("*")
```"""


def test_markdown_becomes_plain_words() -> None:
    assert words.plain(MARKDOWN) == (
        "Title\n\nSome bold, slanted and code; a link: https://x.example/a .\n\n"
        "- one\n- two 2\n  1. deep\n\n> quoted\n\n"
        '- a: b\n- 1: 2\n\nprint("*")'
    )


def test_markdown_becomes_the_subset_that_wecom_shows() -> None:
    assert words.subset(MARKDOWN) == (
        "# Title\n\nSome **bold**, slanted and `code`; a [link](https://x.example/a).\n\n"
        '- one\n- two **2**\n  1. deep\n\n> quoted\n\n- a: b\n- 1: **2**\n\nprint("*")'
    )


@pytest.mark.parametrize("text", ["plain", "two\nlines\n\nand more", "2 * 3 * 4 = 24", "snake_case_name", "[a]: b"])
def test_what_is_no_markdown_stays_as_it_is(text: str) -> None:
    assert words.plain(text) == text


@given(st.text(st.sampled_from("*_`#[]()<>|~\\&-=+1. \n\tab"), max_size=80))
def test_any_markdown_has_words_if_it_had_any(text: str) -> None:
    assert bool(words.plain(text).strip()) == bool(words.subset(text).strip()) == bool(text.strip())


def test_a_link_in_an_answer_becomes_an_article_and_a_picture_without_bytes_an_address() -> None:
    link = Part("link", "The [manual]", {"url": "https://m.example/", "description": "d" * 600})
    picture = Part("image", "", {"url": "https://p.example/1.png", "name": "plan"})
    text, news = render("see", parts=(link, picture))
    assert text.text == "see\n\nplan: https://p.example/1.png"
    assert (news.kind, news.data["url"]) == ("link", "https://m.example/")


def test_a_file_of_the_store_is_a_piece_of_its_own_after_its_caption() -> None:
    text, picture = render("see", parts=(Part("image", "the plan", {"file": 1}),), files=True)
    assert (text.text, picture.kind) == ("see\n\nthe plan", "image")


# sends


def test_a_send_has_what_wecom_asks_for(server: FarSide) -> None:
    server.script.append(Say(200, {"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": "M"}))
    assert send(wecom(server.url)) == "M"
    assert server.asked[0].path == "/cgi-bin/message/send?access_token=T"
    assert server.asked[0].json == {
        "touser": "ZhangSan",
        "msgtype": "text",
        "agentid": 1_000_002,
        "text": {"content": "hi"},
        "enable_duplicate_check": 1,
        "duplicate_check_interval": 3600,
    }


def test_a_configured_agent_goes_before_that_of_the_message(server: FarSide) -> None:
    send(wecom(server.url, agent_id=7))
    assert server.asked[0].json["agentid"] == 7


def test_without_an_agent_nothing_is_sent(server: FarSide) -> None:
    with pytest.raises(Rejected) as raised:
        send(wecom(server.url), agent_id=None)
    assert raised.value.kind == "auth"
    assert not server.asked


def test_a_member_can_be_written_to_first_by_an_app_that_knows_its_number() -> None:
    app = wecom("http://127.0.0.1:1", agent_id=7)
    assert isinstance(app, WritesFirst)
    assert app.address_of("zhangsan", "") == {"user_id": "zhangsan", "agent_id": 7}
    for bot, group in ((app, "some group"), (wecom("http://127.0.0.1:1"), "")):
        with pytest.raises(Rejected):
            bot.address_of("zhangsan", group)


def test_a_second_try_of_a_piece_says_exactly_the_same(server: FarSide) -> None:
    memory = Memory()
    for _ in range(2):
        send(wecom(server.url, memory), message_id=1)
    assert server.asked[0].json == server.asked[1].json


def test_an_equal_answer_to_another_message_differs_unseen_and_stays_so(server: FarSide) -> None:
    memory = Memory()
    for message_id in (1, 2, 2, 3):
        send(wecom(server.url, memory), message_id=message_id)
    first, second, again, third = (asked.json["text"]["content"] for asked in server.asked)
    assert second == again
    assert len({first, second, third}) == 3
    assert {text.rstrip("\u200b\u200c\u200d\u2060") for text in (first, second, third)} == {"hi"}


def test_equal_words_to_two_people_are_not_compared(server: FarSide) -> None:
    memory = Memory()
    for user_id in ("a", "b"):
        send(wecom(server.url, memory), user_id=user_id, message_id=ord(user_id))
    assert [asked.json["text"]["content"] for asked in server.asked] == ["hi", "hi"]


def test_no_more_than_wecom_lets_through_in_a_minute_or_an_hour() -> None:
    limits, sent, now_us = LocalLimits(), [], 0.0
    while now_us < 7_200_000_000:
        wait_us = limits.take("member", MEMBER_RATE, now_us)
        if wait_us == 0:
            sent.append(now_us)
        now_us += max(wait_us, 1000)
    for window_us, most in ((60e6, 30), (3600e6, 1000)):
        assert max(sum(1 for at in sent if start <= at < start + window_us) for start in sent[::7]) <= most


def test_beyond_the_limit_of_a_member_nothing_is_sent(server: FarSide) -> None:
    memory = Memory()
    memory.wait_s = 3.5
    with pytest.raises(Throttled) as raised:
        send(wecom(server.url, memory))
    assert (raised.value.code, raised.value.retry_after_s) == ("our_limit", 3.5)
    assert memory.buckets == ["wecom:wwmindbot0000001:1000002:zhangsan"]
    assert not server.asked


@pytest.mark.parametrize(
    "answer", [{"invaliduser": "zhangsan"}, {"invaliduser": "x|zhangsan"}, {"unlicenseduser": "ZhangSan"}]
)
def test_a_member_who_was_not_reached_is_an_error(server: FarSide, answer: dict[str, str]) -> None:
    server.script.append(Say(200, {"errcode": 0, **answer}))
    with pytest.raises(Rejected) as raised:
        send(wecom(server.url))
    assert raised.value.kind == "not_found"


def test_an_article_and_a_card(server: FarSide) -> None:
    bot, memory = wecom(server.url), Memory()
    send(bot, Part("link", "Manual", {"url": "https://m.example/", "picture_url": "https://m.example/p.png"}))
    assert server.asked[0].json["news"] == {
        "articles": [{"title": "Manual", "url": "https://m.example/", "picurl": "https://m.example/p.png"}]
    }
    card = {"card_type": "button_interaction", "main_title": {"title": "?"}, "button_list": [{"text": "y", "key": "y"}]}
    send(wecom(server.url, memory), Part("card", "", {"template_card": card}))
    assert server.asked[1].json["template_card"] == {**card, "task_id": "mindbot-1-0"}


# files

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def file_part(kind: PartKind = "image") -> Part:
    return Part(kind, "", {"file": 1, "name": "计划.png"})


def test_a_file_is_uploaded_once_for_all_tries_of_a_piece(server: FarSide) -> None:
    server.script.append(Say(200, {"errcode": 0, "media_id": "M1"}))
    server.script.append(Say(200, {"errcode": -1}))
    memory = Memory()
    bot = wecom(server.url, memory, files={1: (PNG, "x.png", "image/png")})
    with pytest.raises(Exception, match="-1"):
        send(bot, file_part())
    send(bot, file_part())
    assert [asked.path.split("?")[0] for asked in server.asked] == [
        "/cgi-bin/media/upload", "/cgi-bin/message/send", "/cgi-bin/message/send",
    ]  # fmt: skip
    assert server.asked[1].json == server.asked[2].json
    assert server.asked[1].json["image"] == {"media_id": "M1"}
    assert 'filename="计划.png"'.encode() in server.asked[0].body
    assert PNG in server.asked[0].body


def test_a_file_that_wecom_refuses_is_named_and_wrong_settings_are_not_hidden(server: FarSide) -> None:
    bot = wecom(server.url, files={1: (PNG, "x.png", "image/png")})
    server.script.append(Say(200, {"errcode": 40005}))
    send(bot, file_part())
    assert server.asked[1].json["text"] == {"content": "[计划.png]"}
    server.script.append(Say(200, {"errcode": 48002}))
    with pytest.raises(Rejected):
        send(bot, file_part(), message_id=2)


def test_a_place_in_an_answer_is_said_in_words() -> None:
    (piece,) = render("there", parts=(Part("location", "West Lake", {"latitude": 30.25, "longitude": 120.15}),))
    assert piece.text == "there\n\nLocation: West Lake (30.25, 120.15)"


def test_a_file_that_is_not_taken_is_named(server: FarSide) -> None:
    send(wecom(server.url, files={1: (b"tiny", "x.png", "image/png")}), file_part())
    assert server.asked[0].json["text"] == {"content": "[计划.png]"}


@pytest.mark.parametrize(
    ("kind", "size", "media_type", "expected"),
    [
        ("image", 1000, "image/png", "image"),
        ("image", 1000, "image/webp", "file"),
        ("image", 11_000_000, "image/png", "file"),
        ("voice", 1000, "audio/amr", "voice"),
        ("voice", 1000, "audio/mpeg", "file"),
        ("video", 1000, "video/mp4", "video"),
        ("file", 1000, "text/plain", "file"),
        ("file", 5, "text/plain", None),
        ("file", 21_000_000, "text/plain", None),
    ],
)
def test_what_a_file_is_uploaded_as(kind: str, size: int, media_type: str, expected: str | None) -> None:
    assert upload_kind(kind, size, media_type) == expected


def test_the_file_of_a_message_is_fetched(server: FarSide) -> None:
    server.script.append(
        Say(200, b"#!AMR", headers={"Content-Disposition": 'attachment; filename="v.amr"'}, content_type="audio/amr")
    )
    with wecom(server.url).open_media(Part("voice", data={"media_id": "M"}), {}, Deadline(60)) as media:
        assert b"".join(media.chunks) == b"#!AMR"
    with pytest.raises(Rejected):
        wecom(server.url).open_media(Part("voice"), {}, Deadline(60))


def test_it_is_examined_by_a_call_that_does_nothing(server: FarSide) -> None:
    assert wecom(server.url).examine(Deadline(60)) == "GET /cgi-bin/getcallbackip"
    assert server.asked[0].path == "/cgi-bin/getcallbackip?access_token=T"
