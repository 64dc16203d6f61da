"""What calls of models cost: totals of each day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
KEYS = "day, platform, bot, user_ref, provider, model, workflow, purpose"
SUMS = ("calls", "failures", "input_tokens", "output_tokens", "cost_nano", "unpriced", "took_ms")


def _adding(calls: str) -> str:
    """What `calls` selects, added to what is there; an element of `spent` is a list in the order of the columns."""
    more = ", ".join(f"{name} = spending_daily.{name} + excluded.{name}" for name in SUMS)
    return f"""
        INSERT INTO spending_daily ({KEYS}, {", ".join(SUMS)}) {calls}
        ON CONFLICT ({KEYS}) DO UPDATE SET {more};
    """


def _in_sqlite(when: str) -> str:
    columns = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(15))
    # "WHERE true": without it the parser takes ON for the condition of a join
    adding = _adding(f"SELECT {columns} FROM json_each(NEW.spent) WHERE true")  # noqa: S608 - only our own words
    name = when.split()[0].lower()
    return f"CREATE TRIGGER answers_spent_{name} AFTER {when} ON answers WHEN NEW.spent IS NOT NULL BEGIN {adding} END"


def _in_postgresql() -> tuple[str, ...]:
    columns = ", ".join(f"one->>{number}" if number < 8 else f"(one->>{number})::bigint" for number in range(15))
    adding = _adding(f"SELECT {columns} FROM jsonb_array_elements(NEW.spent) AS one")  # noqa: S608 - only our own words
    return (
        f"CREATE FUNCTION answers_spent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {adding} RETURN NULL; END $$",
        "CREATE TRIGGER answers_spent AFTER INSERT OR UPDATE OF spent ON answers FOR EACH ROW "
        "WHEN (NEW.spent IS NOT NULL) EXECUTE FUNCTION answers_spent()",
    )


def upgrade() -> None:
    op.create_table(
        "spending_daily",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("bot", sa.String(80), nullable=False),
        sa.Column("user_ref", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(80), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("workflow", sa.String(80), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint(*KEYS.split(", "), name="pk_spending_daily"),
    )
    op.add_column("answers", sa.Column("spent", JSON))
    if op.get_bind().dialect.name == "sqlite":
        statements: tuple[str, ...] = (_in_sqlite("INSERT"), _in_sqlite("UPDATE OF spent"))
    else:
        statements = _in_postgresql()
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("insert", "update"):
            op.execute(f"DROP TRIGGER answers_spent_{name}")
    else:
        op.execute("DROP TRIGGER answers_spent ON answers")
        op.execute("DROP FUNCTION answers_spent()")
    op.drop_column("answers", "spent")
    op.drop_table("spending_daily")
