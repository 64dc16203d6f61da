"""Emulators as processes: they start, say where they are, end in order, and outlive nobody."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import psutil
import pytest
import requests
from click.testing import CliRunner

from emulators.calls import read
from emulators.command import emulate
from emulators.running import Emulator, running
from mindbot_tasks.cli.emulate import emulate as mindbot_emulate
from tests.slack import at_most


@pytest.mark.parametrize("name", ["openai", "dify", "dingtalk"])
def test_it_starts_says_one_line_and_ends_quietly_on_sigterm(name: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emulators", name, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", line)
    process.terminate()
    rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (0, b"", b"")


def test_it_ends_while_a_call_is_waiting(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with (
        running("openai", "--fault", '{"action": "silence"}', log=log) as emulator,
        socket.create_connection(("127.0.0.1", emulator.port)) as caller,
    ):
        caller.sendall(b"GET /v1/models HTTP/1.1\r\nHost: emulator\r\n\r\n")
        emulator.control.wait_for()
        started = time.monotonic()
        assert emulator.stop() == 0
    assert time.monotonic() - started < at_most(5)
    assert [record["outcome"] for record in read(log)] == ["stopped"]


def test_it_ends_when_the_process_that_started_it_is_killed() -> None:
    script = (
        "import sys, time\nfrom emulators.running import Emulator\n"
        "e = Emulator('openai')\nprint(e.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with running("openai") as first, pytest.raises(RuntimeError, match=rf"cannot listen on 127.0.0.1:{first.port}: "):
        Emulator("openai", port=first.port)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["openai", "--fault", "not json"], "Invalid value for '--fault'"),
        (["openai", "--fault", '{"action": "explode"}'], "explode"),
        (["dify", "--app", "k=chatty"], "expected KEY=MODE"),
        (["telegram"], "No such command 'telegram'"),
    ],
)
def test_wrong_options_are_told(options: list[str], words: str) -> None:
    result = CliRunner().invoke(emulate, options)
    assert result.exit_code == 2
    assert words in result.output


def test_faults_and_pace_by_option() -> None:
    fault = '[{"action": "status", "status": 503, "path": "/v1/models"}]'
    with running("openai", "--fault", fault, "--delay-ms", "200", "--tokens-per-second", "1000") as emulator:
        assert requests.get(f"{emulator.url}/v1/models", timeout=30).status_code == 503
        assert requests.get(f"{emulator.url}/v1/models", timeout=30).status_code == 200
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        assert requests.post(f"{emulator.url}/v1/chat/completions", json=body, timeout=30).elapsed.total_seconds() > 0.2


def test_mindbot_emulate_is_the_same_command() -> None:
    listed = CliRunner().invoke(mindbot_emulate, [])
    assert all(name in listed.output for name in ("dingtalk", "dify", "openai"))
    told = CliRunner().invoke(mindbot_emulate, ["openai", "--help"])
    assert told.exit_code == 0
    assert "Usage: mindbot emulate openai" in told.output
    assert "--tokens-per-second" in told.output


def test_waiting_for_a_call_that_does_not_come_ends(openai: Emulator) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 calls"):
        openai.control.wait_for(timeout_s=0.2)


@pytest.mark.timeout(300)
def test_a_thousand_streams_at_once(openai: Emulator) -> None:
    """On a slow machine it takes longer until all are open."""
    assert any(_all_are_open_at_once(openai, delay_ms) for delay_ms in (2_500, 10_000, 40_000))


def _all_are_open_at_once(openai: Emulator, delay_ms: float) -> bool:
    openai.control.reset()
    openai.control.pace(delay_ms=delay_ms, tokens_per_second=10)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "four more words here"}]}

    async def one(http: aiohttp.ClientSession) -> bool:
        async with http.post(f"{openai.url}/v1/chat/completions", json=body) as response:
            return (await response.read()).endswith(b"data: [DONE]\n\n")

    async def all_of_them() -> list[bool]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(120)) as http:
            return await asyncio.gather(*(one(http) for _ in range(1000)))

    assert asyncio.run(all_of_them()) == [True] * 1000
    records = openai.control.wait_for(1000, outcome="sent")
    starts = sorted(record["at_ms"] for record in records)
    ends = sorted(record["at_ms"] + record["ms"] for record in records)
    assert len(records) == 1000
    # the last was taken before the first was done
    return bool(starts[-1] < ends[0])
