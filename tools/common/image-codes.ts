/** Codes of building, signing, booting, verifying and auditing disk images: code → what it means and what to do. */
export const IMAGE_CODES = {
  'host.tool-missing': [
    'a program that the work needs is not installed',
    'Install the package named.',
  ],
} as const;
