"""What is checked before anything starts: one line each, and nothing of anybody else's is touched."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ronda.guards import alone, check_agents, check_database, check_port, check_settings, free_port
from ronda.installation import AGENT_NAMES, Installation, InstallationError
from ronda.settings import Settings, SettingsError


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]  # pydantic reads the strings


def test_the_agents_names_are_those_of_the_chain() -> None:
    from cloud.agents.registry import AGENTS

    assert [agent.name for agent in AGENTS] == list(AGENT_NAMES)


def test_an_agent_can_be_left_out_and_an_unknown_one_is_named() -> None:
    assert "validation" not in check_agents(("validation",))
    with pytest.raises(InstallationError, match="'valid'"):
        check_agents(("valid",))


def test_a_taken_port_is_refused_with_the_option_that_helps() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InstallationError, match="--http-port"):
            check_port("127.0.0.1", taken.getsockname()[1], "--http-port")
    check_port("127.0.0.1", free_port("127.0.0.1"), "--http-port")


@pytest.mark.parametrize("name", ["email_to", "email_from"])
def test_an_address_that_no_mail_reaches_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name.upper()):
        check_settings(settings(**{name: "nonsense"}))


async def test_a_database_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InstallationError, match="DATABASE_URL"):
        await check_database(f"postgresql://x:y@127.0.0.1:{free_port('127.0.0.1')}/z")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("kept")
    tmp_path.chmod(0o755)
    with pytest.raises(InstallationError, match="--data"):
        Installation(tmp_path).create()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_one_installation_is_run_once_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(InstallationError, match="another"), alone(tmp_path):
        pass


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data")
    installation.create()
    first = installation.secrets()
    assert installation.secrets() == first
    assert (tmp_path / "data" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
