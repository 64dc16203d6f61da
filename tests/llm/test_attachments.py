"""Pictures in each vendor's format, and honest words about what is not shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks.llm.anthropic_chat import AnthropicModel
from mindbot_tasks.llm.attachments import seems_to_see, told
from mindbot_tasks.llm.base import Attachment
from mindbot_tasks.llm.dify.inputs import wanted_types
from mindbot_tasks.llm.dify.outputs import made_file
from mindbot_tasks.llm.gemini_chat import GeminiModel
from mindbot_tasks.llm.openai_chat import ChatModel
from mindbot_tasks.model.message import Part
from tests.llm.asking import question

PICTURE = Attachment("image", "cat.png", "image/png", 3, 1, b"abc")
BITMAP = Attachment("image", "old.bmp", "image/bmp", 3, 2, b"abc")
REPORT = Attachment("file", "a]\nb.pdf", "application/pdf", 3, 3)
KEY = SecretStr("key")


def test_chat_completions_get_data_urls() -> None:
    model = ChatModel("provider:m", "http://m", "m", vision=True)
    content = model._body(question("look", attachments=(PICTURE, BITMAP, REPORT)))["messages"][-1]["content"]
    assert content[1:] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}}]
    assert content[0]["text"].startswith("look\n\n[The user attached the picture old.bmp. You cannot see it")
    assert "[The user attached the file a b.pdf. You cannot read it" in content[0]["text"]
    assert model._body(question("look"))["messages"][-1]["content"] == "look"


def test_claude_gets_pictures_before_the_words() -> None:
    model = AnthropicModel("provider:anthropic", "m", KEY, vision=True)
    content = model._body(question("look", attachments=(PICTURE,)))["messages"][-1]["content"]
    source = {"type": "base64", "media_type": "image/png", "data": "YWJj"}
    assert content == [{"type": "image", "source": source}, {"type": "text", "text": "look"}]


def test_gemini_gets_inline_data() -> None:
    model = GeminiModel("provider:google", "m", KEY, vision=True)
    parts = model._body(question("look", attachments=(PICTURE,)))["contents"][-1]["parts"]
    assert parts == [{"inlineData": {"mimeType": "image/png", "data": "YWJj"}}, {"text": "look"}]


@pytest.mark.parametrize(
    "model",
    [
        ChatModel("provider:m", "http://m", "m"),
        AnthropicModel("provider:anthropic", "m", KEY),
        GeminiModel("provider:google", "m", KEY),
    ],
)
def test_who_does_not_see_gets_no_bytes(model: Any) -> None:
    assert not model.takes(PICTURE)
    assert "YWJj" not in str(model._body(question("look", attachments=(PICTURE,))))


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("gpt-5.4-mini", True), ("gpt-3.5-turbo", False), ("openai/gpt-4o", True), ("claude-sonnet-5-5", True),
        ("gemini-3.8-flash", True), ("glm-4.6v", True), ("glm-4.7-flash", False), ("qwen3-vl-plus", True),
        ("qwen3", False), ("llava:13b", True), ("deepseek-chat", False), ("doubao-1.5-vision-pro", True),
        ("llama3.2-vision", True), ("moonshot-v1-8k", False), ("qwen3-omni-flash", True), ("deepseek-v3", False),
    ],
)  # fmt: skip
def test_a_name_tells_whether_a_model_probably_sees(name: str, sees: bool) -> None:
    assert seems_to_see(name) is sees


def test_nothing_to_say_is_said() -> None:
    assert told(question("", attachments=(PICTURE,)), [PICTURE]) == "(The user sent this without any words.)"


@pytest.mark.parametrize(
    ("parameters", "kinds"),
    [
        ({"file_upload": {"enabled": True, "allowed_file_types": ["image", "document"]}}, {"image", "document"}),
        ({"file_upload": {"enabled": True}}, {"image"}),
        ({"file_upload": {"image": {"enabled": True, "number_limits": 3}}}, {"image"}),
        ({"file_upload": {"enabled": False, "allowed_file_types": ["image"]}}, set()),
        ({"file_upload": None}, set()),
        ([], set()),
    ],
)
def test_dify_says_what_it_wants(parameters: object, kinds: set[str]) -> None:
    assert wanted_types(parameters.get("file_upload") if isinstance(parameters, dict) else None) == kinds


def test_a_file_of_dify_without_a_host_is_at_home() -> None:
    base = "http://dify.local/v1"
    assert made_file({"type": "image", "url": "/files/tools/a.png?sign=1"}, base) == Part(
        "image", data={"url": "http://dify.local/files/tools/a.png?sign=1", "name": "a.png"}
    )
    other = made_file({"type": "document", "remote_url": "https://cdn.example.com/x", "filename": "r.pdf"}, base)
    assert other == Part("file", data={"url": "https://cdn.example.com/x", "name": "r.pdf"})
