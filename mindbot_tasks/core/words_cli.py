"""What every command says about what it cannot do without."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "database_away": ("{why}; `mindbot doctor` says more", "{why};详情请运行 `mindbot doctor`"),
    "other_tables": (
        "the database does not have the tables of this version; create or upgrade them: mindbot db upgrade",
        "数据库中没有本版本所需的表;请创建或升级:mindbot db upgrade",
    ),
}
