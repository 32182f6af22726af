#!/usr/bin/env bash
# Lets the role decrypt with the key, on machines with the PCRs of the image only.
# Usage: 4-set-policy.sh <arn of the instance's role>
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"
need tee-kms
if [ $# -ne 1 ]; then
  echo "usage: $0 <arn of the instance's role>" >&2
  exit 2
fi

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
id=$(aws kms describe-key --key-id "$key_id" --query KeyMetadata.KeyId --output text)
aws kms get-key-policy --key-id "$id" --policy-name default --query Policy --output text \
  > "$temporary/old.json"
tee-kms policy "$example/result/manifest.json" --principal "$1" --merge "$temporary/old.json" \
  > "$temporary/new.json"
status=0
tee-kms policy check "$temporary/new.json" --manifest "$example/result/manifest.json" || status=$?
if [ "$status" -eq 1 ]; then
  echo "see the findings above: administrators of the account can still use the key" >&2
elif [ "$status" -ne 0 ]; then
  exit "$status"
fi
aws kms put-key-policy --key-id "$id" --policy-name default --policy "file://$temporary/new.json"
