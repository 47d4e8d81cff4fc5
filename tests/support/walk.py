"""Records the walk along the golden path, from the click to the model's run in MLflow: `python -m tests.support.walk`.

A real installation, a real click, a real mail, the real MLflow; nothing in the film was drawn for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.async_api import Page, async_playwright

from tests.support.installation import ROOT, Ronda, until
from tests.support.picture import FLAGS, log_in
from tests.support.ports import free_port
from tests.support.screencast import HEIGHT, WIDTH, Screencast

FILM = ROOT / "docs" / "evidence" / "golden-path" / "golden-path.webm"


def main() -> None:
    """Start, walk, stop, and put the film together; needs Debian's ffmpeg and Chromium."""
    FILM.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ronda = Ronda(folder / "data").start()
        try:
            ronda.until_ready()
            with _mlflow(ronda) as registry:
                cast = asyncio.run(_walk(ronda, registry, folder))
        finally:
            ronda.stop()
        print(f"{FILM.relative_to(ROOT)}: {cast.write(FILM):.0f} s, {FILM.stat().st_size / 1e6:.1f} MB")


@contextlib.contextmanager
def _mlflow(ronda: Ronda) -> Iterator[str]:
    """MLflow's own pages over the runs of the installation; yields their address."""
    port = free_port()
    command = [sys.executable, "-m", "ronda", "mlflow", "--data", str(ronda.data), "--port", str(port)]
    server = subprocess.Popen(command, cwd=ronda.data.parent)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool | None:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{address}/health").status_code == 200 or None
        return None

    try:
        until(answers, "MLflow answers", 60)
        yield address
    finally:
        server.terminate()
        server.wait(30)


async def _walk(ronda: Ronda, registry: str, folder: Path) -> Screencast:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        await log_in(page, ronda)
        cast = Screencast(page, folder)
        await cast.start()
        await _machines(page, cast, ronda)
        correlation_id = await _click(page, cast, ronda)
        await _told(page, cast, ronda)
        await _model(page, cast, registry, _run_of(ronda, correlation_id))
        await cast.stop()
        await browser.close()
    return cast


async def _machines(page: Page, cast: Screencast, ronda: Ronda) -> None:
    await page.goto(f"{ronda.url}/ui/")
    await cast.say(
        "One command runs it all: broker, agents, database, API, dashboard, and these emulated pumps.",
        "Um comando executa tudo: broker, agentes, banco de dados, API, painel e estas bombas emuladas.",
        7,
    )


async def _click(page: Page, cast: Screencast, ronda: Ronda) -> str:
    await page.goto(f"{ronda.url}/ui/golden-path")
    await cast.say(
        "A rested machine will publish its last minute with bearing wear, over the same broker as every other.",
        "Uma máquina em repouso publicará o último minuto com desgaste de rolamento, pelo mesmo broker.",
        7,
    )
    await page.get_by_role("button", name="Simulate Anomaly Ingestion").click()
    await cast.say(
        "One click: acquisition, validation, anomaly detection, notification. Each hop is drawn with its time.",
        "Um clique: aquisição, validação, detecção de anomalias, notificação. Cada etapa com o seu tempo.",
        2,
    )
    await page.get_by_text("Notification delivered").wait_for()
    await page.wait_for_timeout(6000)
    await cast.say(
        "One id from the sensor to the mail, with the measured times.",
        "Um único identificador do sensor ao e-mail, com os tempos medidos.",
        1,
    )
    await _scroll(page)
    correlation_id = await page.evaluate("new URLSearchParams(location.search).get('id')")
    return str(correlation_id or _latest(ronda))


async def _told(page: Page, cast: Screencast, ronda: Ronda) -> None:
    await page.goto(f"{ronda.url}/ui/mail")
    await cast.say(
        "The mail as the mail server received it: which sensor, expected against seen, and one plain sentence.",
        "O e-mail como o servidor o recebeu: qual sensor, esperado e medido, e uma frase simples.",
        4,
    )
    await page.locator("main a[href*='/ui/mail']").first.click()
    await page.wait_for_timeout(4000)
    await _scroll(page)
    await page.goto(f"{ronda.url}/ui/anomalies")
    await cast.say(
        "The anomaly on the dashboard, its evidence frozen when it was raised …",
        "A anomalia no painel, com a evidência congelada no momento do alarme …",
        3,
    )
    await page.locator("main a.line").first.click()
    await page.wait_for_timeout(3000)
    await _scroll(page)
    await page.locator("button[data-language=pt]").click()
    await page.mouse.wheel(0, -2000)
    await cast.say(
        "… and the same in Brazilian Portuguese.",
        "… e o mesmo em português do Brasil.",
        5,
    )


async def _model(page: Page, cast: Screencast, registry: str, run: tuple[str, str]) -> None:
    experiment, run_id = run
    await page.goto(f"{registry}/#/experiments/{experiment}/runs/{run_id}")
    # MLflow opens a side panel of its own over the run.
    panel = page.get_by_role("button", name="Close")
    if await panel.count():
        await panel.first.click()
    await cast.say(
        "The run in MLflow that trained the model which raised it: data hash, rows, and the model's checksum.",
        "A execução no MLflow que treinou o modelo do alarme: hash dos dados, linhas e a soma do modelo.",
        9,
    )


async def _scroll(page: Page) -> None:
    """Down the page at reading speed."""
    for _ in range(8):
        await page.mouse.wheel(0, 110)
        await page.wait_for_timeout(700)


def _latest(ronda: Ronda) -> str:
    return str(ronda.get("/api/v1/anomalies", limit=1)["items"][0]["correlation_id"])


def _run_of(ronda: Ronda, correlation_id: str) -> tuple[str, str]:
    """(experiment, run) of the model that raised the anomaly."""
    (anomaly,) = ronda.get(f"/api/v1/trace/{correlation_id}")["anomalies"][:1]
    run_id = str(anomaly["model"]["run_id"])
    return "1", run_id


if __name__ == "__main__":
    main()
