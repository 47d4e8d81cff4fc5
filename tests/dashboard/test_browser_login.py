"""The way in and out."""

from __future__ import annotations

import pytest

from tests.dashboard.conftest import Desk, Watched

pytestmark = pytest.mark.browser


def log_in(reader: Watched, password: str = "right") -> None:
    reader.page.fill("#username", "admin")
    reader.page.fill("#password", password)
    reader.page.click("button[type=submit]")


def test_a_stranger_is_led_to_the_login_and_back(desk: Desk) -> None:
    reader = desk.sit(logged_in=False)
    reader.page.goto(reader.address + "/ui/anomalies")
    assert reader.page.url.endswith("/ui/login?next=/ui/anomalies")
    log_in(reader)
    reader.page.wait_for_selector("h1:text-is('Anomalies')")
    assert reader.strangers == []
    assert reader.errors == []


def test_a_wrong_password_is_told_without_losing_the_name(desk: Desk) -> None:
    reader = desk.sit(logged_in=False, language="pt")
    reader.page.goto(reader.address + "/ui/login")
    log_in(reader, "wrong")
    reader.page.wait_for_selector("#refused:has-text('Usuário ou senha incorretos.')")
    assert reader.page.input_value("#username") == "admin"


@pytest.mark.parametrize("there", ["https://elsewhere.example/", "//elsewhere.example/ui/", "/api/v1/devices"])
def test_the_login_leads_to_no_other_place(desk: Desk, there: str) -> None:
    reader = desk.sit(logged_in=False)
    reader.page.goto(f"{reader.address}/ui/login?next={there}")
    log_in(reader)
    reader.page.wait_for_selector("h1:text-is('Fleet')")
    assert reader.page.url == f"{reader.address}/ui/"


def test_logging_out_ends_the_session(desk: Desk) -> None:
    reader = desk.sit()
    page = reader.open("/ui/")
    page.click(".avatar")
    page.click("[data-action=log-out]")
    page.wait_for_selector("#login")
    page.goto(reader.address + "/ui/")
    page.wait_for_selector("#login")


def test_every_field_has_a_label(desk: Desk) -> None:
    reader = desk.sit(logged_in=False)
    reader.page.goto(reader.address + "/ui/login")
    assert reader.page.get_by_label("User name").count() == 1
    assert reader.page.get_by_label("Password").count() == 1
