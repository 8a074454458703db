# One file, a target per process:  docker build --target imap .
# The base image can be any with Node 26 in /usr/bin or /usr/local/bin and a user 1000 (edge: also apt). Its files
# are taken over, its ENV and ENTRYPOINT are not.
ARG BASE_IMAGE=node:26-bookworm-slim

# manifests alone, so that a change in a source leaves the installation below as it is
FROM ${BASE_IMAGE} AS manifests
WORKDIR /sources
COPY . .
RUN mkdir /manifests && cp --parents package.json pnpm-*.yaml */package.json */*/package.json /manifests

FROM ${BASE_IMAGE} AS build
WORKDIR /build
ENV CI=true TURBO_TELEMETRY_DISABLED=1 PATH=/build/node_modules/.bin:$PATH
COPY --from=manifests /manifests ./
# no scripts: the only one that a build could want fetches a Node, and there is one
RUN --mount=type=cache,id=concert-npm,target=/root/.npm \
    --mount=type=cache,id=concert-pnpm,target=/pnpm \
    npx --yes pnpm@12.21.0 install --frozen-lockfile --ignore-scripts --store-dir /pnpm \
      --filter '!@mail/tests' --filter '!@mail/bench'
COPY turbo.json tsconfig.json tsconfig.base.json ./
COPY packages packages
COPY services services
RUN --mount=type=cache,id=concert-turbo,target=/build/.turbo \
    turbo run build --cache-dir .turbo/cache
# built JavaScript and production dependencies only, one folder per process
RUN --mount=type=cache,id=concert-pnpm,target=/pnpm \
    for name in @mail/cert-registry @mail/smtp @mail/pop @mail/imap concert; do \
      pnpm --filter "$name" --prod --legacy --ignore-scripts --store-dir /pnpm \
        deploy "/out/${name#@mail/}" || exit 1; \
    done
# of those, what a process reads; licences stay
RUN find /out -type f \
      \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.md' \
         -o -name '*.tsbuildinfo' -o -name '*.flow' \
         -o -name '.*' ! -name '*.mjs' ! -name '*.cjs' ! -name '*.js' \) ! -iname 'licen[sc]e*' -delete \
    && find /out -depth -type d \
      \( -path '*/node_modules/@types' -o -path '*/node_modules/protobufjs/dist' \
         -o -path '*/node_modules/*/test' -o -path '*/node_modules/*/tests' \
         -o -path '*/node_modules/*/__tests__' -o -path '*/node_modules/*/benchmarks' \) \
      -exec rm -rf {} +

# what runs: the base without what only builds need, and without a program that has more rights than its caller
FROM ${BASE_IMAGE} AS trimmed
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /opt/yarn* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +

# copied, since a layer over the base would hide what was deleted and keep its size
FROM scratch AS base
COPY --from=trimmed / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV NODE_ENV=production NODE_OPTIONS=--conditions=built CONCERT_DATA=/data
# a volume takes owner and mode from the folder that it is first mounted on
RUN mkdir -p /data/mail && chmod -R 700 /data && chown -R 1000:1000 /data
LABEL org.opencontainers.image.licenses=MIT \
      org.opencontainers.image.vendor=Concert
WORKDIR /app
USER 1000:1000
STOPSIGNAL SIGTERM

# what every service has: the admin listener, asked by the health check
FROM base AS service
ENV CONCERT_ADMIN_LISTEN=0.0.0.0:9090
EXPOSE 9090
VOLUME /data
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD exec node -e "require('node:http').get(process.argv[1], (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))" "http://$CONCERT_ADMIN_LISTEN/readyz"
CMD ["node", "dist/main.js"]

FROM service AS cert-registry
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Concert certificate registry" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
# where the one-shot init finds a volume for each identity
USER root
RUN for name in service/smtp service/pop service/imap operator/admin; do mkdir -p "/identities/$name"; done \
    && chmod -R 700 /identities && chown -R 1000:1000 /identities
USER 1000:1000
COPY --from=build /out/cert-registry /app
EXPOSE 7443

FROM service AS smtp
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Concert SMTP" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
COPY --from=build /out/smtp /app
EXPOSE 2525 2587 2465

FROM service AS pop
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Concert POP3" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
COPY --from=build /out/pop /app
EXPOSE 2110 2995

FROM service AS imap
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Concert IMAP" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
COPY --from=build /out/imap /app
EXPOSE 2143 2993

# the operator's command
FROM base AS concert
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="concert, the operator's command" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
COPY --from=build /out/concert /app
VOLUME /data
ENTRYPOINT ["node", "/app/dist/main.js"]

# the mail ports of all services, over their replicas
FROM base AS edge
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Concert edge" \
      org.opencontainers.image.description="HAProxy that spreads connections over replicas, TLS end to end" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
USER root
RUN apt-get update && apt-get install -y --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt
COPY deploy/compose/haproxy.cfg /etc/haproxy/haproxy.cfg
USER 1000:1000
ENV CONCERT_ADMIN_LISTEN=0.0.0.0:9090 \
    CONCERT_EDGE_REPLICAS=16 CONCERT_EDGE_GRACE=10s
EXPOSE 2525 2587 2465 2110 2995 2143 2993
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD exec node -e "require('node:http').get(process.argv[1], (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))" "http://$CONCERT_ADMIN_LISTEN/readyz"
CMD ["haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
