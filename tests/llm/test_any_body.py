"""Whatever a model server sends: an answer or an error of ours, for every wire format."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindbot_tasks.core import sse
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import Response
from mindbot_tasks.llm import anthropic_chat, coze, gemini_chat, ollama_chat, openai_chat
from mindbot_tasks.llm.one_call import Heard
from mindbot_tasks.llm.visible import Visible

WORDS = st.sampled_from(
    ["error", "message", "choices", "delta", "content", "usage", "code", "type", "details", "reason", "violations",
     "quotaId", "retryDelay", "candidates", "parts", "text", "finishReason", "done", "model", "prompt_tokens",
     "content_block_delta", "message_start", "message_delta", "stop_reason", "data", "last_error", "1113", "status"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | WORDS | st.text(max_size=5)
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
MODULES = [openai_chat, anthropic_chat, gemini_chat, ollama_chat, coze]


class _Far:
    """A stream that is there already."""

    status = 200

    def __init__(self, body: bytes, kind: str) -> None:
        self.headers = {"Content-Type": kind}
        self._body = body

    def events(self) -> Any:
        return sse.events([self._body])

    def lines(self) -> Any:
        return sse.lines([self._body])

    def whole(self) -> Response:
        return Response(200, {}, self._body, "provider:x")


def outcome(call: Callable[[], object]) -> None:
    with contextlib.suppress(FarSideError):
        call()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(JSON, max_size=3), name=st.sampled_from(["", "error", "conversation.message.delta"]), raw=st.data()
)
def test_a_stream_of_anything_ends_in_an_answer_or_an_error_of_ours(
    module: Any, bodies: list[Any], name: str, raw: st.DataObject
) -> None:
    lines = [orjson.dumps(body) for body in bodies]
    if raw.draw(st.booleans()):
        lines.append(raw.draw(st.binary(max_size=20)))
    whole = raw.draw(st.booleans())
    if module is ollama_chat:
        body = b"\n".join(lines)
    elif whole:
        body = lines[0] if lines else b""
    else:
        body = b"".join(b"event: " + name.encode() + b"\ndata: " + line + b"\n\n" for line in lines)
    heard: Heard = module._Heard(Visible(lambda _: None, time.monotonic()), "provider:x")
    kind = "application/json" if whole else "text/event-stream"
    outcome(lambda: heard.hear(_Far(body, kind)))  # type: ignore[arg-type]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
@settings(max_examples=60, deadline=None)
@given(body=JSON, status=st.sampled_from([400, 401, 403, 404, 413, 429, 500, 503, 529]))
def test_every_refusal_is_one_of_ours(module: Any, body: Any, status: int) -> None:
    with pytest.raises(FarSideError) as caught:
        module._raise_error(Response(status, {}, orjson.dumps(body), "provider:x"))
    assert caught.value.status == status
