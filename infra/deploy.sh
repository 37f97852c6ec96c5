#!/usr/bin/env bash
# Brings images that were built and pushed into one environment. Run by Cloud Build; each command is one step.
#
#   deploy.sh release    event functions and the job at once; HTTP functions as revisions without traffic, which the
#                        host candidate.DOMAIN reaches by their tag
#   deploy.sh canary     10 % of the traffic, then a look at its errors; rolls back where there are too many
#   deploy.sh promote    all of the traffic
#   deploy.sh rollback   the revisions that served before
#
# Needs PROJECT, REGION, TAG, FUNCTIONS_IMAGE and WORKER_IMAGE (both by digest). Terraform owns everything else of a
# service; this script touches image and traffic only. Event functions are deployed at once, so a version must read
# what the one before it wrote.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=${STATE_DIR:-/workspace}/previous-revisions
: "${PROJECT:?}" "${REGION:?}" "${TAG:?}"
CANARY_SECONDS=${CANARY_SECONDS:-300}
# The share of canary answers that may be 5xx, in percent.
MAX_ERROR_PERCENT=${MAX_ERROR_PERCENT:-1}

# The names of functions with a kind of trigger: http, job or event.
functions() {
  python3 - "$here/functions.json" "$1" <<'PY'
import json, sys
for row in json.load(open(sys.argv[1]))["functions"]:
    kind = row["trigger"]["type"]
    if (kind if kind in ("http", "job") else "event") == sys.argv[2]:
        print(row["name"])
PY
}

run() { gcloud run "$@" --project "$PROJECT" --region "$REGION" --quiet; }

serving() {
  run services describe "$1" --format 'value(status.traffic.filter("percent:100").extract("revisionName").flatten())'
}

release() {
  : "${FUNCTIONS_IMAGE:?}" "${WORKER_IMAGE:?}"
  : > "$state"
  for name in $(functions http); do
    echo "$name $(serving "$name")" >> "$state"
    run deploy "$name" --image "$FUNCTIONS_IMAGE" --no-traffic --tag candidate --revision-suffix "$TAG"
  done
  for name in $(functions job); do run jobs update "$name" --image "$WORKER_IMAGE"; done
  for name in $(functions event); do run deploy "$name" --image "$FUNCTIONS_IMAGE"; done
}

traffic() { for name in $(functions http); do run services update-traffic "$name" "$@"; done; }

# Requests of the new revisions in the last minutes whose entry in the request log fits a filter.
requests() {
  gcloud logging read "resource.type=cloud_run_revision AND resource.labels.revision_name:\"$TAG\" AND $1" \
    --project "$PROJECT" --freshness "${CANARY_SECONDS}s" --limit 10000 --format 'value(insertId)' | wc -l
}

canary() {
  trap rollback ERR
  traffic --to-tags candidate=10
  sleep "$CANARY_SECONDS"
  all=$(requests 'httpRequest.status>=100')
  bad=$(requests 'httpRequest.status>=500')
  echo "canary: $bad of $all answers were errors of ours"
  if [ "$((bad * 100))" -gt "$((all * MAX_ERROR_PERCENT))" ]; then
    rollback
    exit 1
  fi
}

promote() { traffic --to-tags candidate=100; }

rollback() {
  while read -r name revision; do
    [ -z "$revision" ] || run services update-traffic "$name" --to-revisions "$revision=100"
  done < "$state"
}

case "${1:-}" in
  release | canary | promote | rollback) "$1" ;;
  *) sed -n '2,11p' "$0" >&2; exit 2 ;;
esac
