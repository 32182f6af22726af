/** Codes of uploading images and registering them: code → what it means and what to do. */
export const AMI_CODES = {
  'ami.interrupted': [
    'the upload was interrupted',
    'Run the same command with --resume to go on from where it stopped.',
  ],
} as const;
