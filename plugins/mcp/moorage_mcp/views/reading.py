"""What the views read: bodies, queries and the numbers in paths."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from moorage.api import ValidationFailed
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from moorage_mcp.calls import Outcome
from moorage_mcp.checks import limits, rules
from moorage_mcp.records import Kind, Status
from moorage_mcp.snippets import Client

MAX_ID = 2**31 - 1
MAX_BODY = 128 * 1024
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
StrictId = Annotated[StrictInt, Field(ge=1, le=MAX_ID)]
Name = Annotated[StrictStr, Field(max_length=1024)]
Patterns = list[StrictStr]


class PageQuery(BaseModel):
    """Which page of a list. A page past the end is empty."""

    page: int = Field(1, ge=1, le=MAX_ID)
    per_page: int = Field(20, ge=1, le=100)

    @property
    def offset(self) -> int:
        """How many come before the page."""
        return (self.page - 1) * self.per_page


class WorkspacesQuery(PageQuery):
    """GET /api/v1/workspaces. user_id: whose, where not one's own only for administrators."""

    status: Status | None = Field(None, description="Without it all that are not deleted.")
    user_id: Id | None = None


class CallsQuery(PageQuery):
    """GET /api/v1/workspaces/{workspace_id}/calls. tool: the whole name."""

    outcome: Outcome | None = None
    tool: Annotated[str, Field(min_length=1, max_length=256, pattern="^[^\0]*$")] | None = None


class WorkspaceQuery(BaseModel):
    """GET /api/v1/workspaces/{workspace_id}."""

    tools: bool = Field(True, description="false: leave its tools out, so that no server is started for them.")


class SnippetQuery(BaseModel):
    """GET /api/v1/workspaces/{workspace_id}/mcp.json."""

    client: Client = Field(Client.GENERIC, description="For which program.")
    auth: Literal["key", "oauth"] = Field(
        "key", description='"key": with a place for an API key, never a key itself; "oauth": the client logs in.'
    )


class ToolsQuery(BaseModel):
    """GET /api/v1/mcp/tools."""

    workspace_id: Id


class WorkspaceBody(BaseModel):
    """POST /api/v1/workspaces."""

    name: Name | None = Field(None, description="Letters, digits, hyphens, dots, underscores; at most 128.")
    metadata: dict[str, Any] = {}


class Own(BaseModel):
    """A body of our own routes: a field that is not there is a mistake."""

    model_config = ConfigDict(extra="forbid")


class RestoreBody(Own):
    """POST /api/v1/workspaces/{workspace_id}/restore. name: a new one, where the old is taken by now."""

    name: Name | None = None


class RulesBody(Own):
    """Which tools there are: patterns of their names with `*`. deny goes before allow; no allow allows all."""

    allow: Patterns = []
    deny: Patterns = []


class ChangeBody(Own):
    """PATCH /api/v1/workspaces/{workspace_id}: what is left out stays; what is given replaces what was there."""

    name: Name | None = None
    metadata: dict[str, Any] = {}
    tool_rules: RulesBody = RulesBody()
    key_tool_rules: dict[str, RulesBody] = Field({}, description="More rules, by the number of the API key that calls.")
    call_limits: dict[str, StrictInt] = Field({}, description="Calls per minute, by tool's pattern.")
    nexusgate_service_id: Annotated[StrictStr, Field(max_length=64, pattern="^[^\0]*$")] | None = None

    def rules(self) -> dict[str, Any]:
        """The rules that were given, as they are stored. ValidationFailed."""
        found: dict[str, Any] = {}
        if "tool_rules" in self.model_fields_set:
            found["tools"] = rules("tool_rules", self.tool_rules.model_dump())
        if "key_tool_rules" in self.model_fields_set:
            found["keys"] = {
                key_id(key): rules(f"key_tool_rules.{key}", kept.model_dump())
                for key, kept in self.key_tool_rules.items()
            }
        return found

    def columns(self) -> dict[str, Any]:
        """What else was given. ValidationFailed."""
        given = self.model_fields_set - {"tool_rules", "key_tool_rules"}
        found = {field: getattr(self, field) for field in given}
        if "call_limits" in found:
            found["call_limits"] = limits("call_limits", self.call_limits)
        return found


class UpstreamFields(Own):
    """A server of a workspace: what may be set."""

    enabled: StrictBool = True
    position: Annotated[StrictInt, Field(ge=0, le=10_000)] = 0
    prefix: StrictStr = Field("", description='Before the names of its tools and prompts; "" for one server at most.')
    command: list[StrictStr] = Field([], description="stdio: the program and its arguments.")
    env: dict[str, StrictStr] = Field({}, description="stdio: variables of the program that are no secrets.")
    secrets: dict[str, StrictStr] = Field({}, description='stdio: variables that are; shown as "***" ever after.')
    url: StrictStr = Field("", description="http, sse: the address.")
    headers: dict[str, StrictStr] = Field({}, description='http, sse: sent with each request; shown as "***".')
    fixed: dict[str, Any] = Field({}, description="Arguments that are filled in for every tool that has them.")
    tools: RulesBody = RulesBody()
    annotations: dict[str, dict[str, Any]] = Field({}, description="By tool: put over what the server says of it.")
    era: Literal["legacy", "modern"] | None = Field(None, description="http: which the server speaks; null: found out.")

    def given(self) -> dict[str, Any]:
        """What was in the body."""
        return self.model_dump(exclude_unset=True, exclude={"kind"})


class NewUpstreamBody(UpstreamFields):
    """POST /api/v1/workspaces/{workspace_id}/upstreams."""

    name: StrictStr
    kind: Kind


class ChangeUpstreamBody(UpstreamFields):
    """PATCH /api/v1/workspaces/{workspace_id}/upstreams/{upstream_id}: what is left out stays."""

    name: StrictStr = ""


class InvokeBody(BaseModel):
    """POST /api/v1/mcp/invoke."""

    workspace_id: StrictId
    tool: Annotated[StrictStr, Field(min_length=1, max_length=256)]
    parameters: dict[str, Any] = {}


def path_id(text: str, field: str) -> int:
    """The number in a path; 0, which nothing has, for one too great. ValidationFailed for what is no number."""
    if not (text.isascii() and text.isdigit()):
        raise ValidationFailed(
            f"{field} must be an integer", problems=[{"field": field, "message": "must be an integer"}]
        )
    number = int(text) if len(text) <= 10 else 0
    return number if number <= MAX_ID else 0


def key_id(text: str) -> int:
    """The number of an API key, written as text. ValidationFailed."""
    number = path_id(text, "key_tool_rules") if len(text) <= 10 else 0
    if not number or str(number) != text:
        raise ValidationFailed(
            "key_tool_rules: names are the numbers of API keys",
            problems=[{"field": "key_tool_rules", "message": "names are the numbers of API keys"}],
        )
    return number
