# shellcheck shell=bash
# Sourced by the other scripts: settings.json as variables, and what they need.
set -euo pipefail
example=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

need() {
  for program in "$@"; do
    if ! command -v "$program" > /dev/null; then
      echo "$program is not installed" >&2
      exit 2
    fi
  done
}

setting() {
  node -p "require('$example/settings.json').$1"
}

need node aws
AWS_REGION=$(setting region)
key_id=$(setting keyId)
export AWS_REGION key_id
