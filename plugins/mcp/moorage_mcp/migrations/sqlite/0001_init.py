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
CREATE INDEX "idx_mcp_workspa_purge_a_c02e47" ON "mcp_workspaces" ("purge_after");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztW21v2zYQ/iuEviwFPCNx3bTIhgFO6q4ZErtInLVoUyi0RNuCJVIlqTpBm/8+knp/c6"
    "XO9mJNn2wd70jqufPx+JD+pjmG27003DNo29oJ+KZh6CDxJSXvAA26biCVTxxO7VBLN4QK"
    "UzpTxik0uGiYQZshITIRM6jlcotgqX5NHMQXFp4DvoAcrCADkC2RCcgMQLAidMlcaKBfGG"
    "CIfkWUnQgxJ8TuiE+XEsfl8htFjHjUQF05qkkMMazocxsD3OJbTDxuiG5PhAkCd+ptu2Nf"
    "dtcFkM49B2Eue2LgbomQq0eyO8DgA+uAW40tYO/F8cmt1zvsHd9qgFDw1/V41JFfsGfb6l"
    "U8bH3xkM7JXLwEouKFPn0WYgub6B6x8NFd6jML2WbKXZYpO1BynT+4SnaO+RulKFGa6gax"
    "PQfHyu4DXxAcaVuYS+kcYUQhR7J7Tj3pRDm/wOGhX/2Zxir+FBM2JppBz5ahIK39CcQyTd"
    "dH44l+PZzoupYLk9Ai4dhAZBAsQ0xMlam3n8sp/No76r/sv3p+3H8lVNQ0I8nLR3/oGBjf"
    "UMEzmmiPqh1y6GsojGNQo3jRa8GbNfsx0CGs65AOBfsMdQytJ35/9VBNWLSA5gE1KDJFyr"
    "Ggncf0bAFpMahpqwyuYrqbwTVeDXYBrAPvdRvhOV+Ix+P+GhT/HlydvR1cHRz3n8kBiVi8"
    "/GVtFLT0VFMaaLnAkILALQc5tmgBrgCwXI7rwBvq/xS4wU/+aWIrKoYK4AqtUnRVWybzum"
    "JABJ06ECdtmgfz814FlJ/3SkGWTZlkbFvIX5QqJ+LIonn4HvVeVQBYaJUirNrSEEc1dh7l"
    "CbovqSFSRk0Aeg2uk+GHiezZYeyLnYTz4HLwQSHtPAQtF+PRn6F6Av6zi/FpBvVgL1Qnsh"
    "Mm21r+dlq3pUO7SoI+Ks/PR7n0jCgltA6+kUET4jmN7oujKplZaJXiq9rSAJuegENMS3cK"
    "Uscbm8CS3JGxy6A9k4Z7WMytwff1+Ob0YgjeXQ3Pzq/Px6NUyvAbpUgILK4wuBoOLjJgUy"
    "TekvHCnV55SKetmhfXm6+ZYUGx8Vqgwy0HlSyFRcWGGZh0wy/7l5/XrYjnl8PryeDyXWpZ"
    "fD2YDGVLLx3fgfQgm7ujTsD788lbIB/Bx/FI/RRcwvicqhFjvclHTc4JepzomKx0aCaBDM"
    "Wh6FEyfLNlgo6Sgik0litITT3XQnqkTDff5PScrARiOFc+kmjKeQa8701Y8RdwwjeJ3cAa"
    "XjjcNFTkhgcYXJ69C3jZDF/bFWLOhdvZCVhJYtdiABMhNCjiHTB9AEsRbb8JAbSRGel0JC"
    "XryxTbmueLdzVoAbP7KccTKpg/t4zvf8j4uvUWKvdfrFBPDNgt74hbKn1rzK/6rBG0oX4D"
    "ycjNx61M8XXADfUbCO4W9rpYvngBvqeE2Ajikg1vbJVBeRowwduAOcwQuy1ZT8fji1S1en"
    "qeZWluLk+HAvdn6b1YPk2I4tRSM6uefZMm28q8eaQP9yTvuhTNrPta5UJksbv0oGk7SQ79"
    "wwrJoX9YmhxkUxresPjOAyyr6mKAkzbZra1lcPAd2BbbWuBqv888bEgcwdSzbDET1pXD/r"
    "EtF6yBXGK0nv3NEr2d9P5VdpBlf/1dTR3CPbZoAouza7ZdXlCql7ETFrtL2Ed7krDFvl2+"
    "uV6fLEtb7oY0ezKRvQ+sWfqA2/xJN6ctWzc/OTc/EXL0fchKaAXsaNzYWUuPRtRGVX40Zi"
    "Z9olJeiOsCObq+RA9isVwg9QRWC8tGwOKi2PmKWAew6FIsJr6GAUWJIrrBhtKzGDCRjUQY"
    "FzCkOxlW3rP1SdgTcLfwpl3/QbfMg2d3ctzVgjAEZsQ2EZW2CyhGEHKu5OqyLxN1N1LTkf"
    "TeFDJUTr0mLhOGb9Iyry3z2kTmtb1pu42ryzXDNWnTQGpw81HbktrbvT4XrXo1MQ5tmojz"
    "cRUOS2itYbjzLBaH3CvgsMpRji3a63I/PkIQJSaUNUUdljBp07KEG2cJMbr32Fygpssi3i"
    "o58l2TZkrsm8AgbvseGPVwSE1UvmwXmzQwqW8eYn9nWiujRxaNO/bZfEKX/+apdeYTGbSp"
    "fOOpXP7ZWbctxyr6m0W5SzJmrWM27pj2ZEj7/54Mtdep24Oh1s2lbg7OFH7CzWnLDbj5ie"
    "0+muRl16NzpMMZL6rF17s5Y7oTP7c5e09OeR//ARPISjs="
)
