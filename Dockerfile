# One file, a target for each service: `docker build --target gateway .` and `docker build --target engine .`
#
# Everything is installed from the lock files and checked against their hashes. Without a network, give a directory of
# wheels: `docker build --build-context wheels=./wheels --target engine .` (docs/deploying.md says how to fill it).
ARG PYTHON_IMAGE=python:3.13-slim

# Empty unless `--build-context wheels=...` puts a directory in its place.
FROM scratch AS wheels

FROM ${PYTHON_IMAGE} AS build
# A company's mirror, or a patient time-out, for machines that need one; empty means pip's own.
ARG PIP_INDEX_URL
ARG PIP_DEFAULT_TIMEOUT=60
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONUTF8=1
WORKDIR /src
RUN python -m venv /build && python -m venv --without-pip /opt/cqox
COPY deploy/image/install.sh deploy/image/slim.py deploy/image/rehearse.py /image/
# The requirements come before the code, so that a change of the code installs nothing again.

FROM build AS gateway-build
COPY requirements-gateway.lock ./
RUN --mount=type=bind,from=wheels,target=/wheels sh /image/install.sh requirements-gateway.lock
COPY pyproject.toml README.md LICENSE ./
COPY cqox cqox
COPY services services
COPY packages packages
RUN sh /image/install.sh --projects . packages/cqox-services
RUN sh /image/install.sh --slim gateway

FROM build AS engine-build
COPY requirements.lock ./
RUN --mount=type=bind,from=wheels,target=/wheels sh /image/install.sh requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY cqox cqox
COPY cqox_assets cqox_assets
COPY services services
COPY packages packages
RUN sh /image/install.sh --projects . packages/cqox-analysis packages/cqox-assets packages/cqox-services
RUN sh /image/install.sh --slim engine

FROM ${PYTHON_IMAGE} AS service
RUN groupadd --gid 10001 cqox && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/cqox cqox \
    && install -d -o 10001 -g 10001 /var/lib/cqox /var/lib/cqox-secrets /var/lib/cqox-tls \
    && for part in all gateway engine postgres redis; do \
        install -d -o 10001 -g 10001 /var/lib/cqox-certificates/$part; done
COPY deploy/image/healthcheck.py deploy/image/make_certificates.py deploy/image/make_password.py /opt/image/
ENV PATH=/opt/cqox/bin:$PATH PYTHONUTF8=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CQOX_HOST=0.0.0.0 CQOX_DATA_DIR=/var/lib/cqox CQOX_ADMIN_SOCKET=/tmp/cqox-admin.sock
WORKDIR /var/lib/cqox
USER 10001:10001
# Docker's own default; named because the drain hangs on it.
STOPSIGNAL SIGTERM

FROM service AS gateway
COPY --from=gateway-build /opt/cqox /opt/cqox
EXPOSE 8082
HEALTHCHECK --interval=5s --timeout=10s --start-period=120s --retries=3 CMD ["python", "-SE", "/opt/image/healthcheck.py", "8082"]
CMD ["python", "-m", "services.gateway"]

FROM service AS engine
COPY --from=engine-build /opt/cqox /opt/cqox
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=10s --start-period=180s --retries=3 CMD ["python", "-SE", "/opt/image/healthcheck.py", "8080"]
CMD ["python", "-m", "services.engine"]
