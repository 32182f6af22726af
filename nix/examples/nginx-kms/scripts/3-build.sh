#!/usr/bin/env bash
# Builds the image: result/nginx-kms_1.raw with its measurements, and looks for ways in.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"
need nix tee-image git

# Of a folder that is no repository, Nix copies everything into its store, for everybody to read.
if ! git -C "$example" check-ignore --quiet payload-key.bin; then
  echo "$example has to be in a git repository that ignores payload-key.bin" >&2
  exit 1
fi

nix build "$example#raw-image" --out-link "$example/result" "$@"
tee-image audit "$example/result/nginx-kms_1.raw" \
  --allow '/nix/store/*/bin/sshd' --allow '/nix/store/*/libexec/sshd*' --allow setuid --allow sudo \
  --allow initrd:/etc/systemd/system/emergency.service
cat "$example/result/tpm_pcr.json"
