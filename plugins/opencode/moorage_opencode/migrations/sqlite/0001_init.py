"""opencode 0001_init on sqlite. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "opencode_sessions" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
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
    "error_message" TEXT,
    "sealed" TEXT NOT NULL,
    "generation" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "started_at" TIMESTAMP,
    "stopped_at" TIMESTAMP,
    "last_activity_at" TIMESTAMP
) /* A session of a user with a project. Its workload's name in the runtime is `workload`. */;
CREATE INDEX "idx_opencode_se_user_id_4d87eb" ON "opencode_sessions" ("user_id");
CREATE INDEX "idx_opencode_se_status_c43aec" ON "opencode_sessions" ("status");
CREATE INDEX "idx_opencode_se_created_a8d7a9" ON "opencode_sessions" ("created_at");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztme1v4jYYwP8Viy/rSQyJl3InvrGW7ZiucDpy2+nWyTWJAY/EztnOUXTq/77HTkICgY"
    "6gtgPUT9jPi/349zyx4/CjIkLKXeHR2hAaV9AYUaWY4JUO+lHhJKDQ2G1URRUShnkTI9Jk"
    "7K/5YRXbK+swVloSV4PBhPiKgsijypUs1PG8lS5K7JGYIIIiRSVaMD2DdijFP9TVNdTXCi"
    "2EnPuCeD8pZCJFjCM9o0hGXDPTVeguNbmrmak94cLcjE+fbZZbfstD5nVgkM+f+9dVNKYu"
    "gaGtiyu4XTmM5PqMchic3ocwERKc1pDSREeqA2FRdGc6VNVGVnZXS6fr2IHmjHvQIBoxjR"
    "ZE3fKAeNRGD8NQ4lOIYGH1CvqupNosEowv0gxCDCFRCiL3qnFwNiIQfyeSmQSqN1VEVDIc"
    "+n00HMDqppRTSUyiOrAciAlUUYjGS0SJO4PmVEIkVaREHB8Xega8UcBgQXOq7FTC91ZU0U"
    "RIK+R0YXMUcfYtoliLKQWxhEz99TeIYcX0nqq0G87xhFHfWytT5pkBrBzrZWhlfa5/tYYm"
    "/WPsCj8KeGYcLvVM8JU149pIk1VSM7yWkSlRHvl+UtZp1caRZiZxiDkfj05I5JtCN95xAJ"
    "msgvFg6OBRz8G4UngIUo9cxSYiqCLzAEGoyq5+akL4uVFvvW29a7Zb78DEhrmSvH2Ip87A"
    "xI4Wz8CpPFg90SS2sIwzqOE2qlczIrdjDbdyhYA3uaYUjxdsQO6xT/lUz6DbbD9C8Y/up6"
    "v33U8XzfYbM6GAhzzeAAeJpmFVBnQG1mw4uFTJ5jz+u2734ZsKTrlyM6D2t0SppvZPU6tF"
    "ltnp9uLV2ri83KNcwWpnvVrdOl+zZauQuBSHBGYpkHbo/Y7CLXqeBfNHEDu9L44ZOVDqm5"
    "8ne3HT/WKhB8tE82E4+C01z2Xi6sPwl40EEOCjy1T4yuEg3MlecCy0X6DCk5esMohzLmdR"
    "0+uU2609ILdbOxkbVXETMe99ZRjnfc7uxaLd3Adxczfi5iZiFsBzX4bvyuH8tonLemMPvG"
    "C1k6/VbQGMPTalqtR2vOn3insv3LDUUphT+/PD+yyHXijkFrw7LyGp+UE3kGOj+8Q3kPgL"
    "TplazTye6+3h/zvZ6vtcmeu7r8z1wpWZSikkDqhSW0+43ReQguM57A0vff2IvwSWwZ55nM"
    "W78UsDzz62ltif152e6ztRkXv9RPZoV1Kzcky2HHrXoDG3ue1k1z03yHqJay1tnN7u/Vh5"
    "9296I6d783Gtxq+7Ts9oGmv1nUovNnf21SDoz77zHpku+joc9CxNofRU2hkzO+drxcREIi"
    "0wFwtMvDzIVJyKNk9ieViW1z2fIMsndGqcXpZFGB6Y5bzna5aPOcs+URoTV7PvTC8PyPU2"
    "/9eMH1vGzb+6k3nuL0gjGBN3viDSwwWNaIhdtkVV0Ag2JYTDTcBLaD48/Au/gZKj"
)
