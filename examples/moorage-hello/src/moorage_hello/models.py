"""The table of greetings."""

from tortoise import fields
from tortoise.models import Model


class Greeting(Model):
    """One kept greeting. `user_id` is its owner's id: no foreign key, since the table of users is the core's."""

    id = fields.IntField(primary_key=True)
    user_id = fields.IntField(db_index=True)
    text = fields.CharField(max_length=500)
    created_at = fields.DatetimeField()

    class Meta:
        table = "hello_greetings"
