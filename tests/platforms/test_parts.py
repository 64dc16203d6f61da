"""What a platform cannot show it says, and never loses."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part, PartKind, words_of
from mindbot_tasks.platforms.base import Capabilities
from mindbot_tasks.platforms.parts import divide, in_words
from mindbot_tasks.platforms.text import Limit, split_text, utf8_size

URL = "https://example.com/a(1).png"


@pytest.mark.parametrize(
    ("part", "markdown", "plain"),
    [
        (Part("image", "chart", {"url": URL}), "![chart](https://example.com/a%281%29.png)", f"chart ({URL})"),
        (Part("file", data={"url": URL, "name": "a].pdf"}), "[a\\].pdf](https://example.com/a%281%29.png)",
         f"a].pdf ({URL})"),
        (Part("file", data={"url": "javascript:alert(1)", "name": "x"}),
         "[File: x, which cannot be shown here]", "[File: x, which cannot be shown here]"),
        (Part("voice", data={"file": 3}), "[Voice message, which cannot be shown here]",
         "[Voice message, which cannot be shown here]"),
        (Part("voice", "what was said", {"file": 3}), "what was said", "what was said"),
        (Part("link", data={"url": "https://example.com", "title": "Docs", "description": "all"}),
         "[Docs](https://example.com)\nall", "Docs (https://example.com)\nall"),
        (Part("card", "**Choose**", {"title": "Menu", "buttons": [{"title": "Tea", "url": "https://t.example"}, 3]}),
         "**Menu**\n\n**Choose**\n\n[Tea](https://t.example)", "Menu\n\nChoose\n\nTea (https://t.example)"),
        (Part("quote", "a\nb"), "> a\n> b", "> a\n> b"),
        (Part("mention", data={"name": "Zhang San"}), "@Zhang San", "@Zhang San"),
        (Part("location", data={"address": "1 Long St", "latitude": 1.5, "longitude": 2}),
         "Location: 1 Long St (1.5, 2)", "Location: 1 Long St (1.5, 2)"),
        (Part("unknown", data={"type": "hologram"}), "", ""),
    ],
)  # fmt: skip
def test_a_piece_in_words(part: Part, markdown: str, plain: str) -> None:
    assert in_words(part, markdown=True) == markdown
    assert in_words(part, markdown=False) == plain


def test_sends_as_files_what_the_platform_takes_and_says_the_rest() -> None:
    picture, voice = Part("image", data={"file": 1, "name": "p.png"}), Part("voice", data={"file": 2})
    answer = Answer("**Here**", "x", parts=(picture, voice))
    assert divide(answer, Capabilities(images=True)) == (
        "Here\n\n[Voice message, which cannot be shown here]",
        [picture],
    )
    assert divide(answer, Capabilities(markdown=True, images=True, files=True)) == ("**Here**", [picture, voice])
    assert divide(answer, Capabilities(), "zh")[0] == "Here\n\n[图片:p.png,此处无法显示]\n\n[语音,此处无法显示]"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("quote", "E = mc2\n\nHm", {}), ("text", "What is it?", {})], "> E = mc2\n>\n> Hm\n\nWhat is it?"),
        ([("quote", "", {"type": "picture"}), ("image", "", {}), ("text", "What is it?", {})], "What is it?"),
        ([("location", "Tower", {"latitude": 23.5, "longitude": 113.25})], "Tower (23.5, 113.25)"),
        ([("location", "", {"name": "Tower", "latitude": 23.5})], "Tower"),
        ([("location", "", {"latitude": -1, "longitude": 2})], "(-1, 2)"),
        ([("link", "T\nD", {"url": "https://l"})], "T\nD\nhttps://l"),
        ([("link", "see https://l", {"url": "https://l"}), ("text", "why?", {})], "see https://l\nwhy?"),
        ([("card", "", {"title": "x"}), ("image", "a caption", {})], "a caption"),
    ],
)
def test_the_words_of_a_message_tell_quotes_places_and_addresses(
    parts: list[tuple[str, str, dict[str, typing.Any]]], words: str
) -> None:
    assert words_of(parts) == words


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner))
PARTS = st.builds(
    Part,
    st.sampled_from(typing.get_args(PartKind)),
    st.text(max_size=30),
    st.dictionaries(
        st.sampled_from(["url", "name", "title", "buttons", "latitude", "file", "address"]), JSON, max_size=4
    ),
)


@given(PARTS, st.booleans())
def test_any_piece_can_be_said(part: Part, markdown: bool) -> None:
    in_words(part, markdown=markdown).encode()


@given(st.text(alphabet="ab 你\n。👨‍👩‍👧é", max_size=400), st.integers(200, 300))
def test_pieces_keep_to_bytes_where_bytes_count(text: str, size: int) -> None:
    pieces = split_text(text, Limit(chars=10_000, size=size))
    assert "".join(pieces) == text
    assert all(utf8_size(piece) <= size for piece in pieces)
