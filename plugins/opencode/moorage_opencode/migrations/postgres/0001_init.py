"""opencode 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "opencode_sessions" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(36) NOT NULL UNIQUE,
    "user_id" INT NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "workspace_path" TEXT NOT NULL,
    "agent" VARCHAR(255),
    "runtime" VARCHAR(64) NOT NULL,
    "workload" VARCHAR(63) NOT NULL UNIQUE,
    "image" VARCHAR(512),
    "image_digest" VARCHAR(512),
    "unit" VARCHAR(255),
    "port" INT,
    "status" VARCHAR(16) NOT NULL,
    "operation" VARCHAR(16),
    "error_message" TEXT,
    "sealed" TEXT NOT NULL,
    "generation" INT NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "started_at" TIMESTAMPTZ,
    "stopped_at" TIMESTAMPTZ,
    "last_activity_at" TIMESTAMPTZ
);
CREATE INDEX "idx_opencode_se_user_id_4d87eb" ON "opencode_sessions" ("user_id");
CREATE INDEX "idx_opencode_se_status_c43aec" ON "opencode_sessions" ("status");
CREATE INDEX "idx_opencode_se_created_a8d7a9" ON "opencode_sessions" ("created_at");
COMMENT ON TABLE "opencode_sessions" IS 'A session of a user with a project. Its workload''s name in the runtime is `workload`.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztmW1z4jYQgP+Khi/NzaTM8BLuJt9oQnt0LnBz+NqbazqKsAWo2JJPko8wN/nvXck2tg"
    "GnmElSYPIJe7W7Wj27ejM/aiKk3BUerQ/h4QoeRlQpJnjtEv2ocRJQeChXOkc1EoZ5FSPS"
    "ZOwX7LCK9ZU1GCstiatBYUJ8RUHkUeVKFuq431oXJfpITBBBkaISLZiewXMoxT/U1XXU1w"
    "othJz7gng/KWQiRYwjPaNIRlwz86rQXapyVzdde8KFvhmfPlsvt/yWh8y7BCefP/evz9GY"
    "ugRcWxNXcDty8OT6jHJwTu9D6AgJTutIaaIjdQlhUXRnXqiqj6zsrp52d2kdzRn34IFoxD"
    "RaEHXLA+JRGz24ocSnEMHCtit4dyXVZpCgfJZmEGIIiVIQuXceB2cjAvF3IplJoHpzjohK"
    "3KHfR8MBjA4yKonJU+Z/TAEo8mAIMT7ohUB4QaQ0tKGxFNF0ppEWIEYUWshEA2qCXEnU7L"
    "ww3GHq3pCcUr7qzBUwfggjCtF4iShxZ/A4lTBqcCBiFlzomQklYOBtTpUdlvC9VQbRREgr"
    "5HRh6yHi7FtEsRZTCmIJVfHX3yAGuvSeqvQ1nOMJo75XmBLMMw6sHOtlaGV9rn+1iqbUxt"
    "gVfhTwTDlc6pngK23GtZEmo6TGvZaRmQ488v1kCqUzJI40U4lDzNl4dEIi30wqYx0HkMlq"
    "GA+GDh71HIxrGxMutcjNjkQEFWsmK4Sq7OinJoSfm4322/a7Vqf9DlRsmCvJ24e46wxMbG"
    "jxDJzag20nmsQalnEGNdxG9WpG5Has4VauEPA615Ti4YINyD32KZ/qGby2Oo9Q/KP76ep9"
    "99NZq/PGdChgQYkX20HS0rRNBnQG1ixuuFLJ5iz+u2534ZsKjrlyM6D2t0KppvpPU6ubLL"
    "Od9MWrtXlxsUO5glZpvdq2Il+zZKuQuBSHBHrZIO3Q+5LC3bQ8CeaPIHZ6XxzjOVDqm58n"
    "e3bT/WKhB8uk5cNw8FuqnsvE1YfhL2sJIMBHV6nwlcFeuJO14FBov0CFJwe6KohzJidR00"
    "XKnfYOkDvtUsamaXMRMee+KozzNid3sOi0dkHcKkfcWkfMApj3VfiuDE5vmbhoNHfAC1ql"
    "fG3bFsDYY1OqKi3H63avuHfCDUOthDnVPz28z7LphUJuwVt6CUnV97qBHBrdJ76BxF+Lqt"
    "RqZvFcp4f/b2dr7HJlbpRfmRsbV+bVl64qiAtGp7cmPD1lKqWQOKBKbT1HlF/zNgxPgfZL"
    "X/Lib7tVsGcWJ3EDeWng2SftCrtg0ei5vsZtcm8cyU7oSmpGjsmWo8U1tJg783ayRcs1sl"
    "5iWk8fjm+PfKy8+ze9kdO9+Vio8euu0zMtzUJ9p9Kz9ZV95QT92XfeI/OKvg4HPUtTKD2V"
    "tsdMz/laMzGRSAvMxQITLw8yFaei9fOO3C/LRcsnyPIR7RrHl2URhntmOW/5muVDzrJPlM"
    "bE1ew708s9cr3N/jXjh5Zx89/5ZJ77o9cIxsSdL4j08EaLaIoy3c2moBmsSwiHm4CX0Hx4"
    "+BeZ/Cv2"
)
