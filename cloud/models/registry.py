"""The MLflow registry: each training is a run, each model a version, `champion` the alias of the one in force.

A training registers and moves no alias; `promote`, `challenge` and `retire` do that, after the store was told.

Imported by the trainer's process alone: MLflow costs a second and 100 MB or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cloud.models.logged import FILE, Logged, classifier_to_log, detector_to_log
from cloud.models.mlflow_link import Link
from cloud.storage.classifiers import Classifier
from cloud.storage.model_versions import LeftOut, ModelVersion
from detection.fit import Fitted
from detection.model import sha256

CHAMPION, CHALLENGER = "champion", "challenger"
# MLflow takes 5,000 characters of a version's tag.
_LONGEST_TAG = 4_900


def registered_name(site: str, device: str) -> str:
    """The device's name in the registry; neither part can hold a '.', so it splits again."""
    return f"ronda.{site}.{device}"


def classifier_name(site: str) -> str:
    """A site's fault classifier in the registry; no machine's model can have this name, whatever it is called."""
    return f"ronda-faults.{site}"


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a model and of what: the program's version, our time, and the periods that the fit left out."""

    code_version: str
    made_at_ms: int
    excluded: Sequence[LeftOut] = ()


class Registry:
    """Registers models and knows the champions.

    `tracking_uri` is a server, or a database that is opened in this process; `artifact_root` a folder or address for
    the latter, since a server decides by itself where it keeps what it is given. Raises everywhere: TransientError when
    one of them is away, RegistryError when it refuses us.
    """

    def __init__(self, tracking_uri: str, artifact_root: str) -> None:
        self._link = Link(tracking_uri, artifact_root)

    def prepare(self) -> None:
        """Import MLflow and create its database where there is none (seconds): call early, beside everything else."""
        self._link.prepare()

    def register(self, site: str, device: str, fitted: Fitted, provenance: Provenance) -> ModelVersion:
        """Log the training as a run and register its model as the device's next version; no alias is moved."""
        self._link.prepare()
        payload = fitted.model.to_bytes()
        facts = _facts(fitted, sha256(payload), provenance)
        with self._link.told_apart():
            run_id = self._run(site, device, fitted, facts)
            version = self._version(registered_name(site, device), run_id, detector_to_log(fitted, payload), facts)
            return self._model(site, device, version)

    def register_classifier(
        self, site: str, payload: bytes, learned: Mapping[str, int], provenance: Provenance
    ) -> Classifier:
        """Log the fit of a site's fault classifier, register it and move `champion` to it.

        `learned`: how many alarms of each fault it has learned from.
        """
        self._link.prepare()
        facts = {
            "sha256": sha256(payload),
            "learned": msgspec.json.encode(learned).decode(),
            "created_at_ms": str(provenance.made_at_ms),
            "code_version": provenance.code_version,
        }
        name = classifier_name(site)
        tags = {"mlflow.runName": f"{site}: faults", "mlflow.source.name": "ronda train --faults", "site": site}
        with self._link.told_apart():
            run_id = self._link.new_run(provenance.made_at_ms, tags | facts, {"alarms": sum(learned.values())}, {})
            version = self._version(name, run_id, classifier_to_log(payload), facts)
            self._link.client.set_registered_model_alias(name, CHAMPION, version.version)
            return Classifier(
                site=site,
                name=name,
                version=str(version.version),
                run_id=run_id,
                sha256=facts["sha256"],
                artifact_uri=self._artifact_uri(version),
                learned=dict(learned),
                promoted_at_ms=provenance.made_at_ms,
            )

    def promote(self, site: str, device: str, version: str) -> None:
        """Move `champion` to this version; it is no longer the challenger."""
        name = registered_name(site, device)
        self._link.prepare()
        with self._link.told_apart():
            self._link.client.set_registered_model_alias(name, CHAMPION, version)
            self._link.take_away(name, CHALLENGER, version)

    def challenge(self, site: str, device: str, version: str) -> None:
        """Move `challenger` to this version: scored beside the champion, it alarms nobody."""
        self._link.prepare()
        with self._link.told_apart():
            self._link.client.set_registered_model_alias(registered_name(site, device), CHALLENGER, version)

    def retire(self, site: str, device: str, version: str, why: str) -> None:
        """Write down why this version does not come into force; it is no longer the challenger."""
        name = registered_name(site, device)
        self._link.prepare()
        with self._link.told_apart():
            self._link.client.set_model_version_tag(name, version, "retired", why)
            self._link.take_away(name, CHALLENGER, version)

    def champion(self, site: str, device: str) -> ModelVersion | None:
        """The device's model in force; None when it has none."""
        self._link.prepare()
        with self._link.told_apart():
            version = self._link.holder(registered_name(site, device), CHAMPION)
            return None if version is None else self._model(site, device, version)

    def champions(self) -> list[ModelVersion]:
        """Every device's model in force, by site and device."""
        self._link.prepare()
        found, token = [], None
        while True:
            with self._link.told_apart():
                page = self._link.client.search_registered_models("name LIKE 'ronda.%'", page_token=token)
            addresses = [tuple(model.name.split(".")[1:]) for model in page]
            found += [self.champion(*address) for address in addresses if len(address) == 2]
            token = page.token
            if not token:
                break
        return sorted(filter(None, found), key=lambda champion: (champion.site, champion.device))

    def run_status(self, run_id: str) -> str:
        """The run's state as MLflow names it, such as `FINISHED`; empty when it knows no such run."""
        self._link.prepare()
        from mlflow.exceptions import MlflowException

        with self._link.told_apart():
            try:
                return str(self._link.client.get_run(run_id).info.status)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return ""
                raise

    def _run(self, site: str, device: str, fitted: Fitted, facts: dict[str, str]) -> str:
        tags = {
            "mlflow.runName": f"{site}/{device}",
            "mlflow.source.name": "ronda train",
            "site": site,
            "device": device,
            "channels_left_out": msgspec.json.encode(fitted.report.excluded).decode(),
        }
        return self._link.new_run(
            int(facts["created_at_ms"]), tags | facts, _measures(fitted), msgspec.structs.asdict(fitted.model.settings)
        )

    def _version(self, name: str, run_id: str, logged: Logged, facts: Mapping[str, str]) -> Any:
        """The run's model as the next version of `name`."""
        with self._link.meant():
            model_uri = logged.log(run_id)
        self._link.ensure_registered(name)
        # A server takes a version only of the model that it is told of by id, too.
        model_id = model_uri.removeprefix("models:/")
        return self._link.client.create_model_version(name, model_uri, run_id, tags=dict(facts), model_id=model_id)

    def _model(self, site: str, device: str, version: Any) -> ModelVersion:
        facts = version.tags
        return ModelVersion(
            site=site,
            device=device,
            name=version.name,
            version=str(version.version),
            run_id=version.run_id,
            sha256=facts["sha256"],
            artifact_uri=self._artifact_uri(version),
            data_hash=facts["data_hash"],
            rows=int(facts["rows"]),
            trained_from_ms=int(facts["trained_from_ms"]),
            trained_through_ms=int(facts["trained_through_ms"]),
            # Models of before have the time of their promotion in its place.
            created_at_ms=int(facts.get("created_at_ms") or facts["promoted_at_ms"]),
            code_version=facts.get("code_version", ""),
            exceedance=_number(facts.get("exceedance")),
            factor=_number(facts.get("factor")),
            excluded=msgspec.json.decode(facts.get("excluded", "[]"), type=list[LeftOut]),
            format=int(facts.get("format", 1)),
        )

    def _artifact_uri(self, version: Any) -> str:
        folder = self._link.client.get_model_version_download_uri(version.name, version.version)
        return f"{folder}/artifacts/{FILE}"


def _facts(fitted: Fitted, checksum: str, provenance: Provenance) -> dict[str, str]:
    """What run and version both carry, so that a model can be told from its version alone."""
    report = fitted.report
    facts = {
        "sha256": checksum,
        "data_hash": report.data_hash,
        "rows": str(report.rows),
        "trained_from_ms": str(report.trained_from_ms),
        "trained_through_ms": str(report.trained_through_ms),
        "created_at_ms": str(provenance.made_at_ms),
        "code_version": provenance.code_version,
        "factor": str(report.factor),
        "format": str(fitted.model.format),
        "excluded": _periods(provenance.excluded),
    }
    return facts if report.exceedance is None else facts | {"exceedance": str(report.exceedance)}


def _periods(periods: Sequence[LeftOut]) -> str:
    """As JSON that fits a tag; of too many periods the latest, which is where somebody would look."""
    kept = list(periods)
    while len(text := msgspec.json.encode(kept).decode()) > _LONGEST_TAG:
        kept = kept[len(kept) // 2 + 1 :]
    return text


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _measures(fitted: Fitted) -> dict[str, float]:
    report = fitted.report
    measures = {
        "rows": report.rows,
        "channels": report.channels,
        "drifting_channels": len(report.drifting),
        "cadence_ms": report.cadence_ms,
        "largest_healthy_distance": report.largest,
    }
    return measures if report.exceedance is None else measures | {"exceedance": report.exceedance}
