"""The SDKs of OpenAI and Ollama ask the emulators for vectors; these mean something."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import httpx
import pytest

from emulators.running import Emulator, running

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the vendors; ours stay errors
    import ollama
    import openai

TEXTS = ["How many days of holiday?", "年假有几天?", "The price of pears", "car repair"]


@pytest.fixture(scope="module")
def far() -> Iterator[Emulator]:
    with running("openai", "--api-key", "k-right") as emulator:
        yield emulator


@pytest.fixture
def sdk(far: Emulator) -> Iterator[openai.OpenAI]:
    far.control.reset()
    with openai.OpenAI(api_key="k-right", base_url=f"{far.url}/v1", max_retries=0, timeout=20) as client:
        yield client


def like(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_openais_sdk_reads_vectors_in_both_encodings(sdk: openai.OpenAI) -> None:
    packed = sdk.embeddings.create(model="text-embedding-ada-002", input=TEXTS)  # base64, as the SDK asks by itself
    plain = sdk.embeddings.create(model="text-embedding-ada-002", input=TEXTS, encoding_format="float")
    assert [one.index for one in packed.data] == [0, 1, 2, 3]
    assert {len(one.embedding) for one in packed.data} == {1536}
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert packed.usage.total_tokens > 0
    holiday, chinese, pears, car = (one.embedding for one in plain.data)
    assert like(holiday, chinese) > 0.5 > like(holiday, pears)
    assert like(holiday, car) < 0.5
    assert like(holiday, holiday) == pytest.approx(1)
    short = sdk.embeddings.create(model="text-embedding-3-small", input="pears", dimensions=256)
    assert len(short.data[0].embedding) == 256


def test_openais_sdk_is_refused_as_by_openai(sdk: openai.OpenAI, far: Emulator) -> None:
    with pytest.raises(openai.BadRequestError, match="input"):
        sdk.embeddings.create(model="text-embedding-ada-002", input="")
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        sdk.embeddings.create(model="text-embedding-ada-002", input="x", dimensions=3)
    with pytest.raises(openai.AuthenticationError):
        sdk.with_options(api_key="k-wrong").embeddings.create(model="m", input="x")
    far.control.fault("throttle", "/v1/embeddings")
    with pytest.raises(openai.RateLimitError):
        sdk.embeddings.create(model="m", input="x")
    far.control.fault("status", "/v1/embeddings", status=500)
    with pytest.raises(openai.InternalServerError):
        sdk.embeddings.create(model="m", input="x")
    far.control.fault("answer", "/v1/embeddings", text="7")
    assert len(sdk.embeddings.create(model="m", input="x", encoding_format="float").data[0].embedding) == 7


def test_ollamas_sdk_reads_vectors() -> None:
    with running("ollama", "--model", "bge-m3") as far:
        client = ollama.Client(far.url, timeout=20)
        told = client.embed("bge-m3", TEXTS)
        assert [len(one) for one in told.embeddings] == [1024] * 4
        holiday, chinese, pears, _ = (list(one) for one in told.embeddings)
        assert like(holiday, chinese) > 0.5 > like(holiday, pears)
        with pytest.raises(ollama.ResponseError, match="not found"):
            client.embed("other", "x")
        client._client.close()


def test_the_nearest_text_is_ranked_first(far: Emulator) -> None:
    body = {"model": "r", "query": "price of pears", "documents": TEXTS, "top_n": 2}
    told = httpx.post(f"{far.url}/v1/rerank", json=body, headers={"Authorization": "Bearer k-right"}, trust_env=False)
    assert told.json()["results"][0]["index"] == 2
    assert len(told.json()["results"]) == 2
    refused = httpx.post(f"{far.url}/v1/rerank", json={"model": "r"}, headers={"Authorization": "Bearer k-right"},
                         trust_env=False)  # fmt: skip
    assert refused.status_code == 422
