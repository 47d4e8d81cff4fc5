"""Why a connection to a broker did not come up, told apart by whether a person must act."""

from __future__ import annotations

import asyncio
import ssl

from broker.address import MqttAddress
from broker.bus import RefusedError
from broker.tls import mistrust, speaks_tls


async def look_into(cause: BaseException | None, address: MqttAddress) -> str:
    """What may be wrong, for the end of a message, where it may also pass by itself; empty when nothing is known.

    Raises: RefusedError for what a person must mend.
    """
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = mistrust(cause, address.host, address.ca_file)
        raise RefusedError(f"the broker at {address} is not trusted: {words}") from cause
    if address.tls:
        hung_up = isinstance(cause, ssl.SSLError | ConnectionError) and not isinstance(cause, ConnectionRefusedError)
        return "what listens there does not speak TLS: it may be the port of mqtt://" if hung_up else ""
    # Who does not understand the other's first bytes hangs up, or waits, without a word.
    wordless = isinstance(cause, TimeoutError | ConnectionResetError)
    if wordless and await asyncio.to_thread(speaks_tls, address.host, address.port):
        raise RefusedError(
            f"the broker at {address} speaks TLS on this port: write mqtts://, or take its plain port"
        ) from cause
    return ""
