# The local stack for self-hosting: one process, two ports, data in the volume /data.
#
#   docker build --tag tidings .
#   docker run --publish 3000:3000 --publish 3001:3001 --volume tidings:/data tidings
#
# NOT BUILT HERE: this file has only been reviewed, never built. The health check's command was tried outside of it.
#
# This is not a cluster: a second container on the same volume refuses to start, and a socket belongs to the process
# that opened it. docs/deploy.md says how to use a DynamoDB-compatible database, and which operations it must support.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile optimized --locked --bin tidings \
    && cp target/optimized/tidings /tidings \
    && strip /tidings \
    && mkdir /data

FROM node:22-bookworm-slim AS page
WORKDIR /src
COPY clients clients
COPY web web
RUN cd web && npm ci --no-audit --no-fund && npm run build

# Not distroless, because the health check needs a shell that can open sockets; nothing else of this image is needed.
FROM debian:bookworm-slim
# CA certificates, to fetch the keys of another issuer and to reach a database over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /tidings /usr/local/bin/tidings
COPY --from=page /src/web/dist /usr/share/tidings/web
COPY --from=build --chown=10001:10001 /data /data
USER 10001:10001
ENV TIDINGS_HOST=0.0.0.0 TIDINGS_PORT=3000 TIDINGS_STORAGE_PORT=3001 TIDINGS_DATA_DIR=/data TIDINGS_WEB_DIR=/usr/share/tidings/web
VOLUME /data
EXPOSE 3000 3001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$TIDINGS_PORT && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]
ENTRYPOINT ["tidings"]
