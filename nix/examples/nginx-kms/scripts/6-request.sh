#!/usr/bin/env bash
# Encrypts a message with payload-key.bin and has the server decrypt it.
# Usage: 6-request.sh <http://address:8080> <message>
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"
need curl
if [ $# -ne 2 ]; then
  echo "usage: $0 <http://address:8080> <message>" >&2
  exit 2
fi

node "$example/scripts/seal.mjs" "$example/payload-key.bin" "$2" \
  | curl --fail --silent --show-error --data-binary @- "$1/decrypt"
echo
