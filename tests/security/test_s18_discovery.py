"""S18: a provider is found from the configuration alone: no redirects, no addresses that no provider has."""

from __future__ import annotations

import pytest
from harness import running
from visitor import Visitor, error_of, provider

METADATA = "/.well-known/openid-configuration"
LINK_LOCAL = "https://169.254.169.254/token"
WRONG_METADATA = [
    {"issuer": "https://evil.example"},
    {"issuer": None},
    {"token_endpoint": LINK_LOCAL},
    {"token_endpoint": "http://169.254.169.254/latest"},
    {"token_endpoint": "https://[fe80::1]/token"},
    {"token_endpoint": "https://[::ffff:169.254.169.254]/token"},
    {"token_endpoint": "https://[fd00:ec2::254]/token"},
    {"token_endpoint": "https://0.0.0.0/token"},
    {"token_endpoint": "http://example.org/token"},
    {"token_endpoint": "file:///etc/passwd"},
    {"token_endpoint": "https://user@127.0.0.1/token"},
    {"token_endpoint": "http://[::1"},
    {"token_endpoint": "https://exa mple.org/token"},
    {"token_endpoint": "https://" + "a" * 300 + ".example/token"},
    {"token_endpoint": "https://xn--a/token"},
    {"token_endpoint": "https://\x00.example/token"},
    {"token_endpoint": 7},
    {"token_endpoint": None},
    {"jwks_uri": LINK_LOCAL},
    {"jwks_uri": "gopher://x"},
    {"userinfo_endpoint": LINK_LOCAL},
]
FAULTS = ["500", "malformed", "list", "deep", "huge", "drop"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    # Metadata is kept for ten minutes: each test has a provider of its own.
    names = [f"wrong{i}" for i in range(len(WRONG_METADATA))] + [f"fault{i}" for i in range(len(FAULTS))]
    names += ["moved", "keys", "down", "authorize"]
    providers = {name: provider(identity_provider.issuer, register_new="open") for name in names}
    config = {
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {
            "argon2_memory_kib": 256,
            "argon2_time": 1,
            "providers": {**providers, "closed": provider("http://127.0.0.1:9", register_new="open")},
        },
    }
    with running(tmp_path_factory.mktemp("s18"), config) as server:
        server.add_user("root", "owner")
        yield server


@pytest.fixture
def visitor(server, identity_provider):
    identity_provider.tell()
    with Visitor(server) as visitor:
        yield visitor


@pytest.mark.parametrize("number", range(len(WRONG_METADATA)), ids=lambda i: str(WRONG_METADATA[i])[:60])
def test_metadata_that_points_elsewhere_is_not_followed(visitor, identity_provider, number):
    identity_provider.tell(metadata=WRONG_METADATA[number], slim=True)
    begun = visitor.leave(f"wrong{number}")
    if not begun.startswith("/"):
        begun = visitor.come_back(visitor.at_provider(begun))
    assert begun == "/?error=oauth_failed"
    assert visitor.me() is None


@pytest.mark.parametrize("endpoint", ["http://evil.example/authorize", "javascript:alert(1)", LINK_LOCAL[:5]])
def test_nobody_is_sent_to_an_endpoint_in_clear_text(server, identity_provider, endpoint):
    identity_provider.tell(metadata={"authorization_endpoint": endpoint})
    with Visitor(server) as visitor:
        # Refused metadata is kept like any other; what is in it is looked at each time.
        assert visitor.leave("authorize") == "/?error=oauth_failed"


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda i: FAULTS[i])
def test_metadata_that_cannot_be_read_is_told(visitor, identity_provider, number):
    identity_provider.tell(faults={METADATA: FAULTS[number]})
    assert visitor.leave(f"fault{number}") == "/?error=oauth_failed"
    answer = visitor.post("/api/auth/sign-in/social", json={"provider": f"fault{number}"})
    assert answer.status_code == 503
    # It was no more than a bad moment.
    identity_provider.tell()
    assert visitor.sign_in(f"fault{number}") == "/"


@pytest.mark.parametrize("path", [METADATA, "/token", "/jwks"])
def test_redirects_are_not_followed(server, identity_provider, path):
    identity_provider.tell(faults={path: f"redirect:{identity_provider.issuer}/caught"})
    with Visitor(server) as visitor:
        begun = visitor.leave("moved")
        if not begun.startswith("/"):
            begun = visitor.come_back(visitor.at_provider(begun))
        assert error_of(begun) == "oauth_failed"
    assert identity_provider.heard("/caught") == []


def test_a_provider_that_is_down_is_told(visitor):
    assert visitor.leave("closed") == "/?error=oauth_failed"
    assert visitor.post("/api/auth/sign-in/social", json={"provider": "closed"}).status_code == 503
