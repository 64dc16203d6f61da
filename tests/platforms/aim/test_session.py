"""A session against a server that does what servers do, and what they should not."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from emulators.oscar import Switches
from emulators.oscar.limiter import CLASSES, Meter, RateClass
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.platforms.aim import rates
from mindbot_tasks.platforms.aim.errors import LoginRefused, SignedOff, Unconfirmed
from mindbot_tasks.platforms.aim.session import connect
from tests.core.test_http_tls import certificate
from tests.platforms.aim.serving import QUICK, SECRET, SOON_S, ending_of, named, next_message, run, serving, until

__all__ = ["certificate"]


@pytest.mark.parametrize(
    "switches",
    [
        Switches(),
        Switches(chunk_bytes=1),
        Switches(merge=True),
        Switches(extra_frames=True),
        Switches(extra_block=True),
        Switches(rate_entries=30),
        Switches(chunk_bytes=7, extra_frames=True, extra_block=True),
        Switches(weak_only=True),
    ],
    ids=["plain", "bytes", "merged", "more frames", "extra block", "short rates", "everything", "an old server"],
)
def test_messages_go_both_ways_however_the_frames_come(switches: Switches) -> None:
    async def story() -> None:
        async with serving(switches=switches) as (server, account, events):
            session = await connect(account, QUICK)
            await until(server.online)
            await server.say("Alice B", "mindbot", "<b>hello</b>")
            message = await next_message(session)
            assert (message.sender, message.text) == ("Alice B", "<b>hello</b>")
            await session.send("Alice B", "你好 <b>", b"12345678")
            await session.send("Alice B", "grüße", b"12345679")
            assert [(call["to"], call["text"]) for call in named(events, "call")] == [
                ("Alice B", "你好 <b>"),
                ("Alice B", "grüße"),
            ]
            await session.close()
            await until(lambda: not server.online())
            assert server.complaints == []

    run(story)


def test_what_was_said_while_we_were_away_comes_when_we_are_back() -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            await server.say("alice", "mindbot", "are you there?")
            session = await connect(account, QUICK)
            message = await next_message(session)
            assert (message.text, message.sent_at_s is not None) == ("are you there?", True)
            await session.close()

    run(story)


@pytest.mark.parametrize(
    ("switches", "password", "permanent", "too_often"),
    [
        (Switches(), "wrong", True, False),
        (Switches(key_error=0x07), SECRET, True, False),
        (Switches(login_error=0x18), SECRET, False, True),
        (Switches(login_error=0x02), SECRET, False, False),
    ],
)
def test_a_refused_login_says_whether_it_is_worth_coming_back(
    switches: Switches, password: str, permanent: bool, too_often: bool
) -> None:
    async def story() -> None:
        async with serving(switches=switches) as (_, account, _):
            with pytest.raises(LoginRefused) as raised:
                await connect(replace(account, password=password), QUICK)
            assert (raised.value.permanent, raised.value.too_often) == (permanent, too_often)
            assert SECRET not in str(raised.value) + repr(account)

    run(story)


def test_an_advertised_address_that_cannot_be_reached_may_be_replaced_by_the_known_one() -> None:
    async def story() -> None:
        async with serving(switches=Switches(advertise="256.0.0.1")) as (_, account, _):
            with pytest.raises(Unavailable):
                await connect(account, QUICK)
            session = await connect(replace(account, keep_login_host=True), QUICK)
            await session.close()

    run(story)


@pytest.mark.parametrize(("code", "error"), [(0x04, Rejected), (0x05, Unavailable), (0x03, Throttled)])
def test_a_refusal_is_told_to_the_message_that_it_is_about(code: int, error: type[Exception]) -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            session = await connect(account, QUICK)
            server.switches.message_error = code
            with pytest.raises(error):
                await session.send("alice", "x", b"12345678")
            server.switches.message_error = 0
            await session.send("alice", "y", b"12345679")
            await session.close()

    run(story)


def test_a_message_that_nobody_acknowledges_is_unconfirmed() -> None:
    async def story() -> None:
        async with serving(switches=Switches(ack=False)) as (_, account, _):
            session = await connect(account, replace(QUICK, ack_s=SOON_S))
            with pytest.raises(Unconfirmed) as raised:
                await session.send("alice", "x", b"12345678")
            assert raised.value.kind == "ambiguous"
            await session.close()

    run(story)


@pytest.mark.parametrize(
    ("how", "elsewhere"), [("elsewhere", True), ("short", True), ("sign_off", False), ("close", False), ("rst", False)]
)
def test_how_a_connection_ends_is_understood(how: str, elsewhere: bool) -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            session = await connect(account, QUICK)
            await until(server.online)
            await server.end("mindbot", how)
            ending = await ending_of(session)
            assert isinstance(ending, SignedOff)
            assert ending.elsewhere is elsewhere
            with pytest.raises(Unavailable) as raised:
                await session.send("alice", "x", b"12345678")
            assert raised.value.kind == "connection"
            await session.close()

    run(story)


def test_a_second_login_throws_the_first_out() -> None:
    async def story() -> None:
        async with serving() as (_, account, _):
            first = await connect(account, QUICK)
            second = await connect(account, QUICK)
            ending = await ending_of(first)
            assert isinstance(ending, SignedOff)
            assert ending.elsewhere
            assert second.ending is None
            for session in (first, second):
                await session.close()

    run(story)


def test_a_silent_server_is_noticed_and_a_living_one_is_not_disturbed() -> None:
    async def story() -> None:
        async with serving() as (server, account, events):
            living = await connect(account, replace(QUICK, probe_after_s=0.1))
            await asyncio.sleep(0.35)
            await until(lambda: named(events, "keep_alive"))
            assert living.ending is None
            await living.close()
            session = await connect(account, replace(QUICK, probe_after_s=0.1, probe_s=SOON_S))
            server.switches.silent = True
            assert "silent" in str(await ending_of(session))
            await session.close()

    run(story)


def test_bytes_that_are_no_frames_end_the_connection_and_nothing_else() -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            session = await connect(account, QUICK)
            await until(server.online)
            await server.tell("mindbot", 0x04, 0x07, b"half a mess")
            await server.tell("mindbot", 0x01, 0x10, b"\x00\x64")
            await server.say("alice", "mindbot", "still there?")
            assert (await next_message(session)).text == "still there?"
            assert session.warning_level == 100
            for client in server._online["mindbot"]:
                client.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert (await ending_of(session)).kind == "protocol"
            await session.close()

    run(story)


def test_tls_wants_a_certificate_that_somebody_vouches_for(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        async with serving(tls=context) as (server, account, _):
            with pytest.raises(Unavailable) as raised:
                await connect(replace(account, tls=True), QUICK)
            assert raised.value.code == "tls"
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
            session = await connect(replace(account, tls=True), QUICK)
            await session.send("alice", "psst", b"12345678")
            await session.close()
            assert server.complaints == []

    run(story)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestPace:
    def test_our_pace_loses_nothing_and_what_must_wait_is_told_so(self) -> None:
        async def story() -> None:
            clock = Clock()
            async with serving(clock=clock) as (_, account, events):
                session = await connect(account, QUICK, clock=clock)
                sent, waits, codes = 0, [], set()
                while sent < 30:
                    try:
                        await session.send("alice", "x", sent.to_bytes(8, "big"))
                        sent += 1
                    except Throttled as exc:
                        codes.add(exc.code)
                        waits.append(exc.retry_after_s or 0.0)
                        clock.now += waits[-1]
                assert codes == {"our_limit"}
                assert len(waits) == 24, "six go at once"
                assert len(named(events, "call")) == 30
                assert named(events, "dropped") == []
                await session.close()

        run(story)

    def test_who_has_to_wait_for_a_moment_only_waits_here(self) -> None:
        async def story() -> None:
            classes = [RateClass(3, 2, 100, 80, 50, 20, 500) if one.number == 3 else one for one in CLASSES]
            async with serving(classes=classes) as (_, account, events):
                session = await connect(account, replace(QUICK, patience_s=60))
                began_at_s = asyncio.get_running_loop().time()
                for number in range(2):
                    await session.send("alice", "x", number.to_bytes(8, "big"))
                assert asyncio.get_running_loop().time() - began_at_s > 0.4
                assert len(named(events, "call")) == 2
                assert named(events, "dropped") == []
                await session.close()

        run(story)

    def test_those_who_must_wait_are_told_different_times(self) -> None:
        async def story() -> None:
            clock = Clock()
            async with serving(clock=clock) as (_, account, _):
                session = await connect(account, QUICK, clock=clock)
                waits: list[float] = []
                for number in range(12):
                    try:
                        await session.send("alice", "x", number.to_bytes(8, "big"))
                    except Throttled as exc:
                        waits.append(exc.retry_after_s or 0.0)
                assert len(waits) == 6
                assert all(4 < later - earlier < 5 for earlier, later in pairwise(waits))
                await session.close()

        run(story)

    def test_the_whole_day_at_the_servers_own_classes(self) -> None:
        """Both sides' arithmetic with a clock of our own: thousands of messages, none dropped."""
        for one in CLASSES:
            now = 0.0
            meter = Meter(one, now)
            ours = rates.Bucket(
                rates.RateClass(
                    one.number, one.window, one.clear, one.alert, one.limit, one.disconnect, one.most, one.most
                ),
                now,
            )
            for _ in range(2000):
                now += ours.wait_ms(now)
                ours.note(now)
                assert meter.take(now + 20) in ("pass", "alert", "clear")

    def test_messages_that_the_server_drops_come_again_later(self) -> None:
        async def story() -> None:
            async with serving(clock=Clock()) as (_, account, events):
                session = await connect(account, QUICK)
                session.rates = rates.Rates()  # as if the server had told us nothing
                results = []
                for number in range(9):
                    if number == 7:  # nobody will confirm those that the server drops
                        session._timing = replace(QUICK, ack_s=SOON_S)
                    try:
                        await session.send("alice", "x", number.to_bytes(8, "big"))
                        results.append("sent")
                    except (Throttled, Unconfirmed) as exc:
                        results.append(type(exc).__name__)
                assert results[:7] == ["sent"] * 7
                assert "sent" not in results[7:]
                assert named(events, "dropped")
                await session.close()

        run(story)
