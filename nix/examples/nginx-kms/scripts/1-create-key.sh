#!/usr/bin/env bash
# Makes the KMS key and its alias. Until its policy is set (4), the account's administrators may use it.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"

created=$(aws kms create-key --description 'nginx-kms: key of the payload key' \
  --query KeyMetadata.KeyId --output text)
aws kms create-alias --alias-name "$key_id" --target-key-id "$created"
echo "$created ($key_id)"
