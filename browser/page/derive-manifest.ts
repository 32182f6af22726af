import { encodeHex } from '../../src/bytes/hex.js';
import { chooseProvider } from '../../src/crypto/choose-provider.js';
import {
  blobSource,
  measureEif,
  measureUki,
  parseEventLog,
  replayEventLog,
  toEnclaveManifest,
  toMeasurementManifest,
} from '../../src/measure/index.js';

/** A manifest as text, and what its reader should know. */
export interface DerivedManifest {
  readonly text: string;
  readonly notes: readonly string[];
}

/**
 * What makes an image and does not change while it runs. systemd extends PCR11 at every phase of
 * the boot, others extend 9 and 15.
 */
const PINNED = [4, 7, 12];

/** Predicts the PCRs of a boot of this UKI without Secure Boot. Throws `pe.*` and `uki.*`. */
export async function manifestFromUki(file: Blob, name: string): Promise<DerivedManifest> {
  const source = blobSource(file);
  const measured = await measureUki([{ name, source }], { pcrs: PINNED });
  return {
    text: JSON.stringify(toMeasurementManifest(measured, { name }), undefined, 2),
    notes: [
      `Measured as systemd-stub ${measured.stubProfile} measures, with Secure Boot off.`,
      ...measured.notes,
    ],
  };
}

/** The PCRs of an enclave that runs this image. Throws `eif.*`. */
export async function manifestFromEif(file: Blob, name: string): Promise<DerivedManifest> {
  const measured = await measureEif(blobSource(file));
  return {
    text: JSON.stringify(toEnclaveManifest(measured, { name }), undefined, 2),
    notes: [
      measured.signature === undefined
        ? 'The image is not signed: there is no PCR8.'
        : 'The image is signed: PCR8 is its certificate.',
      'Where it may run (PCR3, PCR4) is not pinned.',
    ],
  };
}

/** The PCRs that this event log accounts for. Throws `eventlog.*`. */
export async function manifestFromEventLog(
  bytes: Uint8Array,
  name: string,
): Promise<DerivedManifest> {
  const log = parseEventLog(bytes);
  const replayed = await replayEventLog(log, 'sha384', chooseProvider().digest);
  const pcrs = Object.fromEntries(
    PINNED.map((pcr) => [`${pcr}`, encodeHex(replayed[pcr]?.value as Uint8Array)]),
  );
  const manifest = {
    version: 1,
    name,
    platform: 'nitrotpm',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label: name, pcrs }],
  };
  return {
    text: JSON.stringify(manifest, undefined, 2),
    notes: [
      `Replayed from ${log.events.length} events.`,
      'An event log says what its machine booted, not that it should have: use one from a boot that you trust.',
    ],
  };
}
