"""A model of transformers: with stand-ins of the libraries that keep their signatures, and with the real ones if told.

MINDBOT_TORCH_SITE names a site-packages folder with torch and transformers: then a tiny model with random weights is
made there, served by `mindbot local-model`, and asked over HTTP.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DeadlineExceeded, Unavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import building
from mindbot_tasks.llm.local.transformer import Count, TooLong, Transformer
from tests.llm.asking import nobody, question

ROOT = Path(__file__).parents[2]


class Ids(list[list[int]]):
    device = "cpu"

    @property
    def shape(self) -> tuple[int, int]:
        return (len(self), len(self[0]))

    def to(self, device: str) -> Ids:
        return self


class Tokenizer:
    """A token is a character; 0 is the end."""

    chat_template: str | None = None
    pad_token_id: int | None = None
    eos_token_id = 0

    def __call__(self, text: str, return_tensors: str, add_special_tokens: bool = True) -> dict[str, Ids]:
        return {"input_ids": Ids([[ord(character) for character in text]])}

    def apply_chat_template(self, messages: list[Any], tokenize: bool, add_generation_prompt: bool) -> str:
        return "|".join(f"{message['role'][0]}:{message['content']}" for message in messages) + "|"


class Streamer:
    """As TextIteratorStreamer: an iterator that another thread fills."""

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **_: Any) -> None:
        self.queue: queue.Queue[str | None] = queue.Queue()

    def end(self) -> None:
        self.queue.put(None)

    def __iter__(self) -> Iterator[str]:
        while (piece := self.queue.get()) is not None:
            yield piece


class Model:
    device = "cpu"

    def __init__(self) -> None:
        self.config = types.SimpleNamespace(max_position_embeddings=200)
        self.options: dict[str, Any] = {}
        self.endless = False
        self.fails = False
        self.ended = threading.Event()

    def generate(self, **options: Any) -> None:
        self.options = options
        [asked] = options["input_ids"]
        said = "".join(map(chr, asked))[::-1]
        try:
            for number in range(options["max_new_tokens"] if not self.endless else 10**6):
                if self.fails and number == 2:
                    raise RuntimeError("out of memory")
                options["streamer"].queue.put(said[number % len(said)])
                if any(criterion(options["input_ids"], None) for criterion in options["stopping_criteria"]):
                    break
                if number + 1 == len(said) and not self.endless:
                    break
        finally:
            self.ended.set()
        options["streamer"].end()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    torch, transformers = types.ModuleType("torch"), types.ModuleType("transformers")

    class Inference:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    vars(torch).update(full=lambda size, value, dtype, device: value, bool=bool, inference_mode=Inference)
    vars(transformers).update(TextIteratorStreamer=Streamer, StoppingCriteriaList=list)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    return Model()


def ask(model: Model, text: str = "abc", tokenizer: Any = None, **more: Any) -> tuple[str, Count]:
    count = Count()
    values = {"max_tokens": 100, "temperature": 0.5, "stopped": lambda: False, **more}
    messages = [{"role": "user", "content": text}]
    pieces = Transformer(tokenizer or Tokenizer(), model).stream(messages, count=count, **values)
    return "".join(pieces), count


def test_without_a_template_the_conversation_is_plain_lines(model: Model) -> None:
    said, count = ask(model)
    assert said == "User: abc\nAssistant:"[::-1]
    assert (count.input_tokens, count.output_tokens, count.finish) == (len(said), len(said), "stop")
    assert (model.options["do_sample"], model.options["temperature"], model.options["pad_token_id"]) == (True, 0.5, 0)


def test_the_template_of_the_model_is_used(model: Model) -> None:
    tokenizer = Tokenizer()
    tokenizer.chat_template = "..."
    assert ask(model, tokenizer=tokenizer)[0] == "|cba:u"


def test_without_warmth_it_is_always_the_same(model: Model) -> None:
    ask(model, temperature=0)
    assert model.options["do_sample"] is False
    assert "temperature" not in model.options


def test_the_longest_answer_is_an_end(model: Model) -> None:
    assert ask(model, max_tokens=4)[1].finish == "length"


def test_a_question_longer_than_the_model_reads_is_refused(model: Model) -> None:
    with pytest.raises(TooLong):
        ask(model, "x" * 300)
    ask(model, "x" * 150)
    assert model.options["max_new_tokens"] < 50


def test_it_stops_when_told(model: Model) -> None:
    model.endless = True
    stop = threading.Event()
    count = Count()
    pieces = Transformer(Tokenizer(), model).stream(
        [{"role": "user", "content": "abc"}], max_tokens=10**6, temperature=None, stopped=stop.is_set, count=count
    )
    next(pieces)
    stop.set()
    list(pieces)
    assert model.ended.is_set()
    assert count.finish == ""


def test_it_stops_when_nobody_reads_on(model: Model) -> None:
    model.endless = True
    pieces = Transformer(Tokenizer(), model).stream(
        [{"role": "user", "content": "abc"}], max_tokens=10**6, temperature=None, stopped=lambda: False, count=Count()
    )
    next(pieces)
    pieces.close()
    assert model.ended.is_set()


def test_what_goes_wrong_in_the_model_is_raised(model: Model) -> None:
    model.fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        ask(model)


SITE = os.environ.get("MINDBOT_TORCH_SITE", "")
TINY = """
    import sys, torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    torch.manual_seed(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    tokenizer.train_from_iterator(["hello world"], trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(sys.argv[1])
    LlamaForCausalLM(LlamaConfig(
        vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=8192, bos_token_id=0, eos_token_id=None)).save_pretrained(sys.argv[1])
"""


@pytest.mark.skipif(not SITE, reason="MINDBOT_TORCH_SITE is not set")
@pytest.mark.timeout(300)
def test_a_real_model_answers_and_stops(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), SITE]), "MINDBOT_HOME": str(tmp_path)}
    tiny = tmp_path / "tiny"
    subprocess.run([sys.executable, "-c", textwrap.dedent(TINY), tiny], check=True, env=environment, timeout=120)
    provider = {
        "type": "transformers", "base_url": "http://127.0.0.1:8143", "timeout": 60,
        "models": [{"name": "tiny", "path": str(tiny), "max_tokens": 30}],
    }  # fmt: skip
    (tmp_path / "mindbot.yaml").write_text(str({"providers": {"mine": provider}}))
    command = [sys.executable, "-m", "mindbot_tasks.cli", "local-model"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindbot_tasks.llm.catalogue.has_transformers", lambda: True)
        way = building.provider_way(Settings.model_validate({"providers": {"mine": provider}}), "mine")
    assert way is not None
    process = subprocess.Popen(command, cwd=tmp_path, env=environment)
    try:
        deadline = Deadline(120)
        while True:
            try:
                answer = way.answerer.answer(question(), Deadline(60), nobody).answer
                break
            except Unavailable:
                deadline.check()
        assert 0 < answer.usage.output_tokens <= 30
        endless: Any = way.answerer
        with pytest.raises(DeadlineExceeded):
            type(endless).answer(_with(endless, max_tokens=8000), question(), Deadline(0.5), nobody)
        assert way.answerer.answer(question(), Deadline(20), nobody).answer.usage.output_tokens > 0
    finally:
        process.terminate()
        assert process.wait(20) == 0


def _with(model: Any, **more: Any) -> Any:
    import dataclasses

    return dataclasses.replace(model, **more)
