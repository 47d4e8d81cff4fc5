"""Generated from the contract by `python -m firmware.generate`; do not edit."""

TELEMETRY = "ronda/v1/%s/%s/telemetry"
STATUS = "ronda/v1/%s/%s/status"
STORED = "ronda/v1/%s/%s/stored"
CONFIG_DESIRED = "ronda/v1/%s/%s/config/desired"
CONFIG_REPORTED = "ronda/v1/%s/%s/config/reported"
