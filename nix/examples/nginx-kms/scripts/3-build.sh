#!/usr/bin/env bash
# Builds the image: result/nginx-kms_1.raw with its measurements, and looks for ways in.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"
need nix tee-image

nix build "$example#raw-image" --out-link "$example/result" "$@"
tee-image audit "$example/result/nginx-kms_1.raw" \
  --allow '/nix/store/*/bin/sshd' --allow '/nix/store/*/libexec/sshd*' --allow setuid --allow sudo
cat "$example/result/tpm_pcr.json"
