"""The conversation of the first connection: a key, a digest, and a ticket for the second."""

from __future__ import annotations

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.platforms.aim import login
from mindbot_tasks.platforms.aim.account import Account
from mindbot_tasks.platforms.aim.connection import Connection
from mindbot_tasks.platforms.aim.errors import LoginRefused, SignedOff, protocol
from mindbot_tasks.platforms.aim.wire import DATA, SIGN_OFF, SIGN_ON, Snac, decode_snac


async def log_in(account: Account) -> login.Ticket:
    """By the strong digest; by the weak one where a server knows only that. Raises LoginRefused or Unavailable.

    Nobody is thrown out by that: only whoever uses the ticket comes online.
    """
    try:
        return await _prove(account, strong=True)
    except LoginRefused as exc:
        if not exc.wrong_password:
            raise
    return await _prove(account, strong=False)


async def _prove(account: Account, *, strong: bool) -> login.Ticket:
    connection = await Connection.open(account.host, account.port, tls=account.tls)
    try:
        await connection.hello()
        await connection.send(SIGN_ON, login.HELLO)
        await connection.send_snac(login.ask_key(account.name))
        answer = await _next_login_snac(connection)
        if answer.subtype == login.KEY:
            proof = login.digest(login.read_key(answer.body), account.password, strong=strong)
            await connection.send_snac(login.login(account.name, proof, strong=strong))
            answer = await _next_login_snac(connection)
        return login.read_answer(answer.body)
    except PayloadInvalid as exc:
        raise protocol(f"the login went wrong: {exc}") from exc
    finally:
        connection.close()
        await connection.wait_closed()


async def _next_login_snac(connection: Connection) -> Snac:
    while True:
        frame = await connection.read()
        if frame.channel == SIGN_OFF and frame.payload:  # some servers say it with their last words
            return Snac(login.FAMILY, login.ANSWER, frame.payload)
        if frame.channel == SIGN_OFF:
            raise SignedOff("the server ended the login")
        if frame.channel == DATA:
            snac = decode_snac(frame.payload)
            if snac.kind in ((login.FAMILY, login.KEY), (login.FAMILY, login.ANSWER)):
                return snac
