# One file, a target per process:  docker build --target imap .
# The base image can be any with Node 26 on PATH.
ARG BASE_IMAGE=node:26-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
ENV CI=true TURBO_TELEMETRY_DISABLED=1
COPY package.json pnpm-workspace.yaml pnpm-lock.yaml ./
COPY packages packages
COPY services services
COPY tests/package.json tests/package.json
COPY bench/package.json bench/package.json
COPY turbo.json tsconfig.json tsconfig.base.json ./
RUN npx --yes pnpm@12.21.0 install --frozen-lockfile && PATH=$PWD/node_modules/.bin:$PATH turbo run build
# built JavaScript and production dependencies only, one folder per process
RUN for name in cert-registry smtp pop imap; do \
      node_modules/.bin/pnpm --filter "@mail/$name" --prod --legacy deploy "/out/$name"; \
    done && node_modules/.bin/pnpm --filter concert --prod --legacy deploy /out/concert

FROM ${BASE_IMAGE} AS base
ENV NODE_ENV=production NODE_OPTIONS=--conditions=built CONCERT_DATA=/data
# a volume takes its owner from the folder that it is mounted on
RUN mkdir -p /data/registry && chown -R node:node /data && chmod 700 /data/registry
USER node
WORKDIR /app
VOLUME /data

FROM base AS cert-registry
COPY --from=build /out/cert-registry /app
EXPOSE 7443
CMD ["node", "dist/main.js"]

FROM base AS smtp
COPY --from=build /out/smtp /app
EXPOSE 25 587 465
CMD ["node", "dist/main.js"]

FROM base AS pop
COPY --from=build /out/pop /app
EXPOSE 110 995
CMD ["node", "dist/main.js"]

FROM base AS imap
COPY --from=build /out/imap /app
EXPOSE 143 993
CMD ["node", "dist/main.js"]

FROM base AS concert
COPY --from=build /out/concert /app
ENTRYPOINT ["node", "/app/dist/main.js"]
