"""chat 0002_search on postgres. By hand; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "chat_search" ("id" INT NOT NULL PRIMARY KEY, "words" TSVECTOR NOT NULL);
CREATE INDEX "idx_chat_search_words" ON "chat_search" USING GIN ("words");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        DROP TABLE "chat_search";"""


MODELS_STATE = (
    "eJztXW1v27YW/iuEvywFPCN13npzhwFplrUZmmRY3G1YW6i0RdtCZFIlqbjGbv/7PST1ak"
    "m2lNqOLOhLYJPniNRD+vC8PFL+7YymWPYu4c8lo4+ECywdRjvn6N8OxTMCHwokuqiDPS/s"
    "V18lHrqRgjVKCAstPRSS45EEiTF2BYEmm4gRd7xgxM4FSir10JRg23LscySnBFEyJ0KiGR"
    "ECTwhiY9065JiOpvARS+QIJKZsDoqCSOnQiTgPxXxB+A8CjRlHjuyp2dhsBNMBoV0O/JF+"
    "pJR8lZYgX8zFPRePomuqrnCcLkzJp5LYyPeQQ3U/wEcFIAhzNAPPuSOJMFeWjnSJ9UAW5s"
    "L6K8KqU8+PYD6aEhumOMWcWFMspufo/u3Fj/2TUzU+Nh3IdegDTFiyB0K7iPqui+aOnDJf"
    "IkbJfz/SQH8FQgYTqTERMDObuARuxMLyPJjNkABIKGhHChuBKIP7mTLXXejbkoSiBZFdhK"
    "kNfUNmL+AmzM2q9fOp88UnlmQTAlPgsIofPkGzA6N9JUJ9/dBR4MMktbhnYzOHzicl5z1Y"
    "Y4e4dmqjG1HdbsmFp9uuqfxVC6o9M4Rd7fozGgt7C8CGRtIO1b+ECaGEq/GgTXJfbXWFZP"
    "D7CHe/uYVYxMw9oWOTMfZd9YNR2mYCcVvHsm7vBtb91cCyOpkfU6iR2OZBE2x19UOEqQp9"
    "9xM1hR/7L4/Pjl8dnR6/AhE9zajl7JsZOgbGKGp4bgedb7ofS2wkNPgxqF4eqmBNeD6sXi"
    "6uMOFlXEMU6wvsDH+1XEIncgpfj/orUPzz4o/Ltxd/HBz1X6gBGZhJY0lvg56+7lJAx8Am"
    "dnfJLZvQWL9vy+AbNsQAx5Z9b7buEqIV92tSZzOb9rlB3fK2FR6ceFUQjhQaCO/L0xLwvj"
    "wthFd1peHV534VeCOFBsJ7cnhYAl+QKgRY9+UgrBytLMoDcOBWoBwqNQLpFcAOrv4eqCvP"
    "hPjiJvE8uLn4W0M9WwQ97+5u34TiCfwv3929zoVdMJ9XMx/LersDP/q4p6ZkxuxKSIfyO0"
    "Q4DD33Ed4ghKrgvyU0nuS/Bd5vXSzIpt23MLKugGhSZXcu8cs9AdTj7NGxCa8UvyV0nmQI"
    "6rZJU1bg9LiEFTg9LrQCqitrZN2qVtZtJrr9kzJGFqQK8dV9S/FGkJLLYvzb/d1tQciR0F"
    "mC2XZGEv0PuY7Ymnno/DT2qcnyDX3HhZmInhr2522ddCtAVxitduWWvTYFGRNywvVV9AWW"
    "Xbk4BVkpDkxpbWT31yg/tHnLkkrUVjgTM3qtr5E9GjVIOp2cAfYXAEU6M7IC3VBx2bYEmr"
    "3ww/7hvCoqvL65uh9c3Pyesie/XAyuVE8/FRaGrQfLpj66CPrrevAWqa/on7vbq2WzE8kN"
    "/umoOWFfMouyuYXtJCZhc9iUWuO4blF1kdOaO1nlXVquJi3yiBP8tEVOa25gkfcpw7Nvy5"
    "yo/1Vc5rRmu8y1W2ZVzh0/JGqPqmGIRw9zzG0r08P6rEg22zXrz5ZbMMUTvUgKTTXPiB5x"
    "9UhCbyNDnQj6umtIEyQWW8uWuGczgoyCKeAH+w66z+EbZ3NNO4D9KoKa/JxwEhXXsSroj0"
    "gPjR0udBKki1wsYm6Cw+EWZ0PCRZYwscOxFWfCjKRq+qa1i9Q+7SJVdIZF+ej3D/unn4p4"
    "AR868ewiVzgY17ABEqyBlhywS3JAzsKUCwYzio2oqSzVXstkQ46KkyFHmVxIvO3Lb+WUTk"
    "sbyIkFQ8tVAdSkSotpDqbxQVg2Zxdr7D5j9zze2cZyc7XxoN5EVj3fi0r0r/Ok4gOiNPmU"
    "+9Q4MzrFrsic/JHwc/R56g975gscNgcvPod8TdMW8R1BH7whmkcv3eSl1zMfK/kwxWdsU5"
    "l4GzpWi72aJJm4Wu41R3Nbx8P+uZE1pz7uM6ABdbsapmmltkqQUyXQVrxSkSvSaGBAs3kO"
    "zbMwFOoN8t5TFOoN71Y4Ch7meFYp2ok1Wn7CRmKglNmWWPo5y7HCbEca29ryz+cvb95qE8"
    "4ZB/Sq0UvTWs1jP23+UQuDWOCmZaEuZqtnFJuA9q4J634+6sU23S9Au5pJ3x/Ut2W7+dMK"
    "vWnNttBbu0JvyrQBhE9Z5KRey8up2QLXJg99bZOZxySho0UnNxGdFOiuyUQ7S7LrM9EUYS"
    "rmUfpXoInzqKrmE1hpNJ/CR0cKxAnsOSHRiMFBbTp7SD0nn324X4szXxL9NL2SyUlS72rU"
    "3Ap9Ij+nHpJrq/LPWZWvZXp1rxOBuU+LFoc6TXpOdDl9clIqfXKyIn1yshznROanCsYppQ"
    "YivYUHCgrSIsVPEhRlRdriALSAs+TBCJVCxKROGyU+PUokXz0Hup8SQKQ0dxMltjHEHsYQ"
    "N0H2LDd+uIlTaytjhyAFV5rCEsj3kIc5oVK/oWsecEjGzHXZXKADNVXz4i7N7TPEFPM+sx"
    "c9dE8I+szJiHFb9IJ5fs7jtGx1rNwgIYcd0VJ4nztYaN/vtaXs/V6wiPbaA6vG2W3puive"
    "FBEeARXwTOlsKUDYP0ObjA8kX1hsXAHSpEobcuVAyqq9Gy2Ub2B6YPNVfRhOEpoTUBXXmR"
    "MqjYB41yXmOhJVGrWn4Yyq9hRKpNDSsjaetGkJFc+BevsSsMYxbGuN7lYIts/8nHGtAd/8"
    "Y8btO1We5CG26fUK6fX3xcn196VS65FzsD6v/pfKamP9vzzQFAv1wUbgZmFk4wU6eD+4fG"
    "ES2+G594MIHvTMpM2/71LrqDNwDb3QiePXnBRtirzl0zQpkRNs9OzRkg9n+LtYcZ40qlKr"
    "joc6uPG124bN8uPrDe9WHPlkQbykLU2q7M6YHu6JJdX/6EtYDs0i+tqZFIKaUmsMqv/p94"
    "+OzvqHR6evTo7Pzk5eHUbwZrtW4fz6+o2COrWvC7Fnfk6cVAL8QK9Fvzz6NQpfCH/nzBzZ"
    "KQhhwu7u2jAGPEVXiZYmCQX/k5DNKTKKXeTAehBsm7fPqHf2Ba+hUQWwHjIkHsqMeB4XaB"
    "OX/I732tTAwW50ABMeoZYHqOX63mtP36RqW5ouPAsKAS5xHjQT4R2fye2LggsXpM1dfsfh"
    "/+3/GuC5MA=="
)
