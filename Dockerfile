# Build from the top of the repository: docker build --tag nyxmon-exporter .
# Without arguments the container serves the built-in demo. For checks of your own:
#   docker run --publish 10115:10115 --volume ./checks.yml:/etc/nyxmon-exporter/checks.yml:ro nyxmon-exporter \
#     --config.file=/etc/nyxmon-exporter/checks.yml
# It needs no rights and no file system to write to: --read-only --cap-drop=ALL, and --tmpfs /tmp for the demo.

FROM python:3.13-slim-trixie AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

WORKDIR /build
# The environment has the same place in both stages, because its programs name their interpreter by path.
RUN python -m venv /opt/nyxmon-exporter

# Dependencies first: they change less often than what follows. Only what is locked, by its hash, and nothing that runs
# code of its own while it is installed.
COPY requirements.lock ./
RUN /opt/nyxmon-exporter/bin/pip install --no-compile --require-hashes --only-binary=:all: \
    --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY exporter/ exporter/
RUN /opt/nyxmon-exporter/bin/pip install --no-compile --no-deps . \
    && /opt/nyxmon-exporter/bin/pip uninstall --yes pip
# Compiled here, because nothing can be written where it runs; valid whatever time the files are said to be of.
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

ENV PATH=/opt/nyxmon-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1

# Of nobody: owns nothing, is in no group, and is not root's 0 for those who check.
USER 65532:65532
EXPOSE 10115
STOPSIGNAL SIGTERM
# A server that listens elsewhere is found when NYXMON_EXPORTER_WEB_LISTEN_ADDRESS says so rather than a flag.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["nyxmon-exporter", "healthcheck"]
ENTRYPOINT ["nyxmon-exporter"]
