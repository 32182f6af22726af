import { encodeHex } from 'tee-verify/bytes';
import type { Provenance } from 'tee-verify/manifest';
import {
  formatAwsMeasurements,
  type MeasuredEvent,
  type MeasurementManifest,
  measureUki,
  type SecureBootVariables,
  type StubProfileName,
  toMeasurementManifest,
} from 'tee-verify/measure';
import { createNodeHasher, openFile } from '../../common/file-source.js';
import { runDigestJobsInParallel } from '../../common/parallel-digest-jobs.js';
import packageJson from '../../package.json' with { type: 'json' };

/** What a manifest of an image says beside the measurements. */
export interface ImageNames {
  readonly name: string;
  readonly version: string;
  readonly rootHash: string;
  /** Path of the raw image. */
  readonly raw: string;
  /** Leave the digest of the raw image out of the manifest, which then is not read again. */
  readonly withoutImageDigest?: boolean;
  readonly sourceRevision: string | undefined;
  readonly stubProfile: StubProfileName | undefined;
  /** Of an image that was built before. Default: this program. */
  readonly builder?: string | undefined;
  /** Of a signed image: firmware's variables, with which Secure Boot is on. */
  readonly secureBoot?: SecureBootVariables;
}

/** The files about an image that was built, and what should be said about it. */
export interface ImageMeasurements {
  /** Text of `manifest.json`. */
  readonly manifest: string;
  /** Text of `tpm_pcr.json`. */
  readonly awsMeasurements: string;
  readonly pcrs: ReadonlyMap<number, string>;
  readonly events: readonly MeasuredEvent[];
  readonly notes: readonly string[];
}

/**
 * Predicts the PCRs of a boot. Without Secure Boot, AWS's form leaves PCR7 out: it is that of the
 * machine until the image is signed. Throws `pe.*`, `uki.*`.
 */
export async function measureImage(uki: string, names: ImageNames): Promise<ImageMeasurements> {
  const file = await openFile(uki);
  try {
    const image = { name: `${names.name}_${names.version}.efi`, source: file };
    const measurement = await measureUki([image], {
      createHasher: createNodeHasher,
      runDigestJobs: runDigestJobsInParallel,
      ...(names.stubProfile === undefined ? {} : { stubProfile: names.stubProfile }),
      ...(names.secureBoot === undefined ? {} : { secureBoot: names.secureBoot }),
    });
    const { stubVersion = 'a stub without version' } = measurement;
    const provenance: Provenance = {
      ...(names.sourceRevision === undefined ? {} : { sourceRevision: names.sourceRevision }),
      builder: names.builder ?? `tee-image ${packageJson.version}, ${stubVersion}`,
      ...(names.withoutImageDigest ? {} : { imageDigest: await digestOf(names.raw) }),
      verityRootHash: names.rootHash,
    };
    const manifest: MeasurementManifest & { provenance: Provenance } = {
      ...toMeasurementManifest(measurement, { name: names.name, imageVersion: names.version }),
      provenance,
    };
    const awsPcrs = measurement.secureBoot ? [4, 7, 12] : [4, 12];
    const aws = new Map([...measurement.pcrs].filter(([pcr]) => awsPcrs.includes(pcr)));
    return {
      manifest: `${JSON.stringify(manifest, null, 2)}\n`,
      awsMeasurements: formatAwsMeasurements(aws),
      pcrs: measurement.pcrs,
      events: measurement.events,
      notes: measurement.notes,
    };
  } finally {
    await file.close();
  }
}

async function digestOf(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    const whole = { algorithm: 'SHA-256' as const, pieces: [{ offset: 0, length: file.size }] };
    const [digest = new Uint8Array()] = await runDigestJobsInParallel(file, [whole]);
    return `sha256:${encodeHex(digest)}`;
  } finally {
    await file.close();
  }
}
