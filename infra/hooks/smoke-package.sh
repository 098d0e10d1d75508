#!/bin/sh
# Runs the smoke test that belongs to a package: smoke-package.sh FOLDER. An earlier version is
# judged by its own test, because a newer one may expect what it does not have.
set -eu
folder=$1
values=$(mktemp)
trap 'rm -f "$values"' EXIT
azd env get-values >"$values"
set -a
. "$values"
set +a
# Packages of older versions hold neither a description of their build nor a test of their own.
SMOKE_VERSION=$(sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$folder/build.json" 2>/dev/null || true)
export SMOKE_VERSION
hook=$folder/infra/hooks/smoke.js
[ -f "$hook" ] || hook=infra/hooks/smoke.js
node "$hook"
