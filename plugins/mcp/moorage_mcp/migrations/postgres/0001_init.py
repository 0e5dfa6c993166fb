"""mcp 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "mcp_calls" (
    "id" SERIAL NOT NULL PRIMARY KEY,
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
    "duration_ms" DOUBLE PRECISION NOT NULL,
    "request_id" VARCHAR(64),
    "at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_mcp_calls_workspa_b4e473" ON "mcp_calls" ("workspace_id");
CREATE INDEX "idx_mcp_calls_user_id_1b85a4" ON "mcp_calls" ("user_id");
CREATE INDEX "idx_mcp_calls_outcome_22c79f" ON "mcp_calls" ("outcome");
CREATE INDEX "idx_mcp_calls_at_6aad6f" ON "mcp_calls" ("at");
COMMENT ON TABLE "mcp_calls" IS 'Something that was asked of a workspace''s servers: a tool, a prompt, a resource.';
CREATE TABLE "mcp_upstreams" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "workspace_id" INT NOT NULL,
    "name" VARCHAR(32) NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "enabled" BOOL NOT NULL,
    "position" INT NOT NULL,
    "prefix" VARCHAR(40) NOT NULL,
    "settings" JSONB NOT NULL,
    "sealed" TEXT,
    "version" INT NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_mcp_upstrea_workspa_1e0dd5" UNIQUE ("workspace_id", "name")
);
CREATE INDEX "idx_mcp_upstrea_workspa_9bc038" ON "mcp_upstreams" ("workspace_id");
COMMENT ON TABLE "mcp_upstreams" IS 'An MCP server of a workspace. settings: what is no secret, by kind; sealed: what is, as sealed JSON.';
CREATE TABLE "mcp_workspaces" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "user_id" INT NOT NULL,
    "user_pid" VARCHAR(32) NOT NULL,
    "name" VARCHAR(128) NOT NULL,
    "name_key" VARCHAR(160) NOT NULL,
    "status" VARCHAR(16) NOT NULL,
    "metadata" JSONB NOT NULL,
    "nexusgate_service_id" VARCHAR(64),
    "runtime" VARCHAR(64) NOT NULL,
    "tools" JSONB NOT NULL,
    "call_limits" JSONB NOT NULL,
    "version" INT NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "deleted_at" TIMESTAMPTZ,
    "purge_after" TIMESTAMPTZ,
    CONSTRAINT "uid_mcp_workspa_user_id_7ae83d" UNIQUE ("user_id", "name_key")
);
CREATE INDEX "idx_mcp_workspa_user_id_6b3b1b" ON "mcp_workspaces" ("user_id");
CREATE INDEX "idx_mcp_workspa_status_01bc3b" ON "mcp_workspaces" ("status");
CREATE INDEX "idx_mcp_workspa_created_1f39f1" ON "mcp_workspaces" ("created_at");
CREATE INDEX "idx_mcp_workspa_purge_a_c02e47" ON "mcp_workspaces" ("purge_after");
COMMENT ON TABLE "mcp_workspaces" IS 'A workspace of a user. name_key: the name while it lives, something no name can be once it is deleted.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztW21v2zYQ/iuEvqwFPCNx3bTIhgFO6m4ZErtInLVoUyi0RNuCJVIlqSZBl/8+knp/c6"
    "XO8mJNn2wd7/jy3Pl4fER/0xzD7V8Y7im0be0YfNMwdJD4kpL3gAZdN5DKJw7ndqilG0KF"
    "KZ054xQaXDQsoM2QEJmIGdRyuUWwVL8iDuIrCy8BX0EO7iADkK2RCcgCQHBH6Jq50EA/Mc"
    "AQ/YooOxZiTojdE58uJY7L5TeKGPGogfpyVJMYYljRZxMD3OAbTDxuiG6PhQkCt2q1/akv"
    "u+0DSJeegzCXPTFwu0bI1SPZLWDwgfXAjcZWcPDy6PjGGxwMjm40QCj482o66ckv2LNttR"
    "QPW188pHOyFItAVCzo02chtrCJ7hELH921vrCQbabcZZmyAyXX+YOrZGeYv1WKEqW5bhDb"
    "c3Cs7D7wFcGRtoW5lC4RRhRyJLvn1JNOlPMLHB761Z9prOJPMWFjogX0bBkK0tqfQCzTdH"
    "0ynelX45mua7kwCS0Sjg1EBsEyxMRUmVr9Uk7h58Hh8NXw9Yuj4WuhoqYZSV49+kPHwPiG"
    "Cp7JTHtU7ZBDX0NhHIMaxYteC96s2feBDmHdhHQo2GeoY2g98furh2rCogM0D6hBkSlSjg"
    "XtPKanK0iLQU1bZXAV090OrvFusAtgHXiv2wgv+Uo8Hg03oPjX6PL0j9Hls6PhczkgEZuX"
    "v61NgpaBakoDLTcYUhC45SDHFh3AFQCW23EdeEP9HwI3+Mk/TWxFxVABXKFViq5qy2ReVw"
    "yIoFMH4qRN+2B+MaiA8otBKciyKZOMbQv5m1LlRBxZtA/fw8HrCgALrVKEVVsa4qjGzqM8"
    "Q/clNUTKqA1Ab8B1Nv4wkz07jH2xk3A+uxh9UEg7D0HL+XTye6iegP/0fHqSQT04C9WJ7I"
    "RJU9vfTuu2dGhXSdCH5fn5MJeeEaWE1sE3MmhDPKfRfXlYJTMLrVJ8VVsaYNMTcIhp6U5B"
    "6nhrE1iSOzJ2GbQX0nAPi7kN+L6ZXp+cj8G7y/Hp2dXZdJJKGX6jFAmBxRUGl+PReQZsis"
    "QqGS886ZWHdNqqfXG9/ZoZFhQbbwQ63HJQyVZYVGyYgUk//LJ/+XnTjnh2Mb6ajS7epbbF"
    "N6PZWLYM0vEdSJ9lc3fUCXh/NvsDyEfwcTpRPwWXML6kasRYb/ZRk3OCHic6Jnc6NJNAhu"
    "JQ9CgZvsU6QUdJwRwa6ztITT3XQgakTDff5AycrARiuFQ+kmjKeQa873VY8RdwwteJ08AG"
    "Xjg8NFTkhkcYXJy+C3jZDF/bF2LOhdvZMbiTxK7FACZCaFDEe2D+ANYi2n4RAmgjM9LpSU"
    "rWlym2Nc8X72rQAmb3U44nVDB/7hjf/5DxdettVO6/2KGeGLANn4g7Kr0x5ld91gjaUL+F"
    "ZOT241am+DrghvotBLeBsy6WCy/A94QQG0FccuCNrTIozwMmuAmYwwyx25L1ZDo9T1WrJ2"
    "dZlub64mQscH+ePovl04QoTi01s+rZN2nSVObNI32wJ3nXpWhh3dcqFyKL3aUHTdtJchge"
    "VEgOw4PS5CCb0vCGxXceYFlVFwOctMkebS2Dg7+BbbHGAlf7deFhQ+II5p5li5mwvhz2t6"
    "ZcsAFyidFm9jdL9PbS51fZQZb99U81dQj32KINLM6u2XZ5Qalexk5Y7C5hH+5Jwhbndrly"
    "vT5ZlrbcDWn2ZCJ7H1iz9Atu8wfdnLbs3Pzk3PxEyNH3ISuhFbCjcWNvIz0aURtV+dGYmf"
    "SJSnkhrg/k6PoaPYjNcoXUE7hbWTYCFhfFzlfEeoBFl2Ix8TUMKEoU0Q02lJ7FgIlsJMK4"
    "gCHd2bCFHGni1l84ZEeRdhRpGynS7kpsE3eMa4Zr0qaFHN72o7Zjn5u95xbtejUxDm3aiP"
    "NRFbJJaG2govN0E4fcKyCbylGOLbp7bd/n+kUtCGVNUYfOS9p0dN7W6TyM7j22FKjp8v6D"
    "VfJudkOaKbFvA9XX9IUt6uGQQ6h8Ky42aWFSb+Z/JLXeHkQGXa7Zeq6Rf5vVbcuxii7sl7"
    "skY9Y5ZuuO6d4xaP/fdwzdxdzuFUPn5lI3B+z0D7g5bbkFNz+x8rhNXnY9ukQ6XHBU8L+r"
    "zW7OmO7Ez13O3pP3hY//AOoPvCQ="
)
