"""Coze's own SDK against the emulator; it wants an older websockets than we do, so it stands in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulators.running import running

#: with what it needs that we have not, or newer; the rest it takes from our environment
SDK = ("cozepy==0.20.0", "authlib>=1.2,<2", "websockets>=14.1,<15")
ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".venv-sdk"


@pytest.fixture(scope="module")
def beside() -> Path:
    """A folder with the SDK, made at the first time; without a network the test is left out, unless this is CI."""
    done = PLACE / f"{SDK[0]}.beside"
    if done.exists():
        return PLACE
    shutil.rmtree(PLACE, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    try:
        command = [*pip, "install", "-q", "--no-deps", "--target", str(PLACE), *SDK]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
    except (subprocess.SubprocessError, OSError) as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{SDK[0]} cannot be installed here ({type(exc).__name__})")
    done.touch()
    return PLACE


@pytest.mark.timeout(400)
def test_the_sdk_of_coze_understands_the_emulator(beside: Path) -> None:
    client = Path(__file__).with_name("coze_client.py")
    with running("coze", "--api-key", "pat_right", "--bot", "bot-1") as far:
        command = [sys.executable, "-W", "ignore", client, far.url]
        environment = {**os.environ, "PYTHONPATH": str(beside)}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        told = json.loads(done.stdout)
    assert told["first"]["said"] == "You said: 早上好 world 🌍"
    assert told["first"]["tokens"] > 0
    assert told["second"]["conversation"] == told["first"]["conversation"]
    assert told["me"] == "emulated"
    assert (told["wrong_token"], told["wrong_bot"], told["wrong_conversation"]) == (4100, 4015, 4200)
    assert told["nothing_to_cancel"] == 4104
