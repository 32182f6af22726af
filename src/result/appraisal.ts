/** Where an image came from; for people and for other tools, nothing here is checked. */
export interface Provenance {
  readonly sourceRevision?: string;
  readonly builder?: string;
  readonly imageDigest?: string;
  readonly verityRootHash?: string;
}

/** One pinned PCR beside the signed one. */
export interface PcrComparison {
  readonly index: number;
  readonly meaning: string;
  /** From the manifest, lower-case hex. */
  readonly expected: string;
  /** From the signed document, lower-case hex; undefined when it lacks the PCR. */
  readonly actual: string | undefined;
  readonly matches: boolean;
}

/** How the signed PCRs compare with one measurement set. */
export interface SetComparison {
  readonly label: string;
  readonly matches: boolean;
  readonly pcrs: readonly PcrComparison[];
}

/** The outcome of an appraisal: the set that matched, or the one that came nearest. */
export interface Appraisal extends SetComparison {
  /** Name of the manifest, when it has one. */
  readonly manifestName: string | undefined;
  readonly imageVersion: string | undefined;
  /** Which measured event makes the difference, when the manifest or an event log tells. */
  readonly explanation: readonly string[];
  /** Where the manifest says the image came from; nobody has checked it. */
  readonly provenance?: Provenance;
}
