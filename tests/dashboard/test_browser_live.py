"""What the stream changes on an open page: at once, without rows jumping, and again after a break."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page

from ronda.client import ApiError
from tests.dashboard.conftest import Desk
from tests.dashboard.plant import NOW_MS, WHOLE_WAY, anomaly, notification, step
from tests.dashboard.served import Scripted
from tests.support.installation import until

pytestmark = pytest.mark.browser

# The page looks by itself once a second; what is faster came over the stream.
AT_ONCE_MS = 900


def reading(vibration: float, after_ms: int = 1000, **more: float) -> dict[str, Any]:
    values = {"vibration_de_rms_g": vibration, "motor_temperature_c": 58.0, **more}
    return {
        "site": "plant-1",
        "device": "pump-07",
        "measured_at_ms": NOW_MS + after_ms,
        "received_at_ms": NOW_MS + after_ms,
        "values": values,
    }


def live(page: Page) -> Page:
    page.wait_for_function("document.documentElement.dataset.connection === 'live'")
    return page


def click_simulate(page: Page) -> None:
    live(page).wait_for_selector("#fault-choice")
    page.click("#simulate")
    page.wait_for_selector("#banner[data-outcome]")


def outcome(page: Page, expected: str, timeout_ms: int = 5000) -> None:
    page.wait_for_selector(f"#banner[data-outcome={expected}]", timeout=timeout_ms)


def test_the_banner_turns_green_only_on_the_receipt(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit().open("/ui/golden-path")
    scripted.plant.tell_story(WHOLE_WAY[:-1], anomalies=[anomaly()])
    click_simulate(page)
    outcome(page, "running")
    page.wait_for_selector(".narration tbody tr >> nth=7")
    assert page.query_selector(".b-ok") is None
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    scripted.say("notification", notification())
    outcome(page, "delivered", AT_ONCE_MS)
    assert "398" in page.inner_text("#banner")
    assert "9A40E1B7" in page.inner_text("#banner")
    assert page.query_selector(".b-ok") is not None


def test_each_hop_is_narrated_with_its_time_and_the_correlation_id(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit(language="pt").open("/ui/golden-path")
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    click_simulate(page)
    outcome(page, "delivered")
    rows = [row.inner_text() for row in page.query_selector_all(".narration tbody tr")]
    assert len(rows) == len(WHOLE_WAY)
    assert "15:04:11,120" in rows[0]
    assert "Broker MQTT" in rows[1]
    assert "+386" in rows[-1]
    assert "9f2c-88342" in page.inner_text("#banner")
    assert page.url.endswith("?id=9f2c-88342")


def test_the_mail_that_was_sent_can_be_opened(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit().open("/ui/golden-path")
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    click_simulate(page)
    page.click(".sent a:has-text('Open') >> nth=0")
    page.wait_for_selector(".mail-frame")
    assert page.url.endswith("/ui/mail/m1")


def test_the_chosen_fault_is_simulated(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit().open("/ui/golden-path")
    page.select_option("#fault-choice", "none")
    scripted.plant.tell_story(WHOLE_WAY[:6])
    click_simulate(page)
    assert ("simulate", "none") in scripted.plant.calls
    scripted.plant.now_ms += 6_000
    outcome(page, "quiet")
    assert page.query_selector(".b-ok") is None


def test_a_refused_mail_is_told_with_the_servers_words(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit().open("/ui/golden-path")
    word = "550 5.1.1 unknown recipient"
    scripted.plant.tell_story(
        [*WHOLE_WAY[:-1], step("mail", "failed", 90, 1, receipt=word)],
        anomalies=[anomaly()],
        notifications=[notification("failed", receipt=word)],
    )
    click_simulate(page)
    outcome(page, "failed")
    assert word in page.inner_text("#banner")
    assert "refused, 550" in page.inner_text(".station.is-failed")


def test_a_way_that_stops_names_the_station(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit().open("/ui/golden-path")
    scripted.plant.tell_story(WHOLE_WAY[:5])
    click_simulate(page)
    outcome(page, "running")
    scripted.plant.now_ms += 16_000
    outcome(page, "stopped")
    assert "It passed Validation; Detection did not answer." in page.inner_text("#banner")


def test_events_that_come_with_the_click_do_not_hide_the_round(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/golden-path"))
    page.wait_for_selector("#fault-choice")
    scripted.plant.tell_story(WHOLE_WAY[:4])
    page.evaluate("""() => {
        const was = window.dash_clientside.ronda.follow;
        window.dash_clientside.ronda.follow = (run) => { was(run); ronda.set("trace-pulse", Date.now() + 1); };
    }""")
    page.click("#simulate")
    outcome(page, "running")


def test_an_earlier_round_can_be_told_again_by_its_address(desk: Desk, scripted: Scripted) -> None:
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    outcome(desk.sit().open("/ui/golden-path?id=9f2c-88342"), "delivered")


def test_a_receipt_that_overtakes_the_hops_does_not_freeze_the_numbers(desk: Desk, scripted: Scripted) -> None:
    page = desk.sit().open("/ui/golden-path")
    scripted.plant.tell_story(WHOLE_WAY[:4] + WHOLE_WAY[-1:], anomalies=[anomaly()], notifications=[notification()])
    click_simulate(page)
    outcome(page, "delivered")
    assert "after the reading" not in page.inner_text("#banner")
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    page.wait_for_selector("#banner:has-text('398\u00a0ms after the reading')", timeout=3000)
    page.wait_for_selector(f".narration tbody tr >> nth={len(WHOLE_WAY) - 1}")
    asked = scripted.plant.calls.count(("trace", "9f2c-88342"))
    page.wait_for_timeout(1500)
    assert scripted.plant.calls.count(("trace", "9f2c-88342")) <= asked + 1


def test_a_healthy_round_is_still_one_when_its_link_is_opened(desk: Desk, scripted: Scripted) -> None:
    scripted.plant.tell_story(WHOLE_WAY[:6])
    scripted.plant.now_ms += 3_600_000
    page = desk.sit().open("/ui/golden-path?id=9f2c-88342")
    outcome(page, "quiet")
    assert page.query_selector(".is-failed") is None


def test_a_round_that_nobody_knows_is_told_as_that(desk: Desk) -> None:
    page = desk.sit().open("/ui/golden-path?id=nonsense")
    page.wait_for_selector(".note:has-text('Nothing is known of nonsense')")
    assert page.query_selector("#banner") is None


def test_retry_repeats_the_click(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/golden-path"))
    page.wait_for_selector("#fault-choice")
    detail = {"detail": "no demo machine is rested", "reason": "no_rested_machine", "request_id": "r-503"}
    scripted.plant.refuses = ApiError(503, detail)
    page.select_option("#fault-choice", "cavitation")
    page.click("#simulate")
    card = page.wait_for_selector("[role=alert]")
    assert card is not None
    assert "getting ready" in card.inner_text()
    assert "Id r-503" in card.inner_text().split("\n")
    scripted.plant.refuses = None
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    page.click("[role=alert] button")
    outcome(page, "delivered")
    assert [what for call, what in scripted.plant.calls if call == "simulate"] == ["cavitation", "cavitation"]


def test_new_anomalies_wait_behind_a_button_and_no_row_jumps(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/anomalies"))
    first = page.inner_text(".rows li >> nth=0")
    for number in (7, 8):
        new = anomaly(number, "warning", device="fan-12")
        scripted.plant.listed.insert(0, new)
        scripted.say("anomaly", new)
    page.wait_for_selector("#show-new:has-text('2 new')", timeout=AT_ONCE_MS)
    assert page.inner_text(".rows li >> nth=0") == first
    page.wait_for_selector("#open-alarms:has-text('3 warnings')")
    page.click("#show-new")
    page.wait_for_selector("#anomaly-a8")
    assert "fan-12" in page.inner_text(".rows li >> nth=0")
    page.wait_for_selector("#show-new", state="hidden")


def test_a_repeat_is_counted_once(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/anomalies"))
    for _ in range(2):
        scripted.say("anomaly", anomaly(9), identity="same")
    page.wait_for_selector("#show-new:has-text('1 new')")


def test_the_fleet_shows_what_is_measured_now(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/"))
    scripted.say("reading", reading(0.777))
    page.wait_for_selector("[data-live='plant-1/pump-07']:has-text('0.78')", timeout=AT_ONCE_MS)


def test_the_fleet_moves_a_device_that_falls_ill(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/"))
    scripted.plant.known[2]["state"] = "critical"
    scripted.plant.listed.append(anomaly(5, device="pump-03"))
    scripted.say("anomaly", anomaly(5, device="pump-03"))
    page.wait_for_selector(".attention:has-text('pump-03')", timeout=2000)


def test_the_chart_follows_at_most_four_times_a_second(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/device/plant-1/pump-07"))
    page.wait_for_selector("#chart .main-svg")
    page.wait_for_function("window.Plotly && document.querySelector('#chart .js-plotly-plot').layout.meta")
    page.evaluate(
        "() => { window.drawn = 0; const was = Plotly.extendTraces;"
        "Plotly.extendTraces = (...all) => { window.drawn += 1; return was(...all); } }"
    )
    began = time.monotonic()
    for number in range(40):
        scripted.say("reading", reading(0.6 + number / 1000, 1000 + number * 25))
    newest = "document.querySelector('#chart .js-plotly-plot').data.find(t => t.meta.role === 'seen').y.at(-1)"
    page.wait_for_function(f"{newest} === 0.639")
    took = time.monotonic() - began
    assert page.evaluate("window.drawn") <= took * 4 + 1
    axis = "document.querySelector('#chart .js-plotly-plot')._fullLayout.xaxis"
    end = page.evaluate(f"{axis}.r2l({axis}.range[1])")
    assert end >= NOW_MS + 1975 - 3 * 3_600_000


def test_a_value_beyond_the_scale_makes_it_grow(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/device/plant-1/pump-07"))
    page.wait_for_function("window.Plotly && document.querySelector('#chart .js-plotly-plot')?.layout?.meta")
    scripted.say("reading", reading(9.5))
    page.wait_for_function("document.querySelector('#chart .js-plotly-plot').layout.yaxis.range[1] > 9.5")
    assert "9.50" in page.inner_text(".label >> nth=0")


def test_a_broken_stream_comes_back_and_asks_for_what_it_missed(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/anomalies"))
    scripted.say("reading", reading(0.5))
    page.wait_for_selector("#connection:has-text('Live')")
    scripted.hang_up()
    page.wait_for_selector("#connection:has-text('Reconnecting')")
    page.wait_for_function("document.documentElement.dataset.connection === 'live'", timeout=3000)
    assert scripted.asked[0] is None
    assert int(scripted.asked[-1] or 0) >= NOW_MS * 1000
    scripted.say("anomaly", anomaly(9))
    page.wait_for_selector("#show-new:has-text('1 new')")


def test_the_badge_says_how_often_it_tried(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit(language="pt").open("/ui/"))
    scripted.refuse_streams = True
    scripted.hang_up()
    page.wait_for_selector("#connection:has-text('Reconectando')")
    page.wait_for_selector("#connection:has-text('tentativa 2')", timeout=8000)
    scripted.refuse_streams = False
    page.wait_for_function("document.documentElement.dataset.connection === 'live'", timeout=8000)


def test_what_was_dropped_is_said_and_the_page_renewed(desk: Desk, scripted: Scripted) -> None:
    page = live(desk.sit().open("/ui/"))
    asked = len(scripted.plant.calls)
    scripted.say("dropped", {"count": 12})
    page.wait_for_selector("#connection:has-text('12 events dropped')")
    until(lambda: len(scripted.plant.calls) > asked or None, "the page asks again", 5)
