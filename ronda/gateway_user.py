"""The user with which a gateway comes to the broker of `ronda up`: it may speak for the devices of its site."""

from __future__ import annotations

from pathlib import Path

from broker.credentials import Credentials
from contract.access import gateway_rights
from contract.names import check_site
from ronda.installation import Installation, InstallationError


def make_gateway_user(data: Path, site: str) -> None:
    """Print the user and a new password, which nobody can read again; an earlier one is valid no more.

    Raises: ContractError for a name that is none; InstallationError for a broker whose users are not ours to make.
    """
    user, credentials = gateway_rights(check_site(site)).name, _credentials(data)
    password = Credentials.new_password()
    credentials.set(user, password)
    print(f"username  {user}\npassword  {password}\nIt is shown this once.")


def remove_gateway_user(data: Path, site: str) -> None:
    """Cut the site's gateway off; what it brought stays. Raises as `make_gateway_user`."""
    user, credentials = gateway_rights(check_site(site)).name, _credentials(data)
    if user not in credentials.users():
        raise InstallationError(f"the site {site} has no gateway")
    credentials.remove(user)
    print(f"{user} is cut off")


def _credentials(data: Path) -> Credentials:
    installation = Installation(data)
    if installation.runtime().mqtt_url:
        raise InstallationError(
            "MQTT_URL names a broker of your own: make the user gateway/SITE there; see docs/gateway.md for its rights"
        )
    return Credentials(installation.passwd)
