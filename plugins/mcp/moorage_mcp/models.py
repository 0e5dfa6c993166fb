"""The plugin's tables: workspaces, their upstreams, and the calls that were made."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model


class McpWorkspace(Model):
    """A workspace of a user. name_key: the name while it lives, something no name can be once it is deleted.

    server: `hub.server_id()` of whose folder it has, of those that share the database.
    tools: {"allow": […], "deny": […], "keys": {"<id of an API key>": {"allow", "deny"}}}.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    user_id = fields.IntField(db_index=True)
    user_pid = fields.CharField(max_length=32)
    name = fields.CharField(max_length=128)
    name_key = fields.CharField(max_length=160)
    status = fields.CharField(max_length=16, db_index=True)
    metadata: fields.Field[dict[str, Any]] = fields.JSONField(default=dict)
    nexusgate_service_id = fields.CharField(max_length=64, null=True)
    runtime = fields.CharField(max_length=64)
    server = fields.CharField(max_length=16, default="")
    tools: fields.Field[dict[str, Any]] = fields.JSONField(default=dict)
    call_limits: fields.Field[dict[str, int]] = fields.JSONField(default=dict)
    version = fields.IntField(default=1)
    created_at = fields.DatetimeField(db_index=True)
    updated_at = fields.DatetimeField(db_index=True)
    deleted_at = fields.DatetimeField(null=True)
    purge_after = fields.DatetimeField(null=True, db_index=True)

    class Meta:
        table = "mcp_workspaces"
        unique_together = (("user_id", "name_key"),)


class McpUpstream(Model):
    """An MCP server of a workspace. settings: what is no secret, by kind; sealed: what is, as sealed JSON."""

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    workspace_id = fields.IntField(db_index=True)
    name = fields.CharField(max_length=32)
    kind = fields.CharField(max_length=16)
    enabled = fields.BooleanField(default=True)
    position = fields.IntField(default=0)
    prefix = fields.CharField(max_length=40, default="")
    settings: fields.Field[dict[str, Any]] = fields.JSONField(default=dict)
    sealed = fields.TextField(null=True)
    version = fields.IntField(default=1)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "mcp_upstreams"
        unique_together = (("workspace_id", "name"),)


class McpCall(Model):
    """Something that was asked of a workspace's servers: a tool, a prompt, a resource.

    outcome: see `calls.Outcome`. arguments: as `keep_arguments` says, "sha256:…" or JSON, or null.
    """

    id = fields.IntField(primary_key=True)
    workspace_id = fields.IntField(db_index=True)
    user_id = fields.IntField(db_index=True)
    credential = fields.CharField(max_length=64)
    method = fields.CharField(max_length=64)
    tool = fields.CharField(max_length=256, null=True)
    upstream = fields.CharField(max_length=32, null=True)
    client = fields.CharField(max_length=128, null=True)
    arguments = fields.TextField(null=True)
    outcome = fields.CharField(max_length=16, db_index=True)
    error = fields.CharField(max_length=512, null=True)
    duration_ms = fields.FloatField()
    request_id = fields.CharField(max_length=64, null=True)
    at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "mcp_calls"
