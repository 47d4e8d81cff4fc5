# Ronda's images: `edge` (beside the machines), `cloud` (API, dashboard, agents, trainer) and `mlflow`.
# Stages stand in the order in which a builder without BuildKit, which builds all before its target, does the least.

FROM python:3.11-slim AS build
# A network that stumbles is asked again; the image holds one Python, and uv brings no other.
ENV PIP_RETRIES=10 \
    PIP_DEFAULT_TIMEOUT=60 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    UV_HTTP_RETRIES=10 \
    UV_HTTP_TIMEOUT=120 \
    UV_NO_CACHE=1 \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PROJECT_ENVIRONMENT=/opt/ronda
RUN pip install --quiet --disable-pip-version-check uv==0.13.9
WORKDIR /src

# Who runs, on what: the same for all three. Nothing is written outside the volumes and /tmp.
FROM python:3.11-slim AS runtime
RUN groupadd --gid 10001 ronda \
 && useradd --uid 10001 --gid ronda --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ronda \
 && for folder in broker emulator mail mosquitto s3; do install -d -m 700 -o ronda -g ronda /var/lib/ronda/$folder; done
ENV PATH=/opt/ronda/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="Ronda" \
      org.opencontainers.image.description="Predictive maintenance from the sensor to the e-mail" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /var/lib/ronda
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["ronda"]

# The packages of the lock in layers of their own: a change of our source leaves them as they are.
FROM build AS edge-packages
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --extra edge --no-install-project

# Ours, laid over the packages below: the same for all images.
FROM edge-packages AS ours
COPY . .
RUN uv pip install --quiet --python /opt/ronda/bin/python --no-deps --prefix /ours .

FROM runtime AS edge
COPY --from=edge-packages /opt/ronda /opt/ronda
COPY --from=ours /ours /opt/ronda
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=4 CMD ["ronda", "health", "connected:8883"]
CMD ["emulate", "--fleet", "/var/lib/ronda/emulator/fleet.json"]

FROM build AS cloud-packages
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --extra all --no-install-project

FROM runtime AS cloud
COPY --from=cloud-packages /opt/ronda /opt/ronda
COPY --from=ours /ours /opt/ronda
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
    CMD ["ronda", "health", "http://127.0.0.1:8000/healthz"]
CMD ["api", "--listen", "0.0.0.0", "--insecure"]

# MLflow's server is most of what `cloud` holds already: the same layers, another command.
FROM cloud AS mlflow
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
    CMD ["ronda", "health", "http://127.0.0.1:5000/health"]
CMD ["mlflow", "--host", "0.0.0.0", "--insecure"]
