"""What may be a username, an e-mail address, a name, a password."""

import pytest
from moorage.accounts.names import check_email, check_name, check_username, folded
from moorage.accounts.passwords import check_password, too_long
from moorage.accounts.registration import username_of
from moorage.accounts.sealing import Seal, WrongSecret, load_secret
from moorage.accounts.secrets import new_api_key, new_pid, new_session_token
from moorage.errors import StartError, ValidationFailed


@pytest.mark.parametrize("name", ["a", "ann", "Ann-Marie_2.0", "7of9", "José", "田中", "हिन्दी", "x" * 64])
def test_usernames_that_people_have(name):
    assert check_username(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "-ann",
        ".ann",
        "ann@home",
        "a/b",
        "a\x00b",
        "a\nb",
        "x" * 65,
        "\ud800",
        "a\u202eb",
        "\u0301a",
        "ﷺ" * 5,
    ],
)
def test_usernames_that_are_refused(name):
    with pytest.raises(ValidationFailed) as refused:
        check_username(name)
    assert refused.value.problems[0]["field"] == "username"


@pytest.mark.parametrize("name", ["\u0430nn", "r\u043e\u043et", "ro\u03bft", "a\u0585n"])
def test_names_that_pose_as_others_are_refused(name):
    """Cyrillic, Greek or Armenian letters among Latin ones: no reader tells these from ann, root and aon."""
    with pytest.raises(ValidationFailed, match="alphabets"):
        check_username(name)
    made = username_of(f"{name}@example.org")
    assert made.isascii()
    assert check_username(made) == made


def test_spellings_of_one_name_are_one():
    # Full width, capital, compatibility ligature; and U+0345, which folding takes out of the normal form.
    assert folded("Ａｎｎ") == folded("ANN") == folded("ann")
    assert folded("ofﬁce") == folded("OFFICE")
    assert folded("Straße") == folded("STRASSE")
    assert folded("\u0345\u0301") == folded(folded("\u0345\u0301"))
    assert check_username("Ａｎｎ") == "Ann"


@pytest.mark.parametrize("email", ["ann@example.org", "a.b+c@sub.example.org", "root@localhost", "ü@exämple.org"])
def test_addresses(email):
    assert check_email(email) == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@example",
        "a@b@example.org",
        "a b@example.org",
        "a@example..org",
        "a@example.org\n",
        "a\x00@example.org",
        "a" * 250 + "@example.org",
        "ﷺ" * 60 + "@example.org",
        "\ud800@example.org",
    ],
)
def test_addresses_that_are_refused(email):
    with pytest.raises(ValidationFailed):
        check_email(email)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1bb", "evil\u202eeman", "x" * 129])
def test_display_names_that_are_refused(name):
    with pytest.raises(ValidationFailed):
        check_name(name)


def test_a_display_name_is_trimmed_and_may_be_markup():
    assert check_name("  <img onerror=x>  ") == "<img onerror=x>"
    assert check_name("👩\u200d💻 Ann") == "👩\u200d💻 Ann"


@pytest.mark.parametrize("password", ["correct horse", "пароль-длинный", "a\tb c d e f", "😀🙈" * 4])
def test_passwords(password):
    check_password(password, min_length=8, names=("ann",))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 8"),
        ("", "at least 8"),
        ("Password123", "common"),
        ("ＰＡＳＳＷＯＲＤ", "common"),
        ("zzzzzzzzzz", "common"),
        ("annamaria", "username"),
        ("ANNAMARIA", "username"),
        ("longmailname", "username"),
        ("has a \x00 inside", "NUL"),
        ("half a pair \ud800", "Unicode"),
        ("x" * 1025, "1024"),
        ("ü" * 513, "1024"),
        ("ﷺ" * 100, "1024"),
    ],
)
def test_passwords_that_are_refused(password, why):
    with pytest.raises(ValidationFailed) as refused:
        check_password(password, min_length=8, names=("AnnaMaria", "longmailname@example.org", None))
    assert why in refused.value.message
    assert password[:20] not in refused.value.message or len(password) == 0


def test_the_longest_password():
    check_password("xy" * 512, min_length=8)
    assert not too_long("x" * 1024)
    assert too_long("x" * 1025)


def test_secrets_have_their_form_and_differ():
    key = new_api_key()
    prefix, number, secret = key.secret.split("_", 2)
    assert prefix == "mcp"
    assert len(bytes.fromhex(number)) == 4
    assert len(secret) == 32
    assert key.secret.startswith(key.prefix + "_")
    assert len({new_session_token() for _ in range(100)} | {new_pid("user") for _ in range(100)}) == 200


def test_what_is_sealed_is_read_with_the_same_secret_only():
    first, same, other = Seal("s" * 40), Seal("s" * 40), Seal("t" * 40)
    sealed = first.seal("ABC-123 \N{SNOWMAN}")
    assert "ABC" not in sealed
    assert same.open(sealed) == "ABC-123 \N{SNOWMAN}"
    for box, text in ((other, sealed), (first, sealed[:-4] + "AAAA"), (first, "")):
        with pytest.raises(WrongSecret):
            box.open(text)
    assert first.csrf_token("sess_1") == same.csrf_token("sess_1")
    assert len({first.csrf_token("sess_1"), first.csrf_token("sess_2"), other.csrf_token("sess_1")}) == 3


def test_the_secret_is_made_once_and_private(tmp_path):
    made = load_secret(None, tmp_path / "data")
    assert load_secret(None, tmp_path / "data") == made
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]
    assert load_secret("x" * 32, tmp_path / "other") == "x" * 32
    assert not (tmp_path / "other").exists()
    (tmp_path / "data" / "secret.key").write_text("short\n")
    with pytest.raises(StartError, match="too short"):
        load_secret(None, tmp_path / "data")
