"""A real MLflow, where the machine's model is kept."""

from __future__ import annotations

import asyncio

import httpx

from cloud.models.registry import Provenance, Registry
from cloud.storage.model_versions import ModelVersion
from detection.fit import Fitted
from tests.faults.field import until_true
from tests.faults.ground import Ground
from tests.faults.processes import Process
from tests.support.ports import free_port

MLFLOW = "mlflow"


class ModelServer:
    """`ronda mlflow`, and the line on which the detection asks it for models. `url` is empty where there is none."""

    url = ""

    async def start(self, ground: Ground, environment: dict[str, str]) -> None:
        """Up to its first answer."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.line = await ground.line(port)
        arguments = ["mlflow", "--port", str(port), "--data", str(ground.folder / "registry")]
        await ground.begin(Process(MLFLOW, arguments, environment, ground.folder / MLFLOW), of_ronda=False)
        await until_true(self._answers, "MLflow answers")

    @property
    def url_on_the_line(self) -> str:
        return f"http://127.0.0.1:{self.line.port}"

    async def register(self, site: str, device: str, learned: Fitted, now_ms: int) -> ModelVersion:
        """Keep a model, as a training does."""
        made = Provenance(code_version="faults", made_at_ms=now_ms)
        return await asyncio.to_thread(Registry(self.url, "").register, site, device, learned, made)

    async def _answers(self) -> bool:
        try:
            async with httpx.AsyncClient(base_url=self.url) as client:
                return (await client.get("/health")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
