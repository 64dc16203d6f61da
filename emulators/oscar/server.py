"""An OSCAR server: logins by digest or roasted password, a BOS on the same port, messages between accounts and peers.

Every name that is not an account is a peer: a person whom the tests let speak, and whose received messages are noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulators.oscar import limiter, wire
from emulators.oscar.client import DATA, KEEP_ALIVE, SIGN_OFF, SIGN_ON, Client, Switches
from emulators.oscar.limiter import CLASSES, GROUPS, Meter, RateClass
from emulators.oscar.wire import BadFrame, normal, short, sized, tlv, tlvs

FAMILIES = (0x01, 0x02, 0x03, 0x04, 0x06, 0x08, 0x09, 0x0A, 0x0B, 0x10, 0x13, 0x15, 0x18)
SERVED = ((1, 2), (1, 6), (1, 8), (1, 0x17), (4, 2), (4, 4), (4, 6), (4, 8), (4, 0x10), (4, 0x14))
LOGIN_S = 30.0
COOKIE_S = 30.0
_PEPPER = b"AOL Instant Messenger (SM)"
_ROAST = bytes.fromhex("f32681c43986db9271a3b9e6537a957c")
_HELLO = b"\x00\x00\x00\x01"

Note = Callable[[str, dict[str, Any]], object]


class OscarServer:
    """`start`, then `port`; everything that happens is told to `note(event, fields)`."""

    def __init__(
        self,
        accounts: Mapping[str, str] | None = None,
        *,
        note: Note = lambda *_: None,
        classes: Sequence[RateClass] = CLASSES,
        switches: Switches | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`accounts`: screen name -> password; None: every name is let in, whatever its password."""
        self.accounts = None if accounts is None else {normal(name): password for name, password in accounts.items()}
        self.switches = switches or Switches()
        self.complaints: list[str] = []
        self.offline: set[str] = set()  #: peers who are not there
        self.port = 0
        self._note = note
        self._classes = classes
        self._clock = clock
        self._tickets: dict[bytes, tuple[str, int, float]] = {}
        self._online: dict[str, list[Client]] = defaultdict(list)
        self._stored: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
        self._seen: set[tuple[str, str, bytes]] = set()
        self._listener: asyncio.Server | None = None
        self._clients: set[Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self._listener = await asyncio.start_server(self._serve, host, port, ssl=tls)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for client in list(self._clients):
            client.writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        self.switches.__init__()  # type: ignore[misc]
        self.complaints.clear()
        self.offline.clear()
        self._stored.clear()
        self._seen.clear()

    def online(self) -> list[str]:
        """Who is signed on and ready."""
        return sorted(name for name, clients in self._online.items() if any(client.ready for client in clients))

    async def say(
        self,
        sender: str,
        to: str,
        text: str,
        *,
        cookie: bytes | None = None,
        charset: int | None = None,
        automatic: bool = False,
    ) -> dict[str, Any]:
        """A peer writes to an account; kept for it when it is away."""
        if charset is None:
            charset = 0 if text.isascii() else 2
        cookie = os.urandom(8) if cookie is None else cookie
        values = tlv(2, wire.fragments(text, charset)) + (tlv(4) if automatic else b"")
        body = cookie + short(1) + wire.user_info(sender) + values
        told = {"from": sender, "to": to, "text": text, "cookie": cookie.hex(), "automatic": automatic}
        clients = [client for client in self._online[normal(to)] if client.ready]
        self._note("message", {**told, "delivered": bool(clients)})
        for client in clients:
            await client.snac(0x04, 0x07, body)
        if not clients:
            self._stored[normal(to)].append((body, sender))
        return {**told, "delivered": bool(clients)}

    async def end(self, name: str, how: str) -> int:
        """End the connections of an account; returns how many there were."""
        clients = list(self._online[normal(name)])
        for client in clients:
            await client.end(how)
        return len(clients)

    async def tell(self, name: str, family: int, subtype: int, body: bytes) -> None:
        """A notice to an account."""
        for client in self._online[normal(name)]:
            await client.snac(family, subtype, body)

    # connections

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a stream's callback is a task
        self._tasks.add(task)
        client = Client(reader, writer, self.switches, self._complain)
        self._clients.add(client)
        try:
            await client.send(SIGN_ON, _HELLO)
            channel, payload = await asyncio.wait_for(client.read(), LOGIN_S)
            if channel != SIGN_ON or payload[:4] != _HELLO:
                raise BadFrame("the client does not say hello")
            values = tlvs(payload[4:])
            if 6 in values:
                await self._bos(client, values[6])
            elif 1 in values:
                await self._roasted(client, values)
            else:
                await self._bucp(client)
        except BadFrame as exc:
            self._complain(str(exc))
        except (EOFError, OSError, asyncio.CancelledError, TimeoutError):
            pass
        finally:
            self._clients.discard(client)
            self._tasks.discard(task)
            mine = self._online[normal(client.name)]
            if client in mine:
                mine.remove(client)
                self._note("signed_off", {"name": client.name})
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _complain(self, what: str) -> None:
        self.complaints.append(what)
        self._note("complaint", {"what": what})

    async def _bucp(self, client: Client) -> None:
        key = os.urandom(5).hex().encode()
        while True:
            channel, payload = await asyncio.wait_for(client.read(), LOGIN_S)
            if channel != DATA:
                return None
            family, subtype, request_id, body = _open(payload)
            values = tlvs(body)
            name = values.get(1, b"").decode()
            if (family, subtype) == (0x17, 0x06):
                code = self.switches.key_error or (0 if self._known(name) else 0x01)
                if code:
                    await client.snac(0x17, 0x03, tlv(1, name.encode()) + tlv(8, short(code)), request_id=request_id)
                    return await client.end("sign_off")
                await client.snac(0x17, 0x07, short(len(key)) + key, request_id=request_id)
            elif (family, subtype) == (0x17, 0x02):
                right = self._right_digest(name, key, values.get(0x25, b""))
                answer = self._answer(client, name, right, (values.get(0x4A) or b"\0")[0], wrong=0x05)
                await client.snac(0x17, 0x03, answer, request_id=request_id)
                return await client.end("sign_off")

    async def _roasted(self, client: Client, values: Mapping[int, bytes]) -> None:
        name = values[1].decode()
        secret = values.get(2, b"")
        password = bytes(byte ^ _ROAST[number % len(_ROAST)] for number, byte in enumerate(secret)).decode("latin-1")
        right = self.accounts is None or self.accounts.get(normal(name)) == password
        await client.send(SIGN_OFF, self._answer(client, name, right, 0, wrong=0x05))

    def _known(self, name: str) -> bool:
        return bool(normal(name)) and (self.accounts is None or normal(name) in self.accounts)

    def _right_digest(self, name: str, key: bytes, proof: bytes) -> bool:
        if self.accounts is None:
            return len(proof) == 16
        password = self.accounts.get(normal(name), "").encode()
        weak = hashlib.md5(key + password + _PEPPER, usedforsecurity=False).digest()
        inner = hashlib.md5(password, usedforsecurity=False).digest()
        strong = hashlib.md5(key + inner + _PEPPER, usedforsecurity=False).digest()
        return proof == weak or (proof == strong and not self.switches.weak_only)

    def _answer(self, client: Client, name: str, right: bool, multi: int, *, wrong: int) -> bytes:
        code = self.switches.login_error or (0 if right else wrong)
        self._note("login", {"name": name, "code": code, "multi": multi})
        if code:
            return tlv(1, name.encode()) + tlv(8, short(code)) + tlv(4, b"http://www.example.org/login")
        cookie = os.urandom(64)
        self._tickets[cookie] = (name, multi, self._clock() + COOKIE_S)
        host = self.switches.advertise or client.writer.get_extra_info("sockname")[0]
        return (
            tlv(1, name.encode()) + tlv(5, f"{host}:{self.port}".encode()) + tlv(6, cookie) + tlv(0x8E, b"\x00")
        )  # fmt: skip

    # the BOS

    async def _bos(self, client: Client, cookie: bytes) -> None:
        name, multi, until = self._tickets.pop(cookie, ("", 0, 0.0))
        if self._clock() > until:
            self._note("refused", {"why": "unknown cookie"})
            return await client.end("sign_off")
        if not multi & 1 or multi == 3:
            for old in list(self._online[normal(name)]):
                await old.end("elsewhere" if old.multi else "short")
        client.name, client.multi = name, multi
        client.meters = [Meter(one, self._now_ms()) for one in self._classes]
        self._online[normal(name)].append(client)
        await client.snac(0x01, 0x03, short(*FAMILIES))
        while True:
            wait_s = None if client.ready else LOGIN_S
            channel, payload = await asyncio.wait_for(client.read(), wait_s)
            if channel == SIGN_OFF:
                return None
            if channel == KEEP_ALIVE:
                self._note("keep_alive", {"name": name})
            elif channel == DATA:
                await self._take(client, *_open(payload))

    async def _take(self, client: Client, family: int, subtype: int, request_id: int, body: bytes) -> None:
        if request_id & 0x8000_0000:
            self._complain("a request id of the server's kind")
        if self.switches.limiter and not await self._passes(client, (family, subtype), body):
            return
        match (family, subtype):
            case (0x01, 0x17):
                asked = [int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body), 4)]
                if not asked or not set(asked) <= set(FAMILIES):
                    self._complain("versions of families that are not served")
                await client.snac(0x01, 0x18, body, request_id=request_id)
            case (0x01, 0x06):
                data = limiter.table(client.meters, SERVED, entries=self.switches.rate_entries)
                await client.snac(0x01, 0x07, data, request_id=request_id)
            case (0x01, 0x08):
                if body != short(*(one.number for one in self._classes)):
                    self._complain("not every rate class was acknowledged")
            case (0x04, 0x04):
                data = short(5) + wire.long(0x0B) + short(512, 999, 999) + wire.long(0)
                await client.snac(0x04, 0x05, data, request_id=request_id)
            case (0x04, 0x02):
                if len(body) != 16:
                    self._complain("messaging parameters of a wrong size")
            case (0x01, 0x02):
                if not body or len(body) % 8:
                    self._complain("client ready does not have eight bytes for each family")
                client.ready = True
                self._note("online", {"name": client.name})
            case (0x04, 0x10):
                for stored, sender in self._stored.pop(normal(client.name), []):
                    self._note("message_kept", {"from": sender, "to": client.name, "cookie": stored[:8].hex()})
                    await client.snac(0x04, 0x07, stored + tlv(0x16, wire.long(int(time.time()))))
            case (0x04, 0x06):
                await self._relay(client, request_id, body)
            case (0x04, 0x14):
                to, rest = sized(body[10:])
                self._note("typing", {"from": client.name, "to": to.decode(), "what": int.from_bytes(rest, "big")})
            case _:
                await client.snac(family, 0x01, short(0x01), request_id=request_id)

    async def _passes(self, client: Client, kind: tuple[int, int], body: bytes) -> bool:
        meter = next((one for one in client.meters if one.rate.number == GROUPS.get(kind, 1)), client.meters[0])
        outcome = meter.take(self._now_ms())
        code = {"alert": 2, "drop": 3, "clear": 4}.get(outcome)
        if code:
            await client.snac(0x01, 0x0A, short(code) + meter.describe(entries=self.switches.rate_entries))
        if outcome == "disconnect":
            await client.end("sign_off")
        if outcome in ("drop", "disconnect"):
            told = _message(body) if kind == (0x04, 0x06) else {}
            self._note("dropped", {"from": client.name, "outcome": outcome, **told})
            return False
        return True

    async def _relay(self, client: Client, request_id: int, body: bytes) -> None:
        told = _message(body)
        to, cookie = str(told["to"]), body[:8]
        code = self.switches.message_error or (0x04 if normal(to) in self.offline else 0)
        key = (normal(client.name), normal(to), cookie)
        self._note(
            "call",
            {"method": "SNAC", "path": "/oscar/04/06", "from": client.name, **told, "accepted": not code,
             "repeated": key in self._seen, "errcode": code},
        )  # fmt: skip
        if code:
            return await client.snac(0x04, 0x01, short(code), request_id=request_id)
        self._seen.add(key)
        name, rest = sized(body[10:])
        values = {kind: value for kind, value in tlvs(rest).items() if kind not in (3, 6)}
        passed = b"".join(tlv(kind, value) for kind, value in values.items())
        for other in self._online[normal(to)]:
            await other.snac(0x04, 0x07, body[:10] + wire.user_info(client.name) + passed)
        if 3 in tlvs(rest) and self.switches.ack:
            await asyncio.sleep(self.switches.delay_ms / 1000)
            await client.snac(0x04, 0x0C, body[:10] + bytes([len(name)]) + name, request_id=request_id)
        return None

    def _now_ms(self) -> float:
        return self._clock() * 1000


def _open(payload: bytes) -> tuple[int, int, int, bytes]:
    """Family, subtype, request id, body."""
    if len(payload) < 10:
        raise BadFrame("half a SNAC")
    family, subtype = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
    return family, subtype, int.from_bytes(payload[6:10], "big"), payload[10:]


def _message(body: bytes) -> dict[str, Any]:
    """What the log says about a 04/06."""
    name, rest = sized(body[10:])
    if body[8:10] != b"\x00\x01":
        raise BadFrame("a message on another channel")
    return {"to": name.decode(), "cookie": body[:8].hex(), "text": wire.text_of(tlvs(rest).get(2, b""))}
