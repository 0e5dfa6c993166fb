"""core 0004_authorization_server on sqlite. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE IF NOT EXISTS "core_oauth_clients" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "name" VARCHAR(128) NOT NULL,
    "uri" VARCHAR(1024),
    "redirect_uris" JSON NOT NULL,
    "grant_types" JSON NOT NULL,
    "auth_method" VARCHAR(32) NOT NULL,
    "secret_hash" VARCHAR(64),
    "address" VARCHAR(64) NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "used_at" TIMESTAMP
) /* A program that registered itself (RFC 7591). `secret_hash` is null for a public one, which has no secret. */;
CREATE INDEX IF NOT EXISTS "idx_core_oauth__address_c6ee32" ON "core_oauth_clients" ("address");
CREATE INDEX IF NOT EXISTS "idx_core_oauth__used_at_f89f97" ON "core_oauth_clients" ("used_at");
        CREATE TABLE IF NOT EXISTS "core_oauth_codes" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "code_hash" VARCHAR(64) NOT NULL UNIQUE,
    "client_id" VARCHAR(255) NOT NULL,
    "client_name" VARCHAR(128) NOT NULL,
    "redirect_uri" VARCHAR(2048) NOT NULL,
    "challenge" VARCHAR(64) NOT NULL,
    "resource" VARCHAR(2048) NOT NULL,
    "scope" VARCHAR(1024) NOT NULL,
    "renewable" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "expires_at" TIMESTAMP NOT NULL,
    "used_at" TIMESTAMP,
    "gave" INT,
    "approved_in_id" INT NOT NULL REFERENCES "core_sessions" ("id") ON DELETE CASCADE,
    "user_id" INT NOT NULL REFERENCES "core_users" ("id") ON DELETE CASCADE
) /* An authorization code: what somebody allowed a program, for one minute and one use. */;
CREATE INDEX IF NOT EXISTS "idx_core_oauth__expires_66e51e" ON "core_oauth_codes" ("expires_at");
        ALTER TABLE "core_sessions" ADD "resource" VARCHAR(2048);
        ALTER TABLE "core_sessions" ADD "client_name" VARCHAR(128);"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        ALTER TABLE "core_sessions" DROP COLUMN "resource";
        ALTER TABLE "core_sessions" DROP COLUMN "client_name";
        DROP TABLE IF EXISTS "core_oauth_clients";
        DROP TABLE IF EXISTS "core_oauth_codes";"""


MODELS_STATE = (
    "eJztXW1z2zYS/isYfWlyo3oSJXFzTqczjutc0yZxJ3GuN1d3JFiEJNQUoBKQFd1d/vvtAi"
    "TFN8mkItEUg0+2SCwBPgsC+47/doYyYEenM/4LW3ZOyH87gk4Z/JO63iUdOptFV/Gnptd+"
    "3KxPZ7x/w5bKNLxWOqBDDTdH1FcMLnlMDQM+01wKJDkl0JbIEdETRkYymJLBdDjrf/+cTN"
    "inH/rfKzYMmP5h8IIMZgEb8U8DwpVpPKOBJtcMaJj5bVseYbeeHEK/XIz30sOVuBIDNZQz"
    "pkxTSnyuNPYwY8GUKwWvBrRas0CoLpEBEXPfx64Jhb/hSORCsOAbRQI+nmhlhj0X/K8562"
    "s5ZtAigMH//gdc5sJjn5iKfs5u+iPOfC/FIO7hA8z1vl7OzLXXQr8yDRGR6/5Q+vOpWDWe"
    "LfVEirg1FxqvjhkMi2qGj9fBHDmGow85HDHRjnTVxA4xQeOxEZ37yHektgNYXev0++8uLv"
    "sfzi/7/U5uTkQUCSaGl4ZS4HyCoSrz9mMcwre9x0+/e/r8yfHT59DEDDO+8t1n2/UKGEto"
    "4Hl32fls7lNNbQuD8QrUWRGqZxMaFMM6K8QVBpzFNUKxucBO6ae+z8RYT+Dnk94GFP95+v"
    "7sp9P3D570HmKHEr52uxa8C+/0zC0EegWs+VsB2aj9bqCNLqywXa1NtYP7uPe8BLrQai28"
    "5l4aX7uOVZq7MUXrpu/j4zIAH6/H9zgLL+wn/QlVkyoAJ2laB/Hx0xIQHz9dCzHeSkNst9"
    "c8wD9/uHhXDPCKIgOvx4ea/M/s0SVgDkFsymKxAVeEAp88VeovP4nng7en/8pCffbm4qXB"
    "Rio9DsxTzANeZnAHAQex6VOdx/5HuKP5lBXjn6bM8iAkPYr+OcB1ewMrLl+/Pf9wefr21x"
    "Q/fjy9PMc7PXN1mbn6ILvixA8hv72+/IngT/Lvi3fnWbbF7S7/3cEx0bmWfSEXfeolMYku"
    "R5dSbPap0v252orRWdodsPpwPrqD4zT7NOPwuC34nKZ0XG4ylwN2K2+2+prTlI7LTeYyLL"
    "pBv5Kmn6C4W93fbg8+NIUfTSijm0J9H9HKg/tKBoyPxS9saTB+DSOiYlikjxor2cfwIYeF"
    "7Odo5kRXV/0HdBEbnJITCl7cYz7TVvE5/XB2+uN5x8B7TYc3Cxp4/RTOeEf2ZOZK3DZ/a9"
    "qbZq9QQccGG3yLz93IMDnXk1Ot2XSmO3mrZeJm9y7TJbTtU9u4pP3yFeU+80hERObAvoBI"
    "wdDqeEIo8fiYWesgWv1waPAP1WRBFcGJ4xkLISVDnzOhv1FEML2QwU3ekLnfrpzxsVnGxx"
    "traq9gX2ilaeH5oxKmheeP1poW8FZaxR3BZzQPiowLa+dskmRf+2i9NsidTN6MPrmlKlmn"
    "weAettRWSJ6+HKKSMBea+5WZnKF1OkbTOJ0Tie9DiPuR3fIhO5Mey8twiXt3iXCeaQrTz2"
    "OlPdCWJpKVOIhW6KtVcsqupbcEOQl6DOQt9cmD96/OyPPj3vOHR2RgZGHsyHiBlYbuPbLg"
    "MLvnmuBTPKomRf7ovfZnvdOa6rn1Tl91Zkx40PcVjOSqYx/NvKsOyoJXAIbg+OtF+HzuGa"
    "rFRLJbkC59idYBkDmhAzLiAYiXiwmIoUSBSgQ3uIAO38uFImNpxmJETyrUAojNC0Ln1puO"
    "b+okzQZKmuEnU9WjlSFrneS5e6dW/AFXgTlF1DqQd++ctcptoZlsPcgpohZGGfSePSuBM7"
    "RaC7S5V+CjrYJyTFAfwp1OPdP4Ua/MaoHN1k9lczMDsdnHK2EcU9QIcihh1IT1zpcM6IcF"
    "IG5VkS0SJM4isM4iMJO+v61ZIEHrNMamaYwpDzMN/KVhVxWTWoaqvm/o0YF8QMABYFKltT"
    "9B0kIZZk/yOAVQClaoOwTymKqFQPeeldlhodUGYTEvlrvAsq9iM2hOuJFzB7QoEKVh8luL"
    "AlEahuxBB6K89kAq4Logdy6+073Df8FtQ17aeyEIHQ7lXGg00lNBLjDghaCRn3uRDd6XY7"
    "TBc0UQNjTaY66bbRFnu5l4ES7M/wD/iI/nMG2gmwIXRk2dFngKfu9Ez8AGan79JwN4/nAO"
    "BJcnd9+27N3nySWnevlMrhVNC5WTPaQahWtIBYwTJC2EeC/OAjalRaEj6zGOCbZCuGFSTR"
    "bgMpMYWm0AODeNDV79WxZweGjBevxSSp9RsQHsFHEG9Wug3tfEjq/Uq3W9vLh4k1K4Xr6+"
    "zOD98e3L8/cPHhs2QCNuRcy8ra7WfOZGT+29pDM729E28/vgrArG7QNaAxfb+oySxM5p1G"
    "Reu1Sm9liQGobsYVuQxK2VMrL2I3u9e5f1yDQrHfi6oEs0vmD0qWALY6dRR2RwA4wLY0cx"
    "8OyqQx6E6UNqIheC0DHAioRYU0E9tIGkPhc32NI2kTCtHhbFvu67SxP+io8wgYmxnemnt6"
    "dn33746bT37BjzoyjBJl1zC65+G1/GR34DJPKGiRfEPkgx6jMY3UQC/0JSwsQwWM40jhDe"
    "5UqEBiwDuQoNYFgVims7dhf56gxXDQJ2z4Yr/JyrIBu1b6E1pYw+tF4byutC0dJWBd4UUe"
    "um7+5NgollPw/zJfu0ZtnNkLVBu9+kc5z/6zKlbuTqD8Uqx5uLd/+ImmeLEqWRD6RfyZIS"
    "tW/hwrH7aS2krmamCtu3YSJnLLCPyqQVQ6v1FthHucRi7AHk2SpRkEkSFxeRN6yaMlPG0V"
    "zNUpAgcpGlWVCdOXWr7e7QTGwNCsVr2CrVJi67yl9fA5ejhfd6Wc1onqNzQsadpvMVZnUZ"
    "0BuGb1kDem5ypczoMAry7uObN/dpRwf8O2tM6XirW8qaHgvod1vUf5tIMgwjGq+XWClhOC"
    "H2KS9MoS54FB4SYMzeeet4dfLCAEke+wqMF8jFRt6nibn6vuyE6wPYkMOlodonk6RxScPF"
    "6r6LCtijaLPaGb5IrFk5ow9svpaVbFJfanFwQHba1iUrNmzCHnSwhclaOTOlX/JiYvLmXY"
    "KiNIVjbRGZ0sEXs0COAzq1sQIBG3OlGVb04loxf2RLf3337O+PsfSXPXlqFdKAr2EPlCKz"
    "+bXPhygedkOJEVoRITech1VTzyYUIzwoICwqxkRc5oxgxB6BeYAhElxYAdeMSEh7n2mFkj"
    "DWOluwmSZ0BMOEfk0BMhdP0UBh18VTuAOzDjLCfB7wKvCGzdvnF91XHSvYXXjAhroPyFU6"
    "1SlH+EWHOzVtZm+Aei+nO8GuL3TYUQUmZMgcC76ABUZSnIK4IittlRmyFq7ru980E6JrFa"
    "gzZO1b5HcfWNTMWlWtikh0MRtfg1l5yyP56j6Nz9VNOrDi+taYVVhbf3WrW87KVaGyviBI"
    "IgP+H1PTxWTOnJAFGnliMxD1fbnAEvORWcok1Bhr0JSLucZq8l7k/SwuRbPjPozdKqqT3+"
    "ciTiJSzJ7tHh6wdB3IhYqq3URdcH0SpQihxUsGekKE1BMYrslQsq3RUMbgc/KOyGBMb01F"
    "f5tDFPVhmtmkIo+ZE5yGEyqAtTjyF2gzM4X1jUktbjaEF1YEJ4wzjzXQPOZyN+qQlFz99z"
    "zMeynpEoJW1TaZIWsh2nsxUSYtYVXgztK1EO/eo6dlAMdmG/I5nuZz7Sawq0Mn1aZ3kqiF"
    "YO9+xQYBW86DYbW8rwRNC0He14w+hCM7WuDsEGxhEMgBvbEIV4quxvpb96O877D8ljOObc"
    "OAg7CeNDShqWHW5zZx+UBMoO4r3pK/aO6qYFuKmrvEpYIjYlY2ympR03lCF45+KOHoB4fo"
    "hnj0hgVONzIW/c7I6TUrwhfj+sF6IloMbX4ZbFhs+ivfbKJFHjtzq1vKYzeCpqWj0k0JVX"
    "OqQ+Y4BzzHQeCvBV2ekClFr1TkfIo8YaDb3jLVJZrewB1zm+uEV6prXGBFIel1dGv8eiFN"
    "ujqgx8dM6agwoLzhAI2SdgBS+Mu8u89nI+iBCtOL9bhhrHyiUGD3SiRqBC7CdxGMeczD54"
    "kT8usvZ+ckLLoddInAUXbDhE8kYQEjWuLJ2oJ90nhFmgKFCo/cCA8KWTpPXwM9fXgKa3VX"
    "X5rK+frutBwnP+YqQGfpWmjc3D3Y7jCSOg4jqVx08AvrDTYN4E2mjn0UHHRGxbYanRoReP"
    "eejeA1JpdYTzovyafu3iXMB7Zx39SmLi3Ph1S2orWVcK8ZDUCODSPNjshFlHi5kpjDXMtV"
    "9iYGoCktfRRbk2FqGIRWJM/X1a0TfJsl+Bp+V5bH0lRO8L1TTHAez9ZuW044+dq47Dye7e"
    "ZvKLRU8ySliVxtozt9SWrlrmiO26OJpXjSM6s5Ho8I+JyWlODIRgUpfLFqro7s2UNo/L/q"
    "2POFrMZy1XlBBqv9NHYaQBfwtWo8CsjrEu75mOJjknIwOYcGPi+q8VhPt+jqOM1oXNEDTD"
    "a/Vck8dsuHLHS+YELUCD0LqXyqEzKIkyMGJk1qYGJCB0TRJRKYyj/Q4cAK8QUjZphbNcLq"
    "QnhqOAzGaoWxhyOhA7KRNFdiooTS9wIGnFIrr8SY3zLz3tQcJiUFA1yj0OC4f8zr+vj+DX"
    "qXbJkimlBLs+ljcdIWFUuTteXUzAaqma7Q0J5qJjj9vRb93Z2PtYrCPy4Tg5+V3xMR+MeH"
    "UY2iVW4qE5QEQlzRuSwbymalqFoIdO9ZmckMrTakWeams7P1rUW/TVYCc4C1Ymzrw68TtM"
    "7e12ROO6vu18BldzDP18PlPmy0qsj2uCmBOUPo6sw1trZHo1HeS2mPmvPEGw3wvtLEs/bS"
    "qttEEb3bLJq8WdxjwZyGcbWWejn3UFWk0TDvq6hII9MkD83bcThZkk30aTfyeJkPwB54Oe"
    "BQJ+/TXt3r3uXWtk37N2xZ2rUNbU2Fy59/u1RH5HLC0D+KKW5RTp2QePKL5njsC3agrHfV"
    "XkCHqdLc96PkNMzBg99kYH4v++bXoMi5XV/HziXbLJfsTTWt7KalLtk9FFf3xzLgejKt5N"
    "BKErXQ07J7ryGsXP3q2VdpqlYAXXcGlvNvbcWKQ1N+wz1+K3t4ktKZOJrM5aScVpXPWVrH"
    "6aZxuhEplUaTzSlUkX67UZVCNbH8+ZzQVpqw2Oi8zAXHuFASSB/jTP+GGtmA2PmrTNEPE2"
    "46gn9QuZkx38Tmxie543gVoQEjdj4WHs1ZS6dOd2qW7uTCWfcUzooffFVze5KmFQJ9HcGA"
    "+D8uTdsAHdG1bj7vxTXLprRItFoPc0zQQo/GszKTGVptADg3nQ1eVedyimgnQDdoHj97XG"
    "ZhhlZrYTb33JHGdfo/6S1IG0F/HlRaLNJULVwx9uQDRfG8kqdZFpb539lsbpUBfKh5Uc3o"
    "jYcprIhqPEkhQv1gT1KYUaUWEvTzqhlgOcIWLh17OUPLGb/baixLqUgzb0s2pykdmxvNZp"
    "OHY7Lpt03iSRI7+3eTea2Y1vCuBWmmm2p1rmjasEHW7SoW7NNcjbFI8tqYww0KZBHxnrhw"
    "jzbUMoERT9YHRjwxgRGNcPSczj2uz2+ZifrLuHsS97p3OH0oNu0zbFvS92MrU6IbRaeOkf"
    "a410XXDPCDeXnvTTkyLM1C9Qn5eHl2RGAYMsADo9VEBprABGM+eTAwE/Rq3nvUOx50yVWH"
    "CimWUzlXVx38qZZKs+lV5+EL+wCYy7Y8JtJ9owj2h0iaSDwhcRDQ7ZTBVIeGE7mwhWSQlN"
    "gTEExpebi4RE+RGZYt/aLm13+yoT66ZcE1jETNsXqKIgNbw2ZEOda7h2drGoyZDo/d5trU"
    "7fQwmk/LriHAAgYnHNoSdIKYN55SGOHPHy7eEWk6MZ4uOQfgGMi2umx9z987sFvCtd87ER"
    "aGyatrUekguOK8WnV6taqLQE7IPQDBx3xmlWyKEUELTbd7sXbJiukUSRJ3TlreqmV3vipT"
    "dkXRwjm7h4o78S5bYU3gX5D33GyAd78oWPmqCsArijYomjVYYg+lalSnc6Bz+LBqRtUE81"
    "6mcsDgPVXVOglpqtYhvfsJjYpPHmDUaIsBjtpn9RsOuu//iM/V3k4I7Xw/mguz45LrOfc1"
    "F+oIu/1hX9BvgBrx2WwYzNoAu2kdBh/w8r5tVJ//D1pbm1Y="
)
