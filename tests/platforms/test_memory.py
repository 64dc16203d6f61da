"""Hostile input leaves no memory behind, however often it comes."""

from __future__ import annotations

import contextlib
import gc
import os
import random
from collections.abc import Callable

import psutil
import pytest

from mindbot_tasks.core.errors import PayloadInvalid, Unavailable
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.platforms.aim import messages as aim
from mindbot_tasks.platforms.chat import payload as chat
from mindbot_tasks.platforms.dingtalk import payload as dingtalk
from mindbot_tasks.platforms.payload import read_object
from mindbot_tasks.platforms.wecom import payload as wecom
from mindbot_tasks.platforms.weixin.xml import read_fields

MOST_GROWTH = 20_000_000
ROBOT = DingTalkSettings.model_validate({"client_id": "a", "client_secret": "b"})
BOMBS = (
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b'{"msgtype":"richText","content":{"richText":[' + b'{"text":"x"},' * 20_000 + b'{"text":"x"}]}}',
    b'{"data":{"text":"' + b"x" * 500_000 + b'"}}',
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><xml><Content>&b;</Content></xml>',
    b"<xml>" + b"<a>" * 20_000,
    b"<xml>" + b"<Content>x</Content>" * 20_000 + b"</xml>",
    b"\x00\xff" * 100_000,
)
PARSERS: dict[str, Callable[[bytes], object]] = {
    "dingtalk": lambda body: dingtalk.to_message(read_object(body), "default", ROBOT),
    "chat": lambda body: chat.to_messages(read_object(body), "default", "msg_1"),
    "wecom": lambda body: wecom.to_message(read_fields(body), "default"),
    "aim": aim.incoming,
}


@pytest.mark.parametrize("name", PARSERS)
def test_hostile_input_leaves_no_memory_behind(name: str) -> None:
    parse = PARSERS[name]
    noise = random.Random(1)
    process = psutil.Process(os.getpid())

    def attack(times: int) -> None:
        for _ in range(times):
            for bomb in (*BOMBS, noise.randbytes(2000)):
                with contextlib.suppress(PayloadInvalid, Unavailable):
                    parse(bomb)

    attack(3)
    gc.collect()
    before = process.memory_info().rss
    attack(12)
    gc.collect()
    assert process.memory_info().rss - before < MOST_GROWTH
