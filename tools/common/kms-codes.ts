/** Codes of attested calls of the key service and key policies: code → what it means and what to do. */
export const KMS_CODES = {
  'kms.access-denied': [
    'the key service refused the request',
    "Compare the PCRs of this machine with the conditions of the key's policy.",
  ],
} as const;
