#!/usr/bin/env bash
# The agent with curl alone. Usage: examples/curl/chat.sh
set -euo pipefail
address=${AGENT_URL:-http://127.0.0.1:7071}

call() {
  local path=$1
  shift
  curl --silent --show-error --no-buffer "$address$path" \
    -H "x-functions-key: ${AGENT_FUNCTION_KEY:-unused}" \
    -H "x-api-key: ${AGENT_CALLER_KEY:-unused}" \
    -H 'content-type: application/json' "$@"
  echo
}

echo 'answer:'
answer=$(call /api/chat -d '{"message": "Hello there"}')
echo "$answer"

echo 'second turn, in the same session:'
session=$(sed -n 's/.*"sessionId":"\([^"]*\)".*/\1/p' <<<"$answer")
call /api/chat -d "{\"message\": \"And now?\", \"sessionId\": \"$session\"}"

echo 'stream:'
call /api/chat -d '{"message": "Hello there", "stream": true}'

echo 'error, with its status:'
call /api/chat -d '{"message": ""}' --write-out '\nstatus %{http_code}'
