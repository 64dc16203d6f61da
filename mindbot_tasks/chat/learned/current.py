"""Which trained version this process uses: the shipped one until the database names another."""

from __future__ import annotations

import threading
from importlib import resources

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mindbot_tasks.chat.learned import model as models
from mindbot_tasks.chat.learned.model import Model
from mindbot_tasks.core.errors import DatabaseUnavailable, PayloadInvalid
from mindbot_tasks.stores import learning
from mindbot_tasks.stores.database import reading

log = structlog.get_logger(__name__)

SHIPPED = 0  #: the number of the version that comes with MindBot

_lock = threading.Lock()
_shipped: Model | None = None
_used: Model | None = None
_version = SHIPPED  #: that was last asked for, whether or not it could be read


def shipped() -> Model:
    """The version that comes with MindBot; read at its first use."""
    global _shipped
    with _lock:
        if _shipped is None:
            file = resources.files("mindbot_tasks.chat.learned").joinpath("data", "model.json")
            _shipped = models.loads(file.read_bytes())
        return _shipped


def in_use() -> Model:
    """The version that this process uses now."""
    return _used or shipped()


def version() -> int:
    """The number of the version in use."""
    return _version if _used is not None else SHIPPED


def follow(active: int) -> None:
    """Use the version of this number from now on. One that cannot be read is told of once, and the last one stays.

    Raises DatabaseUnavailable.
    """
    global _used, _version
    if active == _version:
        return
    if active == SHIPPED:
        _used, _version = None, SHIPPED
        return
    with reading() as connection:
        data = learning.data_of(connection, active)
    _version = active
    try:
        if data is None:
            raise PayloadInvalid("there is no such version")
        found = models.loads(data)
    except PayloadInvalid as exc:
        log.warning("classifier_version_unusable", version=active, reason=str(exc))
        return
    _used = found


def follow_database() -> int:
    """Use the version that the database calls active; returns its number. Raises DatabaseUnavailable."""
    with reading() as connection:
        active = learning.active_version(connection)
    follow(active)
    return version()


def follow_if_reachable() -> int:
    """As `follow_database`; where there is no database, or none with our tables yet, the shipped version stays."""
    try:
        return follow_database()
    except (DatabaseUnavailable, SQLAlchemyError):
        return version()


def forget() -> None:
    """Back to the shipped version; for tests."""
    global _used, _version
    _used, _version = None, SHIPPED
