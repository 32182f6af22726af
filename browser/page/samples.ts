/** What the build puts around the page's script: the files of examples/, as they are. */
declare const SAMPLE: {
  readonly bundle: string;
  readonly manifest: string;
  readonly root: string;
  readonly nonce: string;
};

/** Evidence with everything that is needed to judge it. */
export interface Sample {
  readonly title: string;
  /** What the verifier says about it: `verified`, or a code. */
  readonly outcome: string;
  readonly evidence: string;
  readonly manifest: string;
  readonly nonce: string;
  readonly anchor: string;
  readonly atDocumentTime: boolean;
}

/** The same number of hex digits, the last one another. */
function flip(hex: string): string {
  return `${hex.slice(0, -1)}${hex.endsWith('0') ? '1' : '0'}`;
}

/** The shipped evidence as it is, and with one thing wrong in each. */
export function listSamples(): readonly Sample[] {
  const { bundle, manifest, nonce, root } = SAMPLE;
  const good: Sample = {
    title: 'Genuine',
    outcome: 'verified',
    evidence: bundle,
    manifest,
    nonce,
    anchor: root,
    atDocumentTime: true,
  };
  const { measurementSets } = JSON.parse(manifest);
  const pcr4: string = measurementSets[0].pcrs['4'];
  const edited = JSON.parse(bundle);
  edited.pcrs.sha384['4'] = flip(pcr4);
  // PCR4 stands in the signed document as it is.
  const forged = JSON.parse(bundle);
  const { nitro } = forged.attestation;
  nitro.document = nitro.document.replace(pcr4, flip(pcr4));
  return [
    good,
    {
      ...good,
      title: 'Another image booted',
      outcome: 'pcr.mismatch',
      manifest: manifest.replace(pcr4, `${pcr4.slice(0, 40)}c0ffee00${pcr4.slice(48)}`),
    },
    { ...good, title: 'Replayed answer', outcome: 'freshness.nonce-mismatch', nonce: flip(nonce) },
    {
      ...good,
      title: 'Document changed',
      outcome: 'cose.signature-invalid',
      evidence: JSON.stringify(forged),
    },
    {
      ...good,
      title: 'Readable part edited',
      outcome: 'bundle.pcrs-mismatch',
      evidence: JSON.stringify(edited),
    },
    { ...good, title: 'Forged root', outcome: 'x509.untrusted-anchor', anchor: '' },
    { ...good, title: 'Old certificates', outcome: 'x509.expired', atDocumentTime: false },
  ];
}
