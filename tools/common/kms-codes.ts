/** Codes of attested calls of the key service and key policies: code → what it means and what to do. */
export const KMS_CODES = {
  // The envelope in the answer of the key service (CiphertextForRecipient).
  'cms.too-large': [
    'the envelope is larger than any of the key service',
    'Something else than AWS KMS answered.',
  ],
  'cms.malformed': [
    'the envelope cannot be read',
    'The answer was cut or changed, or something else than AWS KMS answered.',
  ],
  'cms.unsupported': [
    'the envelope has another form than AWS KMS writes',
    'Something else than AWS KMS answered, or KMS changed its form: look for a newer version.',
  ],
  'cms.recipient-mismatch': [
    'the envelope is for another key',
    'It answers somebody else\u2019s request: somebody stands between this program and the key service. Do not use it.',
  ],
  'cms.decrypt-failed': [
    'the envelope cannot be decrypted',
    'It was changed on the way, or made for something else. Do not use it.',
  ],

  // Attested calls.
  'kms.access-denied': [
    'the key service refused the request',
    "Compare the PCRs of this machine with the conditions of the key's policy.",
  ],
  'kms.attestation-refused': [
    'the key service does not accept the attestation document',
    'Check the clock of this machine, and that the key service knows the root of this document.',
  ],
  'kms.ciphertext-refused': [
    'the key service cannot decrypt this ciphertext',
    'Check that it is whole, that the key is the one it was made with, and --encryption-context.',
  ],
  'kms.key-unusable': [
    'the key service cannot use this key',
    'Check the key\u2019s ID or ARN, the region, that the key is enabled, and that it is for ENCRYPT_DECRYPT.',
  ],
  'kms.credentials': [
    'there are no usable credentials for the key service',
    'Give the instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; check the clock.',
  ],
  'kms.unreachable': [
    'the key service cannot be reached',
    'Check the region, --endpoint, the network and the VPC endpoint.',
  ],
  'kms.throttled': ['the key service asks to wait', 'Try again later.'],
  'kms.service-failed': ['the key service did not do it', 'See its answer.'],
  'kms.recipient-ignored': [
    'the key service answered with a plaintext that anybody on the way could read',
    'It ignored the attestation document: an old endpoint, or not AWS KMS. The secret was not used; treat it as known to others.',
  ],
  'kms.answer-incomplete': [
    'the answer of the key service lacks something',
    'Something else than AWS KMS answered.',
  ],
  'kms.key-mismatch': [
    'the key service used another key than the one asked for',
    'Somebody stands between this program and the key service, or the wrong key was named. Do not use the answer.',
  ],

  // Key policies: what cannot be read or made.
  'policy.malformed': [
    'the key policy cannot be read',
    'Pass the JSON that `aws kms get-key-policy --query Policy --output text` prints.',
  ],
  'policy.too-large': [
    'the key policy would be larger than KMS takes',
    'KMS takes 32,768 bytes. Leave out old measurement sets, or name fewer PCRs with --pcrs.',
  ],
  'policy.platform-unclear': [
    'the manifest does not say whether it is for a NitroTPM or for an enclave',
    'Say it with --platform nitrotpm or --platform enclave.',
  ],
  'policy.no-set': [
    'the manifest has no measurement set that a policy could accept',
    'Every set is revoked or its time is over: publish a new manifest.',
  ],
  'policy.pcr-not-pinned': [
    'a measurement set does not pin a PCR that was named',
    'Name PCRs that every accepted set of the manifest pins.',
  ],
  'policy.sid-taken': [
    'another statement of the policy has this Sid',
    'Name another one with --sid, or take the statement away.',
  ],
  'policy.revoked-accepted': [
    'a policy of these PCRs would accept a measurement set that is revoked or out of its time, too',
    'Name more PCRs with --pcrs, so that the sets differ, or pin more in the manifest.',
  ],

  // Key policies: what `tee-kms policy check` finds.
  'policy.unattested-use': [
    'a statement allows to use the key without attestation',
    'Add the conditions that `tee-kms policy` prints, or take the statement away. Deny statements are not counted.',
  ],
  'policy.root-delegates': [
    'the statement leaves it to IAM who may use the key, and IAM demands no attestation',
    'Every IAM policy of the account that allows kms:Decrypt opens it. Replace kms:* by the actions of administrators, or accept this finding and watch over IAM.',
  ],
  'policy.way-around': [
    'a statement allows to go around the attestation',
    'With kms:PutKeyPolicy, kms:CreateGrant, kms:ReEncryptFrom or kms:ReplicateKey the secret can be had without attestation. Leave them to few administrators who do not use the key.',
  ],
  'policy.no-attestation': [
    'no statement of the policy binds the key to the manifest',
    'Add one: `tee-kms policy <manifest> --principal <arn> --merge <policy.json>`.',
  ],
  'policy.pcr12-missing': [
    'the statement binds PCR4 but not PCR12',
    'With Secure Boot off, a kernel command line from outside changes only PCR12. Bind both.',
  ],
  'policy.pins-too-little': [
    'the PCRs of the statement do not pin an image',
    'Bind PCR4 and PCR12, or PCR7 with Secure Boot on; for enclaves PCR0, PCR1 and PCR2, or PCR8.',
  ],
  'policy.wrong-platform-keys': [
    'the statement uses the condition keys of the other platform',
    'NitroTPM: kms:RecipientAttestation:NitroTPMPCR<n>. Enclaves: kms:RecipientAttestation:PCR<n> and :ImageSha384.',
  ],
  'policy.key-unknown': [
    'KMS has no such condition key',
    'The condition never holds. Write kms:RecipientAttestation:NitroTPMPCR4 or :PCR0, without leading zeros.',
  ],
  'policy.case-sensitive': [
    'the statement compares upper-case hex letter by letter',
    'KMS compares with lower-case hex: this never holds. Use StringEqualsIgnoreCase.',
  ],
  'policy.value-malformed': [
    'a value is not a SHA-384 PCR',
    'PCRs have 96 hex digits, without prefix, blanks or wildcards.',
  ],
  'policy.value-unknown': [
    'the statement accepts a value that the manifest does not know',
    'Take it away, or check that this is the right manifest.',
  ],
  'policy.value-revoked': [
    'the statement accepts a measurement set that is revoked or whose time is over',
    'Make the statement again from the manifest of today.',
  ],
  'policy.mixes-sets': [
    'the lists of the statement accept PCRs of different measurement sets together',
    'Each list is an OR of its own. Make a statement for each set, as `tee-kms policy` does.',
  ],
  'policy.if-exists': [
    'an \u2026IfExists condition holds when there is no attestation at all',
    'Use StringEqualsIgnoreCase.',
  ],
  'policy.for-all-values': [
    'a ForAllValues condition holds when there is no attestation at all',
    'Use StringEqualsIgnoreCase without a prefix.',
  ],
  'policy.negated': [
    'a negated condition holds for every other machine, and without attestation',
    'In an Allow use StringEqualsIgnoreCase with the values to accept.',
  ],
  'policy.wildcard': [
    'a wildcard or a policy variable accepts other values, too',
    'Use StringEqualsIgnoreCase.',
  ],
  'policy.null-condition': [
    'a Null condition asks only whether there is an attestation, not whose',
    'Compare the PCRs with StringEqualsIgnoreCase.',
  ],
  'policy.operator-unsuitable': [
    'the operator does not compare PCRs',
    'Use StringEqualsIgnoreCase.',
  ],
  'policy.not-action': [
    'NotAction allows everything that it does not name',
    'Name the actions to allow in Action.',
  ],
  'policy.not-principal': [
    'NotPrincipal allows everybody whom it does not name',
    'Name the principals to allow in Principal.',
  ],
  'policy.any-principal': [
    'everybody may use the key from a machine with this image',
    'Whoever can start the image, in any account, gets the secret. Name the role, or add a condition on kms:CallerAccount.',
  ],
  'policy.time-unbound': [
    'the statement admits a measurement set outside its time',
    'Add DateLessThanEquals and DateGreaterThanEquals on aws:CurrentTime, as `tee-kms policy` does.',
  ],
  'policy.set-not-admitted': [
    'no statement admits a measurement set that the manifest accepts',
    'Machines with this image are refused. Make the statements again from the manifest.',
  ],
} as const;
