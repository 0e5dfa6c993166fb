"""One server for each file of contract tests, and people to talk to it."""

import pytest
from people import populated


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("contract")) as people:
        yield people


@pytest.fixture(scope="module")
def cast(people):
    """One signed-in user of each role, and somebody who is not signed in."""
    clients = {role: people.make(role).client for role in ("viewer", "operator", "admin", "owner", "helper")}
    return {**clients, "nobody": people.anybody()}
