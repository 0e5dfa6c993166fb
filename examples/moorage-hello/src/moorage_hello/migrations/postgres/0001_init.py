"""hello 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "hello_greetings" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "text" VARCHAR(500) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_hello_greet_user_id_b31ab7" ON "hello_greetings" ("user_id");
COMMENT ON TABLE "hello_greetings" IS 'One kept greeting. `user_id` is its owner''s id: no foreign key, since the table of users is the core''s.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJzVlVFr2zAUhf+K8Es76EKXZW3pW+iyNQ9NRms26BiqYl87IrLkSjJJKP7v05XtOHGyjM"
    "Eo9KFgnXuOdPXdorwEcxBC9b5qAMtlGlyTl0CyDNxHt3RGApbnmwKuLZuJ1krT2mq8d2as"
    "ZpF15YQJA06KwUSa55YriaGpBLKA3JIm1yNPhQFNefxEuCHcGqKWEvSJ+46viVQkURp4Kl"
    "1sfUYMlxEQO3d/2AdRCcG4wSyqkTOfmB42E6vIdVNd8DXPLSR/LoBalYKraHf6z19O5jKG"
    "FZhmmS9owkHEO/R5jBt4ndp17rWxtF+8Ea80o5ESRSZbc762cyU3bi4tqim4qzALuL3VBQ"
    "5CFkLUo2tmU3XaWqoWtzIxJKwQOE5MVw20WkDpZBrSh1FIabA36iaxNYVaipTEfxPXqvG3"
    "T7GF9/0Pg8vB1ceLwZWz+DY3ymVZHd2CqYIezyQMSl9nllUOz7iFWo/5H8huJf6Ot4F5jG"
    "8jvGXALVALK7tP82bO9GGcjb/D0rX4f1i2T81rwMzYigqQqZ275afz8yPovg/vb26H96fO"
    "9Q6PVO5trN7OSV3qV7VdvpEG5EHZAcqfXcXyDA6T3k12eMd1tNd8vEH6R2CH47vRQzi8+4"
    "bbZ8Y8C89rGI6w0vfquqOeXnTmstmE/BiHtwSX5HE6GXmcylj362F2fOFjgD2xwioq1ZKy"
    "eJtJIzdSiS9/sth6plCYsWixZDqmexXVV3/y7peyftZVmGSpHxLSLMvfJuKOxQ=="
)
