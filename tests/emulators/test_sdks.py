"""The vendors' own Python SDKs as clients of the emulators: what they can read is what the vendor sends."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from emulators.running import Emulator, running

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the vendors; ours stay errors
    import anthropic
    import ollama
    import openai
    from google import genai
    from google.genai import errors as genai_errors

TEXT = "早上好 world 🌍"
SAID = f"You said: {TEXT}"


@pytest.fixture(scope="module", params=["openai", "anthropic", "gemini", "ollama"])
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def far(vendor: str) -> Iterator[Emulator]:
    with running(vendor, "--api-key", "k-right", "--model", "m-one") as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def fresh(far: Emulator) -> None:
    far.control.reset()
    far.control.pace(delay_ms=0, tokens_per_second=0)


class Sdk:
    """One way to call all four."""

    def __init__(self, vendor: str, url: str, key: str = "k-right") -> None:
        self.vendor = vendor
        match vendor:
            case "openai":
                self.client: Any = openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0, timeout=60)
            case "anthropic":
                self.client = anthropic.Anthropic(api_key=key, base_url=url, max_retries=0, timeout=60)
            case "gemini":
                options = genai.types.HttpOptions(base_url=url, timeout=60_000)
                self.client = genai.Client(api_key=key, http_options=options)
            case _:
                self.client = ollama.Client(url, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def close(self) -> None:
        close = getattr(self.client, "close", None)
        (close or self.client._client.close)()

    def chat(self, text: str, model: str = "m-one") -> tuple[str, int]:
        """The answer in one piece, and its tokens."""
        match self.vendor:
            case "openai":
                done = self.client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
                return done.choices[0].message.content, done.usage.completion_tokens
            case "anthropic":
                asked = [{"role": "user", "content": text}]
                done = self.client.messages.create(model=model, max_tokens=99, messages=asked)
                return "".join(block.text for block in done.content), done.usage.output_tokens
            case "gemini":
                done = self.client.models.generate_content(model=model, contents=text)
                return done.text, done.usage_metadata.candidates_token_count
            case _:
                done = self.client.chat(model=model, messages=[{"role": "user", "content": text}])
                return done.message.content, done.eval_count

    def stream(self, text: str) -> tuple[list[str], int]:
        """The pieces of a streamed answer, and its tokens."""
        pieces, used = [], 0
        messages = [{"role": "user", "content": text}]
        match self.vendor:
            case "openai":
                for chunk in self.client.chat.completions.create(
                    model="m-one", messages=messages, stream=True, stream_options={"include_usage": True}
                ):
                    pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
                    used = chunk.usage.completion_tokens if chunk.usage else used
            case "anthropic":
                with self.client.messages.stream(model="m-one", max_tokens=99, messages=messages) as stream:
                    pieces += list(stream.text_stream)
                    used = stream.get_final_message().usage.output_tokens
            case "gemini":
                for chunk in self.client.models.generate_content_stream(model="m-one", contents=text):
                    pieces += [chunk.text] if chunk.text else []
                    used = (chunk.usage_metadata and chunk.usage_metadata.candidates_token_count) or used
            case _:
                for chunk in self.client.chat(model="m-one", messages=messages, stream=True):
                    pieces += [chunk.message.content] if chunk.message.content else []
                    used = chunk.eval_count or used
        return pieces, used

    def models(self) -> list[str]:
        match self.vendor:
            case "openai" | "anthropic":
                return [model.id for model in self.client.models.list()]
            case "gemini":
                return [model.name.removeprefix("models/") for model in self.client.models.list()]
            case _:
                return [model.model for model in self.client.list().models]


ERRORS = (openai.APIStatusError, anthropic.APIStatusError, genai_errors.APIError, ollama.ResponseError)


def status_of(exc: Exception) -> int:
    return int(getattr(exc, "status_code", None) or getattr(exc, "code", 0))


@pytest.fixture
def sdk(vendor: str, far: Emulator) -> Iterator[Sdk]:
    with contextlib.closing(Sdk(vendor, far.url)) as sdk:
        yield sdk


def test_a_whole_answer_is_read(sdk: Sdk) -> None:
    text, used = sdk.chat(TEXT)
    assert text == SAID
    assert used > 0


@pytest.mark.parametrize("fault", ["", "split_utf8", "crlf"])
def test_a_streamed_answer_is_read(sdk: Sdk, far: Emulator, fault: str) -> None:
    if fault:
        far.control.fault(fault)
    pieces, used = sdk.stream(TEXT)
    assert "".join(pieces) == SAID
    assert len(pieces) > 3
    assert used > 0


def test_models_are_listed(sdk: Sdk) -> None:
    assert [name.removesuffix(":latest") for name in sdk.models()] == ["m-one"]


def test_a_wrong_key_is_told(vendor: str, far: Emulator) -> None:
    with contextlib.closing(Sdk(vendor, far.url, "k-wrong")) as sdk, pytest.raises(ERRORS) as caught:
        sdk.chat(TEXT)
    assert status_of(caught.value) in (400, 401)


def test_a_model_that_is_not_there_is_told(sdk: Sdk) -> None:
    with pytest.raises(ERRORS) as caught:
        sdk.chat(TEXT, "m-two")
    assert status_of(caught.value) == 404


@pytest.mark.parametrize("status", [429, 500, 529])
def test_refusals_arrive_with_their_status(sdk: Sdk, far: Emulator, status: int) -> None:
    far.control.fault("throttle" if status == 429 else "status", **({} if status == 429 else {"status": status}))
    with pytest.raises(ERRORS) as caught:
        sdk.chat(TEXT)
    assert status_of(caught.value) == status
    if sdk.vendor in ("openai", "anthropic") and status == 429:
        assert caught.value.response.headers["retry-after"] == "1"  # type: ignore[attr-defined]


def test_an_error_in_mid_stream_is_told(sdk: Sdk, far: Emulator) -> None:
    far.control.fault("error_event", status=500, code="server_error", message="boom")
    with pytest.raises((openai.APIError, anthropic.APIError, genai_errors.APIError, ollama.ResponseError)):
        sdk.stream(TEXT)


def test_a_stream_that_is_cut_is_noticed_or_short(sdk: Sdk, far: Emulator) -> None:
    far.control.fault("cut", after_events=4)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each client has its own name for it
        assert "".join(sdk.stream(TEXT)[0]) == SAID
