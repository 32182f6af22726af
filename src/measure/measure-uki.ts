import { asciiBytes, equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { authenticodePieces } from './authenticode.js';
import { type BootChain, type BootImage, readBootChain } from './boot-chain.js';
import { isAscii, normalizeOverride } from './command-line.js';
import { type RunDigestJobs, runDigestJobs } from './digest-jobs.js';
import { DigestPlan, type PlannedDigest } from './digest-plan.js';
import type { CreateHasher } from './hasher.js';
import { initrdPieces, notPredictable } from './initrd-pieces.js';
import { extendAll, type MeasuredEvent, type MeasuredEventKind } from './measured-event.js';
import { createNobleHasher } from './noble-hasher.js';
import { type PeImage, readPeImage, sectionPieces, sectionSource } from './pe-image.js';
import { type PeSignature, readSignatures } from './pe-signature.js';
import {
  authorityData,
  readSecureBoot,
  type SecureBootState,
  type SecureBootVariables,
  secureBootVariables,
} from './secure-boot.js';
import type { SignatureEntry } from './signature-list.js';
import { findAuthority, IMAGE_HASHES, signatureHash } from './signing-authority.js';
import type { StubProfileName } from './stub-profiles.js';
import { encodeUtf16 } from './text.js';

/** The PCRs that can be predicted from an image. */
export const PREDICTABLE_PCRS: readonly number[] = [4, 7, 9, 11, 12];

/** How to measure. */
export interface MeasureOptions {
  /** PK, KEK, db and dbx; Secure Boot is off without a PK. */
  readonly secureBoot?: SecureBootVariables;
  /** What the stub measures, when its version is not known. */
  readonly stubProfile?: StubProfileName;
  /** A command line passed from outside (UEFI load options). */
  readonly commandLineOverride?: string;
  /** Which of PCR 4, 7, 9, 11 and 12. Default: all that can be predicted for this image. */
  readonly pcrs?: readonly number[];
  /** Default: hashes in plain JavaScript. */
  readonly createHasher?: CreateHasher;
  /** Computes the large digests. Default: one pass over each image with `createHasher`. */
  readonly runDigestJobs?: RunDigestJobs;
}

/** What a boot of these images will leave in the TPM's SHA-384 bank. */
export interface UkiMeasurement {
  /** PCR index → 96 lower-case hex digits, by ascending index. */
  readonly pcrs: ReadonlyMap<number, string>;
  /** Every extend, by PCR and in extend order. */
  readonly events: readonly MeasuredEvent[];
  readonly secureBoot: boolean;
  /** Which of the images is the UKI. */
  readonly ukiName: string;
  /** What `.sdmagic` says; undefined for Amazon Linux 2023. */
  readonly stubVersion: string | undefined;
  readonly stubProfile: StubProfileName;
  /** What a reader should know, e.g. why a PCR was left out. */
  readonly notes: readonly string[];
}

/** One event before its digest is there. */
interface PlannedEvent {
  readonly pcr: number;
  readonly kind: MeasuredEventKind;
  readonly description: string;
  readonly digest: PlannedDigest;
}

/**
 * Predicts PCR4, 7, 9, 11 and 12 (SHA-384) of a boot of these images, in load order: boot loaders,
 * the UKI, its addons. docs/measurements.md says how, and for which stubs.
 *
 * Throws `pe.*`, `esl.*` and `uki.*` codes; `uki.not-predictable` for a PCR that was asked for and
 * depends on more than the image.
 */
export async function measureUki(
  images: readonly BootImage[],
  options: MeasureOptions = {},
): Promise<UkiMeasurement> {
  const { createHasher = createNobleHasher, pcrs, commandLineOverride } = options;
  for (const pcr of pcrs ?? [])
    if (!PREDICTABLE_PCRS.includes(pcr)) throw new TypeError(`PCR${pcr} cannot be predicted`);
  const state = readSecureBoot(options.secureBoot);
  const chain = await readBootChain(images, options.stubProfile);
  const override =
    commandLineOverride === undefined
      ? undefined
      : normalizeOverride(commandLineOverride, chain.stub.profile);
  const measurement = new Measurement(chain, state, override, createHasher);
  const notes: string[] = [];
  for (const pcr of PREDICTABLE_PCRS) {
    if (pcrs !== undefined && !pcrs.includes(pcr)) continue;
    try {
      await measurement.plan(pcr);
    } catch (error) {
      const skippable = error instanceof AttestationError && error.code === 'uki.not-predictable';
      if (!skippable || pcrs !== undefined) throw error;
      measurement.drop(pcr);
      notes.push(`PCR${pcr} is left out: ${error.actual}`);
    }
  }
  const run =
    options.runDigestJobs ?? ((source, jobs) => runDigestJobs(source, jobs, createHasher));
  const events = await measurement.finish(run);
  const values = measurement.pcrs.map((pcr): [number, string] => [
    pcr,
    extendAll(
      events.filter((event) => event.pcr === pcr).map(({ digest }) => digest),
      createHasher,
    ),
  ]);
  return {
    pcrs: new Map(values),
    events,
    secureBoot: state.enabled,
    ukiName: chain.uki.name,
    stubVersion: chain.stub.version,
    stubProfile: chain.stub.profile.name,
    notes: [...measurement.notes, ...notes],
  };
}

/** Plans the events of each PCR, then computes their digests together. */
class Measurement {
  readonly pcrs: number[] = [];
  readonly notes: string[] = [];
  readonly #chain: BootChain;
  readonly #state: SecureBootState;
  readonly #override: string | undefined;
  readonly #createHasher: CreateHasher;
  readonly #plan = new DigestPlan();
  #events: PlannedEvent[] = [];
  #checks: (() => void)[] = [];

  constructor(
    chain: BootChain,
    state: SecureBootState,
    override: string | undefined,
    createHasher: CreateHasher,
  ) {
    this.#chain = chain;
    this.#state = state;
    this.#createHasher = createHasher;
    // With Secure Boot on, the stub drops a command line from outside when it has its own.
    const ignored = override !== undefined && state.enabled && chain.commandLine !== undefined;
    this.#override = ignored ? undefined : override;
    if (ignored)
      this.notes.push('Secure Boot is on: the stub ignores the command line from outside');
  }

  async plan(pcr: number): Promise<void> {
    this.pcrs.push(pcr);
    if (pcr === 4) await this.#planImages();
    else if (pcr === 7) await this.#planSecureBoot();
    else if (pcr === 9) await this.#planKernel();
    else if (pcr === 11) this.#planSections();
    else this.#planCommandLine();
  }

  drop(pcr: number): void {
    this.pcrs.splice(this.pcrs.indexOf(pcr), 1);
    this.#events = this.#events.filter((event) => event.pcr !== pcr);
  }

  async finish(run: RunDigestJobs): Promise<MeasuredEvent[]> {
    await this.#plan.run(run);
    for (const check of this.#checks) check();
    return this.#events.map(({ digest, ...event }) => ({ ...event, digest: encodeHex(digest()) }));
  }

  #add(pcr: number, kind: MeasuredEventKind, description: string, digest: PlannedDigest): void {
    this.#events.push({ pcr, kind, description, digest });
  }

  #addData(pcr: number, kind: MeasuredEventKind, description: string, data: Uint8Array): void {
    const hasher = this.#createHasher('SHA-384');
    hasher.update(data);
    const digest = hasher.digest();
    this.#add(pcr, kind, description, () => digest);
  }

  #addSeparator(pcr: number): void {
    this.#addData(pcr, 'separator', 'separator', new Uint8Array(4));
  }

  /** PCR4: the firmware's action, a separator, each image, the kernel when firmware loads it. */
  async #planImages(): Promise<void> {
    const action = 'Calling EFI Application from Boot Option';
    this.#addData(4, 'action', action, asciiBytes(action));
    this.#addSeparator(4);
    for (const { name, image, role } of this.#chain.images) {
      const digest = this.#plan.add(image.source, authenticodePieces(image));
      const what = role === 'uki' ? 'UKI' : role;
      this.#add(4, 'image', `Authenticode digest of the ${what} ${name}`, digest);
    }
    const { measuresKernel } = this.#chain.stub.profile;
    if (this.#state.enabled ? measuresKernel.secureBootOn : measuresKernel.secureBootOff)
      await this.#planInnerKernel();
  }

  async #planInnerKernel(): Promise<void> {
    const { uki, sections } = this.#chain;
    const section = sections.get('.linux');
    if (section === undefined) throw new AttestationError(MEASUREMENT_CODES['uki.not-a-uki']);
    const kernel = await readPeImage(sectionSource(uki.image, section));
    const pieces = authenticodePieces(kernel).flatMap((piece) =>
      'offset' in piece ? sectionPieces(section, piece.offset, piece.length) : [piece],
    );
    const digest = this.#plan.add(uki.image.source, pieces);
    this.#add(4, 'kernel', 'Authenticode digest of the kernel inside the UKI', digest);
  }

  /** PCR7: the Secure Boot variables, a separator, and what allowed the images. */
  async #planSecureBoot(): Promise<void> {
    const state = this.#state;
    for (const { data, description } of secureBootVariables(state))
      this.#addData(7, 'variable', description, data);
    this.#addSeparator(7);
    if (!state.enabled) return;
    const used: SignatureEntry[] = [];
    for (const { name, image } of this.#chain.images) {
      const signatures = await readSignatures(image);
      if (signatures.length === 0)
        reject(MEASUREMENT_CODES['pe.not-signed'], `${name} signed`, 'no signature');
      const entry = await findAuthority(state, signatures, name, this.#createHasher);
      if (!used.includes(entry)) {
        used.push(entry);
        const { data, description } = authorityData(entry);
        this.#addData(7, 'authority', description, data);
      }
      for (const signature of signatures) this.#checkSignedDigest(name, image, signature);
      this.#checkRevoked(name, image);
    }
  }

  /** A signature of another image, or of this one before it was changed, allows nothing. */
  #checkSignedDigest(name: string, image: PeImage, signature: PeSignature): void {
    const digest = this.#plan.add(
      image.source,
      authenticodePieces(image),
      signatureHash(signature),
    );
    this.#checks.push(() => {
      if (!equalBytes(digest(), signature.imageDigest))
        reject(
          MEASUREMENT_CODES['pe.signature-mismatch'],
          `${name} with the digest ${encodeHex(signature.imageDigest)}, as signed`,
          encodeHex(digest()),
        );
    });
  }

  #checkRevoked(name: string, image: PeImage): void {
    for (const [type, algorithm] of IMAGE_HASHES) {
      const revoked = this.#state.dbxEntries.filter((entry) => entry.type === type);
      if (revoked.length === 0) continue;
      const digest = this.#plan.add(image.source, authenticodePieces(image), algorithm);
      this.#checks.push(() => {
        if (revoked.some(({ data }) => equalBytes(data, digest())))
          throw new AttestationError(MEASUREMENT_CODES['uki.revoked-by-dbx'], {
            actual: `${name}: ${algorithm} ${encodeHex(digest())}`,
          });
      });
    }
  }

  /** PCR9, by Linux's EFI stub: its load options, then the initrd as it was loaded. */
  async #planKernel(): Promise<void> {
    const { uki, stub, commandLine, addonCommandLine } = this.#chain;
    const { initrdExtras, name } = stub.profile;
    if (initrdExtras === undefined)
      notPredictable(`systemd-stub ${name} adds a secret of the machine to the initrd`);
    const line = [this.#override ?? commandLine, addonCommandLine].filter(Boolean).join(' ');
    if (line === '' || !isAscii(line)) notPredictable('the command line is empty or not ASCII');
    const { pieces, appended } = await initrdPieces(this.#chain, initrdExtras);
    this.#addData(9, 'load-options', `load options: ${line}`, encodeUtf16(`${line}\0`));
    const digest = this.#plan.add(uki.image.source, pieces);
    this.#add(9, 'initrd', appended ? 'initrd with what the stub appends' : 'initrd', digest);
  }

  /** PCR11, by systemd-stub: name and contents of each section that it knows. */
  #planSections(): void {
    const { uki, stub, sections } = this.#chain;
    for (const name of ['.dtbauto', '.efifw'])
      if (sections.has(name)) notPredictable(`which ${name} is used depends on the machine`);
    for (const name of stub.profile.measuredSections) {
      const section = sections.get(name);
      if (section === undefined) continue;
      this.#addData(11, 'section-name', `name of section ${name}`, asciiBytes(`${name}\0`));
      const digest = this.#plan.add(uki.image.source, sectionPieces(section));
      this.#add(11, 'section', `contents of section ${name}`, digest);
    }
  }

  /** PCR12, by systemd-stub: what replaces or extends the command line; otherwise untouched. */
  #planCommandLine(): void {
    const { addonCommandLine } = this.#chain;
    if (this.#override !== undefined)
      this.#addData(
        12,
        'command-line',
        `command line from outside: ${this.#override}`,
        encodeUtf16(`${this.#override}\0`),
      );
    if (addonCommandLine === '') return;
    if (!isAscii(addonCommandLine)) notPredictable('the command line of an addon is not ASCII');
    this.#addData(
      12,
      'command-line',
      `command line of addons: ${addonCommandLine}`,
      encodeUtf16(`${addonCommandLine}\0`),
    );
  }
}
