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
} as const;
