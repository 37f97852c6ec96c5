#!/usr/bin/env bash
# Calls the local hub as its own contract allows, and as it forbids, thousands of times: no answer may be a 5xx, have a
# status that the contract does not name, or a body that is not what it says. First an ordinary user with made-up ids,
# then the operator with a batch and a job that have ended. Fewer than 2,000 generated cases are a failure too, but where
# arguments chose some of them. Arguments go to `schemathesis run` (`--seed 2`,
# `--include-path /api/v1/predict`). Reports and the server's log stay in the folder it prints.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-$PWD/target}"
tools="$target/schemathesis"
if ! [ -x "$tools/bin/schemathesis" ]; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet schemathesis==4.32.5
fi

cargo build --package local
folder="$(mktemp -d)"
# A build meanwhile must not change what is called.
hub="$folder/omtx-hub"
cp "$target/debug/omtx-hub" "$hub"
echo "reports and the server's log: $folder"
sequence="$(grep -v '>' infra/local/demo/pdl1.fasta | tr -d '\n')"
cd "$folder"

# No tool but the stand-in is found.
env -i PATH=/nowhere RUST_LOG=error LIMITS=off "$hub" --port 0 --data-dir data >printed 2>log &
server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap stop EXIT
until grep -q 'KEY=' printed; do
  kill -0 "$server" || { cat log; exit 1; }
  sleep 0.1
done
address="$(grep -o 'http://127.0.0.1:[0-9]*' printed | head -n 1)"
token="$("$hub" token --user schemathesis --data-dir data)"
key="x-api-key: $(cat data/api-key)"

call() { curl -sS --fail-with-body -H "$key" -H 'content-type: application/json' "$@"; }
field() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
ended() { until call "$address/api/v1/$1" | grep -q '"status":"completed"'; do sleep 0.5; done; }
target_of="\"model\": \"boltz2\", \"protein_sequence\": \"$sequence\""
job="$(call "$address/api/v1/predict" -d "{$target_of, \"ligand_smiles\": \"CCO\"}" | field job_id)"
ligands='[{"name": "a", "smiles": "CCO"}, {"name": "b", "smiles": "CCN"}, {"name": "c", "smiles": "C1CC"}]'
batch="$(call "$address/api/v1/predict/batch" -d "{$target_of, \"on_invalid\": \"skip\", \"ligands\": $ligands}" | field batch_id)"
ended "jobs/$job"
ended "batches/$batch"
printf '[[operations]]\ninclude-method = ["GET", "POST"]\nparameters = { "path.job_id" = "%s", "path.batch_id" = "%s" }\n' \
  "$job" "$batch" >ended.toml

outcome=0
# Not every text of the contract's shape is a molecule. Nobody's calls are the strangers' journey. A made-up address of
# a webhook is told nothing.
run() {
  local name="$1" config="$2"
  shift 2
  "$tools/bin/schemathesis" --config-file "$config" run "$address/api/v1/openapi.json" --url "$address" \
    --exclude-path '/api/v1/webhooks/{webhook_id}/test' --exclude-checks positive_data_acceptance,ignored_auth \
    --continue-on-failure --max-failures 30 --seed 1 --report junit,json --report-junit-path "$name.xml" \
    --report-json-path "$name.json" "$@" || outcome=$?
}
touch none.toml
run stranger-ids none.toml --header "Authorization: Bearer $token" --max-examples 60 "$@"
run ended ended.toml --header "$key" --include-path-regex '_id}' --max-examples 30 "$@"

errors="$(grep -c ERROR log || true)"
echo "errors in the server's log: $errors"
count='import json, sys; print(sum(json.load(open(name))["test_cases"]["generated"] for name in sys.argv[1:]))'
cases="$("$tools/bin/python" -c "$count" stranger-ids.json ended.json)"
echo "generated cases: $cases"
[ "$outcome" -eq 0 ] && [ "$errors" -eq 0 ] && { [ "$#" -gt 0 ] || [ "$cases" -ge 2000 ]; }
