# The same dist/ as azd deploys, on the Functions host image. docs/operations.md says how to run it.
# `npm run pin-bases -- --resolve` adds the digest of a base that has none; the workflow `container`
# builds with pinned bases only.
FROM node:22-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY .openapi-client/package.json .openapi-client/
RUN npm ci
COPY . .
# The commit, because the image is built without the repository.
ARG BUILD_COMMIT=
RUN BUILD_COMMIT=$BUILD_COMMIT npm run build

FROM mcr.microsoft.com/azure-functions/node:4-node22
# Above 1024, because the user below cannot open lower ports.
ENV ASPNETCORE_URLS=http://+:8080 \
    AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    # The user below cannot write where the image keeps the keys of functions.
    AzureWebJobsSecretStorageType=files \
    FUNCTIONS_SECRETS_PATH=/home/agent/secrets \
    FUNCTIONS_WORKER_RUNTIME=node \
    HOME=/home/agent
RUN groupadd --gid 10001 agent \
    && useradd --uid 10001 --gid agent --create-home --home-dir /home/agent --shell /usr/sbin/nologin agent
# Owned by root, so the app cannot change its own code.
COPY --from=build /src/dist /home/site/wwwroot
USER 10001:10001
EXPOSE 8080
# By Node, because the image may lack curl. GET, because the host answers HEAD with 404.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health').then((response) => process.exit(response.ok ? 0 : 1), () => process.exit(1))"]
