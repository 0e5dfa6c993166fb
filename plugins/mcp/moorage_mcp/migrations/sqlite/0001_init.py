"""mcp 0001_init on sqlite. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "mcp_calls" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "workspace_id" INT NOT NULL,
    "user_id" INT NOT NULL,
    "credential" VARCHAR(64) NOT NULL,
    "method" VARCHAR(64) NOT NULL,
    "tool" VARCHAR(256),
    "upstream" VARCHAR(32),
    "client" VARCHAR(128),
    "arguments" TEXT,
    "outcome" VARCHAR(16) NOT NULL,
    "error" VARCHAR(512),
    "duration_ms" REAL NOT NULL,
    "request_id" VARCHAR(64),
    "at" TIMESTAMP NOT NULL
) /* Something that was asked of a workspace's servers: a tool, a prompt, a resource. */;
CREATE INDEX "idx_mcp_calls_workspa_b4e473" ON "mcp_calls" ("workspace_id");
CREATE INDEX "idx_mcp_calls_user_id_1b85a4" ON "mcp_calls" ("user_id");
CREATE INDEX "idx_mcp_calls_outcome_22c79f" ON "mcp_calls" ("outcome");
CREATE INDEX "idx_mcp_calls_at_6aad6f" ON "mcp_calls" ("at");
CREATE TABLE "mcp_upstreams" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "workspace_id" INT NOT NULL,
    "name" VARCHAR(32) NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "enabled" INT NOT NULL,
    "position" INT NOT NULL,
    "prefix" VARCHAR(40) NOT NULL,
    "settings" JSON NOT NULL,
    "sealed" TEXT,
    "version" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    CONSTRAINT "uid_mcp_upstrea_workspa_1e0dd5" UNIQUE ("workspace_id", "name")
) /* An MCP server of a workspace. settings: what is no secret, by kind; sealed: what is, as sealed JSON. */;
CREATE INDEX "idx_mcp_upstrea_workspa_9bc038" ON "mcp_upstreams" ("workspace_id");
CREATE TABLE "mcp_workspaces" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "user_id" INT NOT NULL,
    "user_pid" VARCHAR(32) NOT NULL,
    "name" VARCHAR(128) NOT NULL,
    "name_key" VARCHAR(160) NOT NULL,
    "status" VARCHAR(16) NOT NULL,
    "metadata" JSON NOT NULL,
    "nexusgate_service_id" VARCHAR(64),
    "runtime" VARCHAR(64) NOT NULL,
    "server" VARCHAR(16) NOT NULL,
    "tools" JSON NOT NULL,
    "call_limits" JSON NOT NULL,
    "version" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    "deleted_at" TIMESTAMP,
    "purge_after" TIMESTAMP,
    CONSTRAINT "uid_mcp_workspa_user_id_7ae83d" UNIQUE ("user_id", "name_key")
) /* A workspace of a user. name_key: the name while it lives, something no name can be once it is deleted. */;
CREATE INDEX "idx_mcp_workspa_user_id_6b3b1b" ON "mcp_workspaces" ("user_id");
CREATE INDEX "idx_mcp_workspa_status_01bc3b" ON "mcp_workspaces" ("status");
CREATE INDEX "idx_mcp_workspa_created_1f39f1" ON "mcp_workspaces" ("created_at");
CREATE INDEX "idx_mcp_workspa_updated_2090eb" ON "mcp_workspaces" ("updated_at");
CREATE INDEX "idx_mcp_workspa_purge_a_c02e47" ON "mcp_workspaces" ("purge_after");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztW21T2zgQ/isafzk6k8tASinDdToTaHrlBhIGwrXT0jGKrSSe2JJryQ1Mj/9+Wvndsd"
    "OYS3Lg+hPJah9JflZZrR6LH5pjuO1zwz3Btq0doR8axQ6RHzL2FtKw64ZW+CbwyI68dEO6"
    "cOUz4sLDhpANY2xzIk0m4YZnucJiFNyvmEPE1KITJKZYoDnmCPMZMREbI4zmzJtxFxvkN4"
    "448b4Tjx9Js2DMbsm/rsccV8Anj3DmewZpw6gmM+Swss9NDHBDbyjzhSG7PZIQgm7V07YH"
    "ge22jbA38R1CBfTE0e2MEFePbbeI43veQjcan+LOq4OjG7+z2zm40RDz0F9Xg34LPlDftt"
    "Wj+NT65hNdsIl8COLJB/ryVZotapI7wqOv7kwfW8Q2M+GyTOhA2XVx7yrbKRXvlSOwNNIN"
    "ZvsOTZzdezFlNPa2qADrhFDiYUGge+H5EESYXxjwKK7BTBOXYIopjEnG2LdhKQA6mEBi03"
    "S9PxjqV72hrmsLyyRCpAIbmgxGYYnJqXL19BOYwu+dvf3X+4cvD/YPpYuaZmx5/RAMnRAT"
    "ABU9/aH2oNqxwIGH4jghNV4veiV687CfEx3RuozpyPCcqU6o9eXvrxqrKURD6CKhhkdMmX"
    "IsbC9yejLFXjGpWVSOVznd9fCa7AbbINbBd7pN6ERM5deD/SUs/t29PPnQvdw52H8BAzK5"
    "eQXbWj9s6aimLNGwwbCChVtOcoJoCF6BYNiOq9Ab+T+K3PAn/zS5lRXDCuRKr1J2VVsu87"
    "pyQIKdKhSnMfWj+WVnBZZfdkpJhqZcMrYtEmxKKyfiGFE/fvc6hysQLL1KGVZtWYrjGnuR"
    "5SG5K6khMqA6EL2E12Hv0xB6djj/Zqfp3DnvflJMO/dhy9mg/2fknqL/5GxwnGM9PAtVWd"
    "kpyKa2v63WbdmlvUqC3ivPz3sL6Zl4HvOq8BsD6rCes+y+2lslM0uvUn5VW5Zg05d0yGnp"
    "TkHqeG8zXJI7crgc22MAPsNibgm/7wbXx2c9dHHZOzm9Oh30MykjaASTNFhCcXDZ657lyP"
    "aIfEouCk965Us6i6rful5/zYwLio13kh1hOaRkKywqNswQ0o4+PL/8vGxHPD3vXQ275xeZ"
    "bfFdd9iDlk52fYfWnXzujjtBH0+HHxB8RZ8HffVTcBkXE0+NmPgNP2swJ+wLplM217GZJj"
    "IyR6YHUPjGs5QcBYYRNmZz7Jn6QgvrsDLfxSan4+QtmOKJihGwCfMMdd/rqOIv0ISvU6eB"
    "JbpwdGhYURvuUnR+chHqsjm9ti3NQsiw8yM0B2HX4ogyaTQ8IlpodI9mcrX9IQ3YJmbs0w"
    "JJNrAptXVRL97WoAXK7pcFnVDR/LVRfP9HxdettlG5/2GHemLEbvhE3EjpG1N+1d8Kizby"
    "r6EYuf51Cym+CrmRfw3J3cBZl8KDF/B7zJhNMC058CaoHMujUAneBM1RhthuyXo8GJxlqt"
    "Xj07xKc31+3JO8v8iexRbThCxOLTWz1bNvGrKpzLvI9O4zybuuR8bWXaVyIUZsLz1o2laS"
    "w/7uCslhf7c0OUBTlt6o+F4kGKrqYoLTmPzR1jIE+gfZFt/YwtXejH1qAI9o5Fu2nAlvw7"
    "BvNxWCJZQDR8vV37zQ28qeX6GDvPobnGqqCO4Jog4qzrbVdrigVC1jpxDbS9h7zyRhy3M7"
    "PLleXSzLIrcjmj2Zlf0cVLPsC27zkWHOIpswP7kwPxFx9GOkSmgF6mjS2Foqj8bSxqr6aK"
    "JMBkIlXIhrIxhdn5F7uVlOifqG5lPLJsgSstj5TngL8fhSLGWBh4FliSK7oYbyszgyiU3k"
    "Mi5QSLcyLNyzDUTYI3Q79Uft4ItumTsvbmHc+ZRxgsbMNokH2CmWI0i7UHZ12ZfLupuo6Y"
    "C8N8Icru/C5SAuo3SjYdtm8xuIbXAJ9ytcyzUJvc/b5FNxsEnMGyu4OUxR9+IUyYa3YUPY"
    "WdLFw8NDudCburoY8dbovI3OW0edt7nXu4mL0hWXaxpTQyFy/au2kdA3e1kv3vUqchxh6s"
    "jzwSqKmfRaoqcvamYCC79AMStnOUE0l/N+/sJCFrQYaooqmmQa02iSa9ckKbnz+USypsOR"
    "wSp5wbwkzZTg66BXbvrWmefTSAhZ+WpfAqlhUl8/xcE5uFJGjxG1e8m0/oSu5IEq2TwGNK"
    "l87akc/rVaty3HKvqnjvKQ5GBNYNYemOY9lPbrvodqLm//Cq+hmig/LsrhC4xHRDmLXEOU"
    "n9jho05Rdn1vQnQ8FkWl+PIw56BbiXPzY34mr5Qf/gXvkmwd"
)
