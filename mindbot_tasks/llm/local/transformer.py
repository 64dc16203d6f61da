"""One model of Hugging Face transformers, loaded from a folder: text in, pieces of text out; stops at any token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_ROLES = {"system": "System", "user": "User", "assistant": "Assistant"}


class TooLong(ValueError):
    """The question is longer than the model can read."""


@dataclass(slots=True)
class Count:
    """What one answer took so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    finish: str = ""  #: why it ended; "": it has not, or was stopped


class Transformer:
    """A loaded model; it answers one question at a time, so callers take turns."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self._tokenizer = tokenizer
        self._model = model

    @classmethod
    def load(cls, path: str, *, device: str = "auto", trust_remote_code: bool = False) -> Transformer:
        """From a folder of this machine; nothing is fetched. Raises OSError or ValueError when it is no model."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model = AutoModelForCausalLM.from_pretrained(path, dtype="auto", **options).to(device)
        model.eval()
        return cls(tokenizer, model)

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float | None,
        stopped: Callable[[], bool],
        count: Count,
    ) -> Generator[str, None, None]:
        """The answer in pieces, with `count` kept up to date; ends soon after `stopped` says so, or at a close.

        Raises TooLong, and what transformers raises.
        """
        import torch
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        inputs = self._inputs(messages)
        count.input_tokens = int(inputs["input_ids"].shape[-1])
        longest = int(getattr(self._model.config, "max_position_embeddings", 0) or 0)
        if longest and count.input_tokens >= longest:
            raise TooLong(f"{count.input_tokens} tokens, and {longest} at most")
        if longest:
            max_tokens = min(max_tokens, longest - count.input_tokens)
        closed = threading.Event()

        def enough(input_ids: Any, scores: Any, **_: Any) -> Any:
            count.output_tokens += 1
            end = closed.is_set() or stopped()
            return torch.full((input_ids.shape[0],), end, dtype=torch.bool, device=input_ids.device)

        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        failure: list[Exception] = []
        options: dict[str, Any] = {
            **inputs,
            "streamer": streamer,
            "max_new_tokens": max_tokens,
            "stopping_criteria": StoppingCriteriaList([enough]),
            "pad_token_id": self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
        }
        options |= {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}

        def generate() -> None:
            try:
                with torch.inference_mode():
                    self._model.generate(**options)
            except Exception as exc:  # noqa: BLE001 - handed over to whoever reads the answer
                failure.append(exc)
                streamer.end()

        thread = threading.Thread(target=generate, name="local-model", daemon=True)
        thread.start()
        try:
            for piece in streamer:
                if piece:
                    yield piece
        finally:
            closed.set()
            thread.join()
        if failure:
            raise failure[0]
        if not stopped():  # else it is half an answer
            count.finish = "length" if count.output_tokens >= max_tokens else "stop"

    def _inputs(self, messages: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
        """The conversation in tokens: by the model's own template, else as plain lines."""
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
            encoded = self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        else:
            lines = [f"{_ROLES.get(message['role'], 'User')}: {message['content']}" for message in messages]
            encoded = self._tokenizer("\n".join([*lines, "Assistant:"]), return_tensors="pt")
        found: Mapping[str, Any] = {
            key: encoded[key].to(self._model.device) for key in ("input_ids", "attention_mask") if key in encoded
        }
        return found
