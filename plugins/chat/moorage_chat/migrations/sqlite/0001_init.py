"""chat 0001_init on sqlite. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "chat_conversations" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "user_id" INT NOT NULL,
    "user_pid" VARCHAR(32) NOT NULL,
    "space" VARCHAR(16) NOT NULL,
    "title" VARCHAR(500) NOT NULL,
    "title_key" TEXT NOT NULL,
    "title_source" VARCHAR(16) NOT NULL,
    "mode" VARCHAR(16) NOT NULL,
    "head_id" INT,
    "next_seq" INT NOT NULL,
    "provider" VARCHAR(64),
    "model" VARCHAR(256),
    "settings" JSON NOT NULL,
    "share_hash" VARCHAR(64) UNIQUE,
    "shared_at" TIMESTAMP,
    "deleted_at" TIMESTAMP,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL
) /* A conversation. head_id: the newest message of the branch that is shown. settings: of the user's for it. */;
CREATE INDEX "idx_chat_conver_deleted_f43484" ON "chat_conversations" ("deleted_at");
CREATE INDEX "idx_chat_conver_user_id_001a78" ON "chat_conversations" ("user_id", "updated_at");
CREATE TABLE "chat_events" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "generation_id" VARCHAR(36) NOT NULL,
    "first_seq" INT NOT NULL,
    "last_seq" INT NOT NULL,
    "events" JSON NOT NULL,
    CONSTRAINT "uid_chat_events_generat_857397" UNIQUE ("generation_id", "first_seq")
) /* Some events of a generation: a row for those that were written at once. first_seq, last_seq: their numbers. */;
CREATE TABLE "chat_generations" (
    "id" VARCHAR(36) NOT NULL PRIMARY KEY,
    "conversation_id" INT NOT NULL,
    "user_id" INT NOT NULL,
    "message_id" INT,
    "server" VARCHAR(16) NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "model" VARCHAR(256) NOT NULL,
    "params" JSON NOT NULL,
    "status" VARCHAR(16) NOT NULL,
    "error_code" VARCHAR(32),
    "error_message" TEXT,
    "usage" JSON,
    "started_at" TIMESTAMP NOT NULL,
    "ended_at" TIMESTAMP
) /* A run of a model. server: `hub.server_id()` of the server that it runs on. */;
CREATE INDEX "idx_chat_genera_convers_13d720" ON "chat_generations" ("conversation_id");
CREATE INDEX "idx_chat_genera_user_id_db7afa" ON "chat_generations" ("user_id");
CREATE INDEX "idx_chat_genera_status_2ce6a8" ON "chat_generations" ("status");
CREATE INDEX "idx_chat_genera_ended_a_d6e8d5" ON "chat_generations" ("ended_at");
CREATE TABLE "chat_idempotency" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "user_id" INT NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    "body_hash" VARCHAR(64) NOT NULL,
    "status" INT,
    "response" JSON,
    "expires_at" TIMESTAMP NOT NULL,
    CONSTRAINT "uid_chat_idempo_user_id_c20491" UNIQUE ("user_id", "key")
) /* An answer that is given again when its request comes again. body_hash: SHA-256 of its route and body. */;
CREATE INDEX "idx_chat_idempo_expires_954a9a" ON "chat_idempotency" ("expires_at");
CREATE TABLE "chat_messages" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "conversation_id" INT NOT NULL,
    "seq" INT NOT NULL,
    "parent_id" INT,
    "retry_of" INT,
    "role" VARCHAR(16) NOT NULL,
    "content" TEXT NOT NULL,
    "status" VARCHAR(16) NOT NULL,
    "parts" JSON NOT NULL,
    "usage" JSON,
    "provider" VARCHAR(64),
    "model" VARCHAR(256),
    "generation_id" VARCHAR(36),
    "created_at" TIMESTAMP NOT NULL,
    CONSTRAINT "uid_chat_messag_convers_190f77" UNIQUE ("conversation_id", "seq")
) /* A message. parent_id: what it follows (null: the first of a branch). See `records.Message`. */;
CREATE INDEX "idx_chat_messag_parent__18939f" ON "chat_messages" ("parent_id");
CREATE TABLE "chat_usage" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "user_id" INT NOT NULL,
    "day" DATE NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "model" VARCHAR(256) NOT NULL,
    "messages" INT NOT NULL,
    "tokens_in" BIGINT NOT NULL,
    "tokens_out" BIGINT NOT NULL,
    CONSTRAINT "uid_chat_usage_user_id_581949" UNIQUE ("user_id", "day", "provider", "model")
) /* What a user has used on a day (UTC) of a provider's model. */;
CREATE INDEX "idx_chat_usage_day_b7a00d" ON "chat_usage" ("day");
CREATE TABLE "chat_user_limits" (
    "user_id" INT NOT NULL PRIMARY KEY,
    "messages_per_day" INT,
    "tokens_per_day" BIGINT,
    "updated_at" TIMESTAMP NOT NULL
) /* A user's own limits, instead of those of the role. null: no limit. */;"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztXVlv2zgQ/iuEXzYBXCNxzg0WC6Rpts2iSRaNuy16QKUt2hYikypJxTG6/e/LQ6cl2Z"
    "LrQxL0EljkDEl/HA/nEvOjNRhD3rkSf64IfkKUQW4R3LoAP1oYTpD4kEHRBi3oOH6/fOSw"
    "bwcMxiBCzBR1n3EKB1xQDKHNkGgyERtQy/FmbF2CKFMHjBE0Dcu8AHyMAEZTxDiYIMbgCA"
    "EyVK19CvFgLD5CDiwG2JhMBSNDnFt4xC58Mpch+hsDQ0KBxTtyNSYZiOUIom1O/AV/wRg9"
    "c4Oh73pwx4aDYEzZ5c/TFktyMUcmcB1gYdUv4MNMICjWqCeeUosjpkfmFreR8YhmemD1CK"
    "DsVOtDkA7GyBRLHEOKjDFk4wvw8ObyRffkVM4PdQewLfwoFszJI8JtgF3bBlOLj4nLAcFI"
    "zGMiG4llGZBfeGP3kfjKwGsH8psygIlY3ZjY9kwtkiMMZoi3AcSm6OsTcyaWpJcud8PF1n"
    "cXGZyMkFg8FXvy+atotsRsz4jJx88tCaXYFEXumFCvofVV0jmPxtBCthkTW02q2g0+c1Tb"
    "DeZ/KUIpAX0ho7Y7wSGxMxPfFAfUFlZyPUIYUTmfaOPUlYIrcfGk3Zdl/RVCEr32CI+Jht"
    "C1pfhLbr2AsK1lGHf3PePhumcYrcRPw+eICK3XJARX/qzEUpn69iO5hBfdw+Oz4/Oj0+Nz"
    "QaKWGbSc/dRTh8BoRgXPXa/1U/VDDjWFAj8E1UlDVegGmg6rk4qrWPA8rj6K5QV2Ap8NG+"
    "ERH4vHo+4CFP+9fHf15vLd3lF3X05IhNLTevHO6+mqLgl0CGxEunOKbIRjudzmwddvCAEO"
    "9XRlRHcO0YLyGuVZj9DuGtQNiy1zxPlVBOGAoYbwHp7mgPfwNBNe2RWHV53iReANGGoI78"
    "nBQQ58BVUmwKovBWFpNiVR7glzbAHKPlMtkF4AbO/6Y0+OPGHsux3Fc+/28qOCejLzet7e"
    "3732ySP4X729f5kKOyMuLaY+5vm2B37wsaKqZELMQkj79FtE2Hckqwiv5zIWsN8iHCvZb5"
    "71WxYNsm7zzfeTCyAaZdmeSXxYEUAdSp4sE9FC/luEZyVFUDYhjWmB0+McWuD0OFMLyK6k"
    "krWLalm7nuh2T/IoWUGVia/qm/M3vABbEuO/H+7vMlyOCM8czKY14OA/YFtsY+qh9cfQxT"
    "pm13ctW6yEdeS0f27qpFsAusRosSk3b7VJyAjjI6pGUQPMm3JhQLGQHxjjWov0lyg+tH7N"
    "ovBSEc8EyK8ERNyaoAVA+4zz4u9xdvwP1dM5ixyXm9vrh97l7T8xkX912buWPd2Y5+K37s"
    "1ro2AQ8OGm9wbIR/Dp/u56/pcR0PU+teSaoMuJgcnUgGYUE7/Zb4rtcRhaL7rJcc6t7PI2"
    "f1x12uQBRXC1TY5zrmGTqxSEqNo2R1JUBbc5ztlsc+m2WWYch4+R9Jhs6MPB4xRS00j0kC"
    "7Jok12TbqT+RaI4UhtkkRTrjPIx18/Id/6SOTqvb72kiw9CsmWpucfyAQBzaAzxp7cie4L"
    "8UTJVOW5hbwy5OWnEUVB/hfKDPIAdcDQokz56W1gQxYmwy0qvuKkjyhLZui3OLdM0uuZZN"
    "pZt7aBlNM2kHlRsSlf3O5B9/RrVur6cytcXRAT8ubVCetIYrvJX28zf52yMfn8lQRjLcL+"
    "c+nBPA77Uba/fpRw10Oxzy/KMZ4ms50SyfM1VwFQoywNpimYhgdh3rBSyLH9oNJurLO1hY"
    "9KY0G9DrR6uhUV6V9mSYUHRO5qR+pibcyoKLCsHqRPiF6Ab2O339EP4rDZ2//mFwjqNq/o"
    "kEt+YQ3htHrGdQ69vDivkA2TfcbWtVhsTcdqtlUTrV4tloRM4dzU8VA9M7Lk1XlVBtSrci"
    "6GaZypSZonYdVavFAeJuCooUOz/jKPnSTRyw1y5bPo5YZ3I2l0B1I4KeTthBxNCn0tPlBM"
    "bXPI3ZTtWKC2A45Nifzu7OX1a21EKaECvWIVkHGu+hXorP9tAI2YZ6Yloc4uqE4w1gHtbd"
    "dUu+moZ+t0NwPtYiq9OqhvSnfT1RK9cc4m0Vu6RG9MtQkIV9nkKF9Tl1OyDS5NHPrGRBOH"
    "cIQHs1ZqIDpK0F4SibbmaJdHojGAmE2D8C8DI+tJZs1HYqfBdCw+WpwBioTMMQ4GRBzUur"
    "MD5KvcybfJFTlxOVIvfEualCD1tmZNzdBH4nPyPa4mK7/LrHwpw6uVDgSmvtCY7erU6VXG"
    "+fDJSa7wycmC8MnJvJ8TqJ8iGMeYaoj0BmreM8IimVohMyrSJAdEizCWHDFDIRcxytN4ia"
    "t7iejZsUT3Kg5EjHM7XmLjQ1TQh7j1omep/sNtGFpb6Dt4IbjcJSwefQc4kCLM1aVZU6+G"
    "ZEhsm0wZ2JNL1bdSqdo+XZiiL9Da74AHhMA3igaEmqzjrfNbWk3LRudKdRJSqiOaEt5dOw"
    "vNFVQbit5Xooqo0hZYsZrdplx3wWUG/hFQAM8Yz4YchOop2qh/wOnMIMMCkEZZGpcrBVJS"
    "7Poun76G4YH1Z/XFdBzhFIcqO88cYakFxNtOMZexUKVWMi3OqGJvoQQMTVnW2oM2TUHFLl"
    "Bv7qmqXYVtqdHdSIHtjt8zLjXg63/NuLlTZSULsQmvFwivv88Orr/PFVoPjIPlcfUPMqoN"
    "1T+PAGPI5AcTCDMLAhPOwN773tW+Dmz7595vzHvRMxE2/7WhlpXOiDHURkeOX31SNCHypp"
    "6mToEcT9CTR0s6nP7vYsF5UqtMrTweymDGl04M62XHlxvejRjy0YR4Tl0aZdmeMj2oiCZV"
    "/1mKGRZOIvrSGmWCGmOrDaq/d7tHR2fdg6PT85Pjs7OT84MA3mTXIpxf3ryWUMfkOhN74q"
    "b4STnA9/ga9POjXyL3BdG31sTirQwXxu9uL3VjhKVoS9LcRULeP8EjUww0YxtYYj8QNPXt"
    "M/LOPu8aGpkA6wBdxIOJJk+rBVrHkL9wr00JDOxaOzD+EWo4ArVU23vp6RtlbVLTmWdBJs"
    "A5zoN6IrzlM7m5KDhzQ5rY5S8c/j//BxYAODQ="
)
