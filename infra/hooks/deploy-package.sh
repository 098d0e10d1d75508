#!/bin/sh
# Uploads the package in a folder: deploy-package.sh FOLDER. Retries the upload, because new role
# assignments may not be in effect everywhere yet. The smoke test runs afterwards and once.
set -eu
folder=$1
for attempt in 1 2 3; do
  if SMOKE_SKIP=true azd deploy api --from-package "$folder/api.zip" --no-prompt; then exit 0; fi
  echo "upload: attempt $attempt failed"
  sleep "${UPLOAD_RETRY_SECONDS:-30}"
done
exit 1
