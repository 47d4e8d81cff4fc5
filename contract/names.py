"""Names that may stand in a topic, a user name, a file name and a correlation id alike."""

from __future__ import annotations

import re

from contract.errors import ContractError, Reason

# The patterns, each for the whole text; the published schemas show them too.
# No '.', '/', '+', '#': the first separates a correlation id's parts, the others are MQTT's.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
BOOT = re.compile(r"[0-9a-f]{16}")
METRIC = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
CORRELATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

# `gateway/{site}` is the user name of a site's gateway.
RESERVED_SITES = frozenset({"gateway"})


def check_site(site: str) -> str:
    """Return `site` unchanged. Raises: ContractError for a name that no topic could carry."""
    if site in RESERVED_SITES:
        raise ContractError(Reason.BAD_NAME, f"the site name {site!r} is reserved")
    return _checked(NAME, site, "site")


def check_device(device: str) -> str:
    """Return `device` unchanged. Raises: ContractError for a name that no topic could carry."""
    return _checked(NAME, device, "device")


def is_boot(boot: str) -> bool:
    """Is this 64 random bits written as 16 lower-case hexadecimal digits?"""
    return BOOT.fullmatch(boot) is not None


def is_metric(name: str) -> bool:
    """Is this 1 to 64 printable characters? Any language, spaces included: the machine's owner names them."""
    return METRIC.fullmatch(name) is not None


def is_correlation_id(text: str) -> bool:
    """Is this 1 to 128 of letters, digits and `._:-`, so that it can stand in a URL, a log and a mail header?"""
    return CORRELATION_ID.fullmatch(text) is not None


def split_address(address: str) -> tuple[str, str]:
    """`plant-1/pump-07` → (site, device). Raises: ContractError for anything else."""
    site, slash, device = address.partition("/")
    if not slash:
        raise ContractError(Reason.BAD_NAME, f"{address!r} is not SITE/DEVICE, such as plant-1/pump-07")
    return check_site(site), check_device(device)


def _checked(pattern: re.Pattern[str], name: str, kind: str) -> str:
    if pattern.fullmatch(name) is None:
        raise ContractError(
            Reason.BAD_NAME,
            f"the {kind} name {name[:80]!r} must be 1 to 63 of letters, digits, '-' and '_'; first a letter or digit",
        )
    return name
