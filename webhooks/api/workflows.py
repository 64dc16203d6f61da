"""How the workflows do, and what people go on with: /api/v1/workflows."""

from __future__ import annotations

from typing import Annotated, Any

import flask
from pydantic import BaseModel, ConfigDict, Field

from mindbot_tasks import standing
from mindbot_tasks.standing import WORKFLOW
from mindbot_tasks.stores import tallies
from mindbot_tasks.stores.database import reading
from webhooks import access, errors
from webhooks.api.models import View
from webhooks.api.views import api


class WorkflowView(View):
    """One workflow; null where nothing is known. Shares from 0 to 1, times in seconds."""

    name: str
    on: bool = Field(description="the configuration has it")
    demoted: bool = Field(description="it fails too often, and is asked after the others until it recovers")
    calls: int = Field(description="times it was asked, and messages for it that nobody answered")
    answered: int
    skipped: int = Field(description="times it was not asked, for its breaker or a limit")
    success: float | None = Field(description="answered / calls")
    p50_s: float | None
    p95_s: float | None
    mean_s: float | None
    up: int
    down: int
    reasked: int = Field(description="answers after which the same person asked the same again")
    satisfaction: float | None = Field(
        description="lower end of the 95 % interval of the share of content people; a repeated question is half a down"
    )
    recovery: float | None = Field(description="share of its failures that another one answered")
    errors: dict[str, int] = Field(description="calls that failed, by kind")


class WorkflowList(View):
    """All workflows that are configured or were asked."""

    days: int
    workflows: list[WorkflowView]


class RecommendationView(View):
    """A workflow that people went on with."""

    workflow: str
    suggestion: str = Field(description="the words of the configuration that offer it; may be empty")
    share: float = Field(description="of the people that went on with another workflow")
    times: int


class RecommendationList(View):
    """The likeliest first."""

    label: str | None = Field(description="the workflow that the conversation is in; null: it has no answer yet")
    recommendations: list[RecommendationView]


class DaysQuery(BaseModel):
    """How far back."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[int, Field(ge=1, le=400)] = 7


class ConversationQuery(BaseModel):
    """Which conversation."""

    model_config = ConfigDict(extra="forbid")

    conversation: Annotated[str, Field(min_length=1, max_length=255)] = Field(description="the platform's own id")
    platform: Annotated[str, Field(max_length=40)] = ""
    bot: Annotated[str, Field(max_length=80)] = ""


RESPONSES = {401: "No valid API key", 404: "Not yours to see", 429: "Too many requests", 503: "Database away"}


def _only_keys() -> flask.Response | None:
    if flask.g.caller.conversation is not None:
        return errors.error(404, "not_found", "That is for holders of an API key.")
    return None


@api.get("/workflows")
@api.input(DaysQuery, location="query", arg_name="query")
@api.output(WorkflowList)
@api.doc(
    summary="How the workflows do",
    description="Answers, times, satisfaction and errors of the last days (UTC, today included).",
    tags=["workflows"],
    security="key",
    responses=RESPONSES,
)
def list_workflows(query: DaysQuery) -> Any:
    """The workflows by name."""
    if (refusal := _only_keys()) is not None:
        return refusal
    found = standing.of_answerers(access.settings(), query.days)
    return WorkflowList(
        days=query.days,
        workflows=[
            WorkflowView(
                name=one.figures.answerer.removeprefix(WORKFLOW),
                on=one.on,
                demoted=one.demoted,
                **{
                    name: getattr(one.figures, name)
                    for name in WorkflowView.model_fields
                    if name not in ("name", "on", "demoted", "errors")
                },
                errors=dict(one.figures.errors),
            )
            for one in found
        ],
    )


@api.get("/workflows/recommendations")
@api.input(ConversationQuery, location="query", arg_name="query")
@api.output(RecommendationList)
@api.doc(
    summary="What people like these went on with",
    description="From the workflow that a conversation is in: which workflows people of the same bot used next.",
    tags=["workflows"],
    security="key",
    responses=RESPONSES,
)
def list_recommendations(query: ConversationQuery) -> Any:
    """The likeliest next workflows of a conversation."""
    if (refusal := _only_keys()) is not None:
        return refusal
    settings = access.settings()
    with reading() as connection:
        where = tallies.last_label(connection, query.platform, query.bot, query.conversation)
    if where is None:
        return RecommendationList(label=None, recommendations=[])
    platform, bot, label = where
    return RecommendationList(
        label=label,
        recommendations=[
            RecommendationView(
                workflow=one.workflow,
                suggestion=settings.workflows[one.workflow].suggestion,
                share=round(one.share, 4),
                times=one.times,
            )
            for one in standing.after(settings, platform, bot, label)
        ],
    )
