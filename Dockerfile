# Build from the top of the repository: docker build --tag nyxmon-exporter .
# Without arguments the container serves the built-in demo. To run your own checks:
#   docker run --publish 10115:10115 --volume ./checks.yml:/etc/nyxmon-exporter/checks.yml:ro nyxmon-exporter \
#     --config.file=/etc/nyxmon-exporter/checks.yml
# It needs no capabilities and no writable file system: --read-only --cap-drop=ALL, and --tmpfs /tmp for the demo.
# To ping (type icmp) it needs --sysctl net.ipv4.ping_group_range="65532 65532" where that is not the default, as in Podman.

FROM python:3.13-slim-trixie AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

WORKDIR /build
# The environment has the same path in both stages, because its scripts contain the path of their interpreter.
RUN python -m venv /opt/nyxmon-exporter

# Dependencies first, because they change less often than the rest. Only locked versions, verified by hash, and only
# wheels, which run no code during installation.
COPY requirements.lock ./
RUN /opt/nyxmon-exporter/bin/pip install --no-compile --require-hashes --only-binary=:all: \
    --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY exporter/ exporter/
RUN /opt/nyxmon-exporter/bin/pip install --no-compile --no-deps . \
    && /opt/nyxmon-exporter/bin/pip uninstall --yes pip
# Compiled here, because the container's file system may be read-only; unchecked-hash ignores the files' timestamps.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/nyxmon-exporter/lib

FROM python:3.13-slim-trixie

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nyxmon-exporter" \
      org.opencontainers.image.description="Prometheus exporter that runs synthetic checks when it is scraped" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=builder /opt/nyxmon-exporter /opt/nyxmon-exporter

# The health check has no password and no client certificate, so a web configuration must not ask it for one.
ENV PATH=/opt/nyxmon-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    NYXMON_EXPORTER_WEB_OPEN_HEALTH=true

# A user who owns nothing and is in no other group. Numeric, so that Kubernetes can verify that it is not root.
USER 65532:65532
EXPOSE 10115
STOPSIGNAL SIGTERM
# To listen elsewhere, set NYXMON_EXPORTER_WEB_LISTEN_ADDRESS rather than the flag: the health check reads it too.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["nyxmon-exporter", "healthcheck"]
ENTRYPOINT ["nyxmon-exporter"]
