"""Names that can stand in a topic, a user name, a file name and a correlation id alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ContractError, Reason
from contract.names import check_device, check_site, is_boot, is_correlation_id, is_metric, split_address
from tests.contract import strategies as ours
from tests.contract.outcome import outcome


@given(ours.sites, ours.devices)
def test_an_address_is_a_site_and_a_device(site: str, device: str) -> None:
    assert split_address(f"{site}/{device}") == (site, device)


@given(st.text())
def test_a_name_is_returned_unchanged_or_refused(text: str) -> None:
    for check in (check_site, check_device):
        name = outcome(check, text)
        if isinstance(name, ContractError):
            assert name.reason is Reason.BAD_NAME
        else:
            assert name == text


@pytest.mark.parametrize("name", ["", "-a", "_a", "a.b", "a/b", "a+", "#", "a b", "é", "a\n", "a" * 64, "$SYS", "../a"])
def test_what_no_topic_file_or_id_could_carry_is_refused(name: str) -> None:
    for check in (check_site, check_device):
        with pytest.raises(ContractError, match="must be 1 to 63 of letters, digits"):
            check(name)


def test_a_gateways_user_name_is_no_site() -> None:
    with pytest.raises(ContractError, match="the site name 'gateway' is reserved"):
        check_site("gateway")
    assert check_device("gateway") == "gateway"


@pytest.mark.parametrize("address", ["pump-07", "", "plant-1/", "/pump-07", "a/b/c", "plant-1/pump 07"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ContractError):
        split_address(address)


def test_a_forgotten_site_is_told_with_an_example() -> None:
    with pytest.raises(ContractError, match="'pump-07' is not SITE/DEVICE, such as plant-1/pump-07"):
        split_address("pump-07")


@given(ours.boots, ours.metrics, ours.correlation_ids)
def test_boots_channels_and_correlation_ids_are_known(boot: str, metric: str, correlation_id: str) -> None:
    assert is_boot(boot)
    assert is_metric(metric)
    assert is_correlation_id(correlation_id)


@pytest.mark.parametrize("text", ["a\r\nBcc: x", "a\n", "", ".a", "a/b", "a" * 129, "é", "a b"])
def test_what_could_break_a_header_a_url_or_a_log_line_is_no_correlation_id(text: str) -> None:
    assert not is_correlation_id(text)
