"""The server of models that run here, with a model that needs no torch: asked by the answerer that workers use."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, DeadlineExceeded, Rejected, Throttled, Unavailable
from mindbot_tasks.llm.local import server as local_server
from mindbot_tasks.llm.local.server import LocalServer, Served
from mindbot_tasks.llm.local.transformer import Count, TooLong
from mindbot_tasks.llm.openai_chat import ChatModel
from tests.llm.asking import nobody, question, stopping


class Parrot:
    """Says the question again, a character at a time; "slow" slowly, "crash" and "long" not at all."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.said = 0

    def stream(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int,
        temperature: float | None,
        stopped: Callable[[], bool],
        count: Count,
    ) -> Generator[str, None, None]:
        text = messages[-1]["content"]
        if "crash" in text:
            raise RuntimeError("CUDA is on fire, said the question")
        if "long" in text:
            raise TooLong("5000 tokens, and 4096 at most")
        count.input_tokens = len(messages)
        try:
            for character in text * (1000 if "slow" in text else 1):
                if stopped():
                    return
                if count.output_tokens >= max_tokens:
                    break
                count.output_tokens += 1
                self.said += 1
                yield character
                if "half" in text and count.output_tokens == 3:
                    raise RuntimeError("in the middle")
                if "slow" in text:
                    time.sleep(0.02)
            count.finish = "length" if count.output_tokens >= max_tokens else "stop"
        finally:
            self.ended.set()


@contextlib.contextmanager
def running(load: Callable[[], Any], key: str = "") -> Iterator[LocalServer]:
    server = LocalServer(("127.0.0.1", 0), {"parrot": Served(load)}, key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def server(parrot: Parrot) -> Iterator[LocalServer]:
    with running(lambda: parrot) as server:
        yield server


def url_of(server: LocalServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def answerer(server: LocalServer, **more: Any) -> ChatModel:
    values: dict[str, Any] = {"max_tokens": 2000, "system_prompt": "Be kind.", **more}
    return ChatModel("provider:mine", f"{url_of(server)}/v1/chat/completions", values.pop("model", "parrot"), **values)


@pytest.mark.parametrize("stream", [True, False])
def test_it_answers_like_any_provider(server: LocalServer, stream: bool) -> None:
    seen: list[str] = []
    answer = answerer(server, stream=stream).answer(question("你好 world"), Deadline(30), seen.append).answer
    assert (answer.text, answer.provider, answer.model) == ("你好 world", "mine", "parrot")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 8)
    assert seen[-1] == answer.text
    assert (len(seen) > 1) is stream


def test_the_longest_answer_is_told(server: LocalServer) -> None:
    answer = answerer(server, max_tokens=3).answer(question("abcdef"), Deadline(30), nobody).answer
    assert (answer.text, answer.details) == ("abc", {"finish": "length"})


def test_a_deadline_stops_the_model(server: LocalServer, parrot: Parrot) -> None:
    with pytest.raises(DeadlineExceeded):
        answerer(server).answer(question("slow"), Deadline(1.5), nobody)
    assert parrot.ended.wait(60)
    assert parrot.said < 1000


def test_a_cancel_stops_the_model_and_the_next_is_served(server: LocalServer, parrot: Parrot) -> None:
    with pytest.raises(Cancelled):
        answerer(server).answer(question("slow"), stopping(Cancelled, 0.3), nobody)
    assert answerer(server).answer(question("quick"), Deadline(30), nobody).answer.text == "quick"


def test_an_answer_in_one_piece_stops_too_when_its_caller_goes(server: LocalServer, parrot: Parrot) -> None:
    with pytest.raises(DeadlineExceeded):
        answerer(server, stream=False).answer(question("slow"), Deadline(1.5), nobody)
    assert parrot.ended.wait(60)
    assert parrot.said < 1000


def test_callers_take_turns_and_too_many_are_told_to_come_again(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "MAX_WAITING", 1)
    served = server.models["parrot"]
    with served.turn:
        waiting = [
            threading.Thread(target=answerer(server).answer, args=(question("quick"), Deadline(60), nobody))
            for _ in range(2)
        ]
        for thread in waiting:
            thread.start()
        deadline = Deadline(60)
        while served.waiting < 2:
            deadline.check()
            time.sleep(0.01)
        with pytest.raises(Throttled) as caught:
            answerer(server).answer(question("quick"), Deadline(30), nobody)
        assert caught.value.retry_after_s == 5
    for thread in waiting:
        thread.join()
    assert served.waiting == 0


@pytest.mark.parametrize(
    ("text", "more", "error", "kind"),
    [
        ("crash", {}, Unavailable, "server"),
        ("half way", {}, Unavailable, "server"),
        ("long", {}, Rejected, "invalid_request"),
        ("hello", {"model": "other"}, Rejected, "not_found"),
    ],
)
def test_errors_have_a_meaning_and_say_nothing_of_the_question(
    server: LocalServer, text: str, more: dict[str, Any], error: type[Exception], kind: str
) -> None:
    with pytest.raises(error) as caught:
        answerer(server, **more).answer(question(text), Deadline(30), nobody)
    assert caught.value.kind == kind  # type: ignore[attr-defined]
    assert answerer(server).answer(question("fine"), Deadline(30), nobody).answer.text == "fine"


def test_a_model_that_cannot_be_loaded_is_tried_once(parrot: Parrot) -> None:
    tries = []

    def load() -> Parrot:
        tries.append(1)
        raise OSError("no such folder")

    with running(load) as server:
        assert requests.get(f"{url_of(server)}/health", timeout=30).status_code == 503
        for _ in range(2):
            with pytest.raises(Unavailable):
                answerer(server).answer(question(), Deadline(30), nobody)
        assert requests.get(f"{url_of(server)}/health", timeout=30).status_code == 500
    assert len(tries) == 1


def test_health_says_when_the_model_is_there(server: LocalServer) -> None:
    assert requests.get(f"{url_of(server)}/health", timeout=30).status_code == 503
    server.load_first()
    assert requests.get(f"{url_of(server)}/health", timeout=30).json() == {"status": "ok"}


def test_a_key_is_asked_for_if_there_is_one(parrot: Parrot) -> None:
    with running(lambda: parrot, "right") as server:
        right = SecretStr("right")
        assert answerer(server, api_key=right).answer(question("hi"), Deadline(30), nobody).answer.text == "hi"
        with pytest.raises(Rejected) as caught:
            answerer(server, api_key=SecretStr("wrong")).answer(question(), Deadline(30), nobody)
        assert caught.value.kind == "auth"
        assert requests.get(f"{url_of(server)}/v1/models", timeout=30).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"\xff", b'{"model":"parrot"}', b'{"model":"parrot","messages":[]}',
        b'{"model":"parrot","messages":[5]}', b'{"model":"parrot","messages":[{}],"max_tokens":"x"}',
        b'{"model":"parrot","messages":[{}],"max_tokens":0}', b'{"model":"parrot","messages":[{}],"temperature":true}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_openais_form(server: LocalServer, body: bytes) -> None:
    answer = requests.post(f"{url_of(server)}/v1/chat/completions", data=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


def test_other_paths_and_huge_bodies_are_refused(server: LocalServer) -> None:
    assert requests.get(f"{url_of(server)}/other", timeout=30).status_code == 404
    assert requests.post(f"{url_of(server)}/other", json={}, timeout=30).status_code == 404
    headers = {"Content-Length": "99999999999"}
    answer = requests.post(f"{url_of(server)}/v1/chat/completions", headers=headers, data=b"", timeout=30)
    assert answer.status_code in (400, 413)


def test_when_the_process_ends_the_half_answer_is_none(parrot: Parrot) -> None:
    caught: list[Exception] = []

    def ask() -> None:
        try:
            answerer(server).answer(question("slow"), Deadline(60), nobody)
        except Unavailable as exc:
            caught.append(exc)

    with running(lambda: parrot) as server:
        thread = threading.Thread(target=ask)
        thread.start()
        deadline = Deadline(60)
        while not parrot.said:
            deadline.check()
            time.sleep(0.01)
    assert parrot.ended.wait(60)
    thread.join()
    assert len(caught) == 1
