import os
from itertools import count
from pathlib import Path

import psycopg
import pytest
from tests import postgres

_NUMBERS = count()


def missing(what: str) -> None:
    """Skip, naming the reason; where everything must be there (CI), fail."""
    if os.environ.get("ALIDADE_TEST_ALL"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def postgres_server():
    if postgres.programs() is None:
        missing("PostgreSQL's server")
    with postgres.server() as address:
        yield address


def fresh_database(address: str) -> str:
    name = f"alidade_{next(_NUMBERS)}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{address}/{name}"


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def votebook_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each database that votes are kept in."""
    if request.param == "postgresql":
        return fresh_database(request.getfixturevalue("postgres_server"))
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'votes.db'}"
