"""The OSCAR emulator against the numbers of the real one, spoken to with bytes written by hand."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators.calls import read
from emulators.oscar.limiter import CLASSES, Meter, faster
from emulators.running import Emulator, running

HELLO = bytes.fromhex("2a010000000400000001")


@pytest.fixture(scope="module")
def oscar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    log = tmp_path_factory.mktemp("oscar") / "calls.jsonl"
    with running("oscar", "--account", "Mind Bot=welcome1", log=log) as emulator:
        yield emulator


@pytest.fixture
def line(oscar: Emulator) -> Iterator[socket.socket]:
    oscar.control.reset()
    port = oscar.control.call("GET", "/oscar")["port"]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connected:
        yield connected


def exactly(line: socket.socket, size: int) -> bytes:
    """A socket with a time-out hands out what is there, also of MSG_WAITALL."""
    got = b""
    while len(got) < size and (more := line.recv(size - len(got))):
        got += more
    return got


def take(line: socket.socket) -> tuple[int, bytes]:
    _, channel, _, size = struct.unpack(">BBHH", exactly(line, 6))
    return channel, exactly(line, size)


def frame(sequence: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BBHH", 0x2A, channel, sequence, len(payload)) + payload


def value(kind: int, data: bytes) -> bytes:
    return struct.pack(">HH", kind, len(data)) + data


def values(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        kind, size = struct.unpack_from(">HH", data)
        found[kind], data = data[4 : 4 + size], data[4 + size :]
    return found


def test_it_speaks_first(line: socket.socket) -> None:
    assert take(line) == (1, b"\x00\x00\x00\x01")


@pytest.mark.parametrize(("secret", "right"), [("8443eda756ebbea3", True), ("8443eda756ebbea4", False)])
def test_a_roasted_password(line: socket.socket, secret: str, right: bool) -> None:
    take(line)
    line.sendall(frame(1, 1, HELLO[6:] + value(1, b"mindbot") + value(2, bytes.fromhex(secret))))
    channel, payload = take(line)
    assert channel == 4
    assert (6 in values(payload), values(payload).get(8)) == (right, None if right else b"\x00\x05")


@pytest.mark.parametrize("password", ["welcome1", "welcome2"])
def test_a_digest_by_the_bytes_of_the_specification(line: socket.socket, password: str) -> None:
    take(line)
    line.sendall(frame(0, 1, HELLO[6:]))
    line.sendall(bytes.fromhex("2a020001001d00170006000000000001000100076d696e64626f74004b0000005a0000"))
    _, answer = take(line)
    key = answer[12:]
    proof = hashlib.md5(key + password.encode() + b"AOL Instant Messenger (SM)").digest()  # noqa: S324
    line.sendall(frame(2, 2, bytes.fromhex("00170002000000000002") + value(1, b"mindbot") + value(0x25, proof)))
    _, answer = take(line)
    told = values(answer[10:])
    assert (5 in told and 6 in told) is (password == "welcome1")
    assert take(line) == (4, b"")


def test_a_cookie_is_good_for_nothing_if_it_was_not_given_out(oscar: Emulator, line: socket.socket) -> None:
    take(line)
    line.sendall(frame(0, 1, HELLO[6:] + value(6, b"x" * 64)))
    assert take(line) == (4, b"")
    assert oscar.control.wait_for(event="refused")


@pytest.mark.parametrize(("gap_ms", "dropped", "cut"), [(0, 8, 14), (1000, 10, None)])
def test_haste_is_punished_as_the_real_server_does(gap_ms: int, dropped: int, cut: int | None) -> None:
    meter = Meter(next(one for one in CLASSES if one.number == 3), 0.0)
    outcomes = [meter.take(number * gap_ms) for number in range(1, 15)]
    assert outcomes.index("drop") + 1 == dropped
    assert (outcomes.index("disconnect") + 1 if "disconnect" in outcomes else None) == cut


def test_a_hasty_server_has_the_same_limits_for_shorter_gaps() -> None:
    slow, fast = (Meter(next(one for one in classes if one.number == 3), 0.0) for classes in (CLASSES, faster(10)))
    assert [slow.take(number * 1000) for number in range(1, 15)] == [fast.take(number * 100) for number in range(1, 15)]


def test_who_is_away_gets_it_later_and_the_log_says_so(oscar: Emulator) -> None:
    told = oscar.control.call("POST", "/send", {"from": "alice", "to": "mindbot", "text": "hi"})
    assert told["delivered"] is False
    assert oscar.log is not None
    assert read(oscar.log)[-1]["cookie"] == told["cookie"]


@pytest.mark.parametrize(
    ("path", "data"),
    [("/send", [1]), ("/send", {"cookie": "00"}), ("/switches", {"nothing": True}), ("/switches", {"ack": "yes"})],
)
def test_wrong_orders_are_refused(oscar: Emulator, path: str, data: object) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        oscar.control.call("POST", path, data)


def test_an_account_needs_a_password(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="NAME=PASSWORD"):
        Emulator("oscar", "--account", "nobody", log=tmp_path / "log")
