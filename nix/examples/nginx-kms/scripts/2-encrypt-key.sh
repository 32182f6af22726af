#!/usr/bin/env bash
# Makes the payload key. Encrypted, it goes into the image (secrets/payload-key.enc); as it is, to the
# clients (payload-key.bin: keep it secret, or delete it when the clients have it).
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"
need openssl base64
umask 077

mkdir -p "$example/secrets"
openssl rand -out "$example/payload-key.bin" 32
aws kms encrypt --key-id "$key_id" --plaintext "fileb://$example/payload-key.bin" \
  --query CiphertextBlob --output text | base64 --decode > "$example/secrets/payload-key.enc"
# Nix reads it as everybody may.
chmod 644 "$example/secrets/payload-key.enc"
echo "secrets/payload-key.enc and payload-key.bin are made; git add secrets/payload-key.enc"
