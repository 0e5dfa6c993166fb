"""core 0003_audit_append_only on postgres: the audit log is only added to. Never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE FUNCTION "core_audit_events_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never changed nor deleted' USING ERRCODE = 'restrict_violation';
END;
$$;
        CREATE TRIGGER "core_audit_events_no_update" BEFORE UPDATE OR TRUNCATE ON "core_audit_events"
    FOR EACH STATEMENT EXECUTE PROCEDURE "core_audit_events_append_only"();
        -- Removing goes by `moorage audit prune`, which disables this one for a transaction.
        CREATE TRIGGER "core_audit_events_no_delete" BEFORE DELETE ON "core_audit_events"
    FOR EACH STATEMENT EXECUTE PROCEDURE "core_audit_events_append_only"();"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        DROP TRIGGER "core_audit_events_no_delete" ON "core_audit_events";
        DROP TRIGGER "core_audit_events_no_update" ON "core_audit_events";
        DROP FUNCTION "core_audit_events_append_only"();"""


MODELS_STATE = (
    "eJztXW1zGrcW/isavjS5Qz2Ok7gep9MZx3Vu0yZ2Jya3ncYdEKwA1YtEV8KYafPf7znSLu"
    "wbsEsMXjb6ZCOds9I+RyudN0n/NHoyYAdnY/4LmzVOyT8NQUcM/kmUN0mDjsdRKf7UtOvP"
    "ydp0zNu3bKYMYVfpgPY0VPaprxgUeUz1Aj7WXApkOSNAS2Sf6CEjfRmMSGfUG7e/PyFDdv"
    "9D+3vFegHTP3Rekc44YH1+3yFcGeIxDTTpMuBh5relPMBmPdmDdrkYbKWFG3EjOqonx0wZ"
    "Ukp8rjS2MGbBiCsFrwa8WrNAqCaRARET38emCYW/YU/kVLDgG0UCPhhqZbo9EfzvCWtrOW"
    "BAEUDnP/0JxVx47J6p6Of4tt3nzPcSAuIePsCUt/VsbMreCv3GECIi3XZP+pORWBCPZ3oo"
    "xZyaC42lAwbdoprh43UwQYlh70MJR0K0PV2Q2C7GeDzWpxMf5Y7ctgOLska7fXnVal9ftN"
    "rtRmZMRBwxIYZFPSlwPEFXlXn7AXbh26NnL757cfL8+MUJkJhuzku++2ybXgBjGQ08l63G"
    "Z1NPNbUUBuMFqOM8VM+HNMiHdZyLK3Q4jWuEYnWBHdH7ts/EQA/h5/OjFSj+7+zD+U9nH5"
    "48P3qKDUr42u1ccBnWHJkqBHoBrPlbAtmI/mGgjQoW2C7mpp2D++zopAC6QLUUXlOXxNfO"
    "Y6XG7pyjdsP32XERgI+X43uchhfWk/aQqmEZgOM8tYP4+EUBiI9fLIUYq5IQ2+U1C/DP11"
    "eX+QAvOFLwerynyb9mjS4AcwhiVSaLFbgiFPjkkVJ/+3E8n7w/+z0N9fm7q9cGG6n0IDBP"
    "MQ94ncIdFBzEpk11FvsfoUbzEcvHP8mZlkHIehD9s4fz9gpRtN6+v7hunb3/NSGPH89aF1"
    "hzZEpnqdIn6Rln/hDy29vWTwR/kj+uLi/SYpvTtf5oYJ/oRMu2kNM29eKYRMVRUULMPlW6"
    "PVEbCTrN+wCi3p+Pbu8kze7HHB63gZyTnE7KVZZywO7k7UZfc5LTSbnKUoZJN2iXsvRjHO"
    "vN/c3W4H0z+NGF0r/NtfcRrSy4b2TA+ED8wmYG47fQIyp6efao8ZJ9DB+yX8h+jkZOVLpo"
    "P6DTucMpPqDgxT3mM20Nn7Pr87MfLxoG3i7t3U5p4LUTOGONPJKpkjlttmp0NEqXUEEHBh"
    "t8i8/NyDE50cMzrdlorBtZr2WssrnOdQm0bWqJC/ov31DuM49ETGQC4guIFAy9jqeEEo8P"
    "mPUOotcPuwb/UE2mVBEcOJ7xEFLS8zkT+htFBNNTGdxmHZnbbco5H6vlfLy1rvYS/oVauh"
    "ZODgu4Fk4Ol7oWsCpp4vbhM5oEec6FpWM2zrKtdXS3PsgHGbwpe3JDU3KXDoNHWFJroXn6"
    "sodGwkRo7pcWcorX2RhVk3RGJX4MJe5Hdsd77Fx6LKvDxerWqXCeIYXh57HCEWjLE+lKHF"
    "QrjNUqOWJd6c1AT4IWA3lHffLkw5tzcnJ8dPL0gHSMLowNmSiw0tC8R6YcRvdEE3yKR9Uw"
    "Lx691fZsdFpTPbHR6ZvGmAkP2r6Bntw07KOZd9NAXfAGwBAcf70Kn889wzUdSnYH2qUv0T"
    "sAOic0QPo8APVyOgQ1lCgwiaCCC2jwg5wqMpCmL0b1pEJNgdm8IDRuo+n4pk7TrKCmGX4y"
    "ZSNaKbbaaZ4PH9Saf8BlYE4w1Q7khw/OWuM21022HOQEUw2zDI5eviyAM1AtBdrU5cRoy6"
    "A8Z9gdwo3Gbobx4VGR2QLJlg9lU5mC2KzjpTCec+wQ5FDD2BHWDz5lQDssAHWrjG4RY3Ee"
    "gWUegbH0/U3dAjFeZzFWzWJMRJhp4M+MuMq41FJcu/uGDvfkAwIJgJBKzf0xlhrqMFvSxy"
    "mAkjNDrVHI51w1BProZZEVFqhWKItZtdwlln0Vi0F10o1cOKBGiSgV099qlIhSMWT3OhHl"
    "rQdaAdc5e+fmNc018QtuCXnh6IUgtNeTE6HRSU8FucKEF4JOfu5FPnhfDtAHzxVB2NBpj3"
    "vdLMV8t5vJF+HC/A/w9/lgAsMGmskJYeyo0ZxIwadG9AwkUJPuXwzg+dMFENw+ucf2ZT/8"
    "Prn4UC++k2vBU0PjZAtbjcI5pATGMZYaQryVYAEb0bzUkeUYzxk2QrhiWk0a4CKDGKhWAJ"
    "wZxgav9h0LODw0Zz5+LaXPqFgBdoI5hXoXuLc1sOclu7W6Xl9dvUsYXK/ftlJ4f3z/+uLD"
    "k2dGDEDErYqZ9dXtdD9zpYf2VrYzO9/RJuN777wKJuwDVgMXm8aM4swuaFRlWbutTPXxIF"
    "UM2f32IIk7q2Wk/Ue2vLnOe2TICie+TukMnS+YfSrY1Php1AHp3ILgwtxRTDy7aZAn4fYh"
    "NZRTQegAYEVGPFNBPbWJpD4Xt0hpSSQMq6d5ua/bbtKkv+IjTGLi3M90/dPZt0cvj6O9UU"
    "jwilg6xajPoPGhBPFgmisTvWA21phcO2QBww1TUhgsbetIY/rjslmdM6pCwG7ZGYWfaBlk"
    "I/oaekiK2DjLLZysfRNNV2XgTTDVbvg+vJsvNtdnYW6x+yXTboqtDhb7Kjvi4vdWwoTInC"
    "k0NyPeXV3+NyJPHzSURD6QfinvSERfw4nj4Ye1kLqc6ymkr8NATnlVD4tsFQaq5V7Vw8xm"
    "YWwBdNQymY1xFpfrkHWWmqOjTPC4nPUfY3LZomlQnYt0o+Vu39xmFUqvq9gsVScpu9O8vg"
    "YpRxNvd1bOEZ7hc0rGWnf4ArNdOcUrhm9Rp3hmcCVc49ALcvnx3bvH9I0D/o0l7nGsahby"
    "kM8V9PVe8t+GkvTCLMXuDE8/6A2Jfcorc/gWPAoP/jeu7KzHuzx7btIjn/v/TWTH5Ts+po"
    "u5/LrslOs9WJDDqaHcJxPncRuB8819F+nfomqzWBm+SK1ZBJj3bLwW1WwSX2p+wD89bHel"
    "K1ZswO51AoXZifLGN1N8SklcVK1TEqU5CLYPpIVTKUzqmdkNk9oGw6ODWqd0dkpG1GOYVm"
    "B3vHQDaAFP2WL0jqkm0fQWakw116QnR0wRBKVpkhvy0il20axJqQh5klkViwNnMUdC3nKA"
    "RknbASn8WaI1uymI9aEFKkwrppED0klkYDRvxDwBowmdsu8iGPOYh88Tp+TXX84vSJisHD"
    "SJwF42Q6W6GSZtaIknkgl2r7FEEswVUbhVKdxgNXPJGxXUrPH0mvKh8CSXi4WvDRrGP+Yy"
    "QKf5XIS2ANhuE9cuNnGVTuz4wpyOqgG866SOCkWiqqk+761LJGNrPoYa/4H14TWGLQmaaV"
    "aTT9SuU+YDSwxKHlAX1udDLmK4rIbbZTQAPVYxc8PrAbkS4Rm+C42Z0L4Gkk54PVbHXL2g"
    "tPRRbbVXyNrrYfFU3Dx9flfNOsW3WoqvkXdpfSzJ5RTftWqCS5Op7bLllJOvTcob3l/prq"
    "7cE/mGSku54FGSycWP1saPQsC+ONZxvXjOfuFbNNyRHFnViXhEwGespJhEVhpI4YuVC3Wk"
    "92yi8z+6U8RaLOZOkcV6Og8aQBPwtWqGxkiTcM8H4dhbQnDvJQ18npdHs5tmMdRxlrK4og"
    "cMAirCWEd4gYvp0SnpzG8P6BAqPNIx59x3iKIzJDcpP9Bvq6xne4bxDg8J8QoX2utBq9b8"
    "m4cyYsYe60tTYl4j2s0advQV9CxpPw74HbPbVc1mWymYM/4qaPy5Latb2rLqrOqdWNVuZ/"
    "AWL6dw58C7c+AfB2h3Dryz3Te13c1xXIqxjY/yivE6L1yVJe18rV+DlN2WxK9Hym1YaFWe"
    "R3DFkR1pxvodL7GFYOTj3FRZaZTrcFFlpQHe1k2Vae9m2WUij98tFlVeLNzGLneE63Y/k/"
    "3cgXQN4oGXAwk1siG5RV1zXVTOkrZv2axwZA5ozcmqP//WUgekhffrsCnu0Im2BAmpSQBz"
    "Z8A8gg0oGzOyBbgbXWnu+9HeGtxCBL9Jx/yetc2vTl5sbncNu9hVtWJXt+XU19uaxq4e3j"
    "qg/kAGXA9HpTz/caYauqQfPrwCM9cGp4ImuWoB9K43kLhAwEai2DcrIVzjN3IcxjmdLVhl"
    "Kcf1tLJyTvM6SVdN0pXYEWYs2YxBFdm3K00pc8lEURtqDLRSYEbhOJCDgI7IFBQqtFakzw"
    "5I5z9okXWIHb/KnFlgkvD68A8aN2Pmm9TC+WFf2F9FaMCIHY959tNuGnW2U7VsJ5f3t6W8"
    "P/zgy97JF+ephUK/i6wp/B+npk2AjvhqN57d/albB3hr96eWHMsJpgcBukLj+OWzIhMzUC"
    "2F2dQ94lWp1Z6St3JXKr0DbSNoT4JSk0WSq4YzxuGLIlgj2YrbQV5k0K7a1Ta1coD3NL/L"
    "QXflRdYLph1eYB2hvrf3V4+pUlMJ9nnZrTIZxhpOHdvQ5pzze5MRvxfOsoSJNPY2FHOS04"
    "m50mJ2F5d/PbJWTGt415z9eKuOGlzw1GGB3HWoWLD7iRpQe21Hfs7hCgMyj3lLUnhEH2qR"
    "xIjnyxMjnpvEiEoEes4mHtcXd8xk/aXCPbG65pqgD0XSNkPagrEfe7AehlFM1pqSI9aV3o"
    "x43GtiaAbkwbxs9KYYG54sQfUp+dg6PyDQDRmcEoqXmweawABjPnnSMQP0ZnJ0eHTcaZKb"
    "BhVSzEZyom4a+FPNlGajm8bTV/YBMJbt6X7I940i2B4iaS9Xl9gJaHbEYKgD4VBO7TkYyG"
    "oOCzcXnONp3WyGkSLTLYDilHTUpPsX6+mDOxZ0oSdq0hsSqkjHHsHRpxyP64ZnaxoMGLyU"
    "PaVbm2MHPczm07JpGHCn9ykHWoJBEPPGIwo9/Pn66pJI04iJdMkJAMdAt9VFjyf8hHeqQN"
    "mnRoSFEfKiLDr5RNvLclxUy92OU6mFct8UH/OZlfIpRgw1dN1uxdslS26niLO4OwCzXi27"
    "8pUZsguOGo7ZLRxNMl9lS8wJ/As2iFYb4IefFKx+VQbgBUcdDM0deGL35XidRmNPx/B+Ha"
    "6zI5i3MpQDBu+pym4oT3LVDumHH9Bo+GQBRos2H+CIPm3fcLB9/yU+V1u7JbLxfX8izIpL"
    "uhPuay7UATb7w7agXwE14rPaMZj2ATaTNgw+4PVj+6g+/x8NyI82"
)
