"""Which machines there are, and who may speak for them: asked once in a few seconds, not once per reading."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from cloud.api.callers import Caller, may_register, may_speak_for
from cloud.api.ports import Address, Admitted, DeviceCredentials, Devices
from cloud.api.problems import Problem, not_found
from cloud.storage.devices import DeviceRecord as Device
from contract.plausibility import Metric

log = logging.getLogger("ronda.api.registration")

# A revocation by another process is noticed after this; one through this API at once.
_BELIEVED_MS = 5000
# About 10 MB of registrations with eight metrics each.
_REMEMBERED = 5000
HTTP_ORIGIN = "http"


class NoCredentials:
    """In the place of the password file where somebody else keeps the broker's users."""

    def new_password(self) -> str:
        """Raises: Problem 409 that says where to turn."""
        raise Problem(
            409,
            "broker_users_elsewhere",
            "the users of this broker are not kept here: add the device there, or set MQTT_PASSWORD_FILE to a file "
            "that the broker reads; over HTTP an API_KEY or a user's token may send its readings",
        )

    def set(self, user: str, password: str) -> None:
        """It never comes to that."""

    def users(self) -> Sequence[str]:
        """None that we know of."""
        return ()

    def remove(self, user: str) -> None:
        """Nothing is kept of it."""

    def verify(self, user: str, password: str) -> bool:  # noqa: ARG002  # the shape of the password file
        """Nobody logs in with a password that we cannot know."""
        return False


class Registration:
    """The register of machines as the API uses it."""

    def __init__(
        self, devices: Devices, credentials: DeviceCredentials, admitted: Admitted, clock_ms: Callable[[], float]
    ) -> None:
        self._devices = devices
        self._credentials = credentials
        self._admitted = admitted
        self._clock_ms = clock_ms
        self._known: dict[Address, tuple[float, Device]] = {}

    async def admit(self, caller: Caller, addresses: Iterable[Address]) -> dict[Address, Sequence[Metric] | None]:
        """The registered metrics of each machine that `caller` speaks for; new ones are registered.

        Raises: Problem 403 naming the first for which it may not speak.
        """
        wanted = dict.fromkeys(addresses)
        for address in wanted:
            if not may_speak_for(caller.devices, *address):
                raise _refused("not_your_device", address, f"{caller.subject} may not send readings of it")
        found = {address: await self._get(address) for address in wanted}
        for address, device in found.items():
            _check(caller, address, device)
        for address in (address for address, device in found.items() if device is None):
            await self._register(address, caller)
        return {address: device.metrics if device else None for address, device in found.items()}

    async def add(
        self,
        site: str,
        device: str,
        origin: str,
        *,
        metrics: Sequence[Metric] | None = None,
        learn_rows: int | None = None,
    ) -> tuple[str, str]:
        """(user name, password) of a new machine, of one known only over HTTP, or of a revoked one that comes back.

        Raises: Problem 409 when it is in service and has its password, or when we do not keep the broker's users.
        """
        # First of all: where the broker's users are not ours to make, nothing is registered either.
        password = self._credentials.new_password()
        known = await self._devices.get(site, device)
        user = f"{site}/{device}"
        if known is not None and known.revoked_at_ms is None and user in self._credentials.users():
            raise Problem(
                409, "already_registered", f"{site}/{device} is in service; revoke it first for a new password"
            )
        now_ms = int(self._clock_ms())
        await self._devices.ensure(site, device, origin, now_ms=now_ms, metrics=metrics, learn_rows=learn_rows)
        if known is not None and known.revoked_at_ms is not None:
            await self._devices.reinstate(site, device)
        self._credentials.set(user, password)
        self._known.pop((site, device), None)
        # Whoever is told the password may use it at once.
        try:
            await self._admitted(user, password)
        except Exception:
            # Nobody was told it: the same request may be sent again.
            self._credentials.remove(user)
            raise
        return user, password

    async def revoke(self, site: str, device: str) -> None:
        """Take the machine's credentials away. Raises: Problem 404 when it is not in service."""
        self._credentials.remove(f"{site}/{device}")
        revoked = await self._devices.revoke(site, device, now_ms=int(self._clock_ms()))
        self._known.pop((site, device), None)
        if not revoked:
            raise not_found(f"no device {site}/{device} is in service")

    def forget(self, site: str, device: str) -> None:
        """Ask the register anew: something about the machine changed."""
        self._known.pop((site, device), None)

    async def _get(self, address: Address) -> Device | None:
        now_ms = self._clock_ms()
        at_ms, known = self._known.get(address, (0.0, None))
        if known is not None and 0 <= now_ms - at_ms < _BELIEVED_MS:
            return known
        device = await self._devices.get(*address)
        # One without metrics is about to get them.
        if device is not None and device.metrics is not None:
            self._known[address] = (now_ms, device)
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return device

    async def _register(self, address: Address, caller: Caller) -> None:
        await self._devices.ensure(*address, HTTP_ORIGIN, now_ms=int(self._clock_ms()))
        fields = {"agent": "api", "site": address[0], "device": address[1], "subject": caller.subject}
        log.info("device.registered", extra=fields)


def _check(caller: Caller, address: Address, device: Device | None) -> None:
    if device is None and not may_register(caller.devices, address[0]):
        raise _refused("not_registered", address, f"it is not registered, and {caller.subject} may not add to the site")
    if device is not None and device.revoked_at_ms is not None:
        raise _refused("revoked", address, "it was taken out of service")


def _refused(reason: str, address: Address, why: str) -> Problem:
    name = "/".join(address)
    return Problem(403, reason, f"{name}: {why}", device=name)
