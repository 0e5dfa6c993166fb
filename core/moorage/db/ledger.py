"""The ledger of applied migrations: aerich's own table, so that its tools can read a database of ours."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model

LABEL = "aerich"


class Applied(Model):
    """A migration that ran. `version` is the file's name; `content` the models as aerich describes them."""

    id = fields.IntField(primary_key=True)
    version = fields.CharField(max_length=255)
    app = fields.CharField(max_length=100)
    content: dict[str, Any] = fields.JSONField()

    class Meta:
        table = "aerich"
        ordering = ("id",)
