import { equalBytes } from 'tee-verify/bytes';
import {
  DIGEST_SIZES,
  HASH_NAMES,
  TPM_ALG,
  TPM_CC,
  TPM_GENERATED_VALUE,
  TPM_RH,
  TPM_ST,
  TPMA_OBJECT,
} from '../../agent/tpm/constants.js';
import { kdfA, tpmHmac } from '../../agent/tpm/kdf-a.js';
import { handleName, objectName, tpmHash } from '../../agent/tpm/names.js';
import { written } from '../../agent/tpm/read-structure.js';
import { inHandle, TPM_RC } from '../../agent/tpm/response-code.js';
import { encodeAttest, type TpmsAttest } from '../../agent/tpm/tpms-attest.js';
import { readScheme, type Scheme } from '../../agent/tpm/tpmt-public.js';
import { encodeSignature } from '../../agent/tpm/tpmt-signature.js';
import type { CommandAnswer, SimulatedCommand } from '../command-context.js';
import { signDigest } from '../key-factory.js';
import type { ParameterReader } from '../parameter-reader.js';
import { fail } from '../tpm-failure.js';
import { isHierarchy, type TpmObject, type TpmState } from '../tpm-state.js';
import { isSigningKey } from './key-commands.js';
import { nextPcrSelections } from './pcr-commands.js';

/** Stands in every attestation of the simulator: the letters "SIM1" and a number. */
export const FIRMWARE_VERSION: bigint = 0x53494d3100000001n;
const MAX_HASH_INPUT = 1024;

const quote: SimulatedCommand = {
  code: TPM_CC.Quote,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters }) {
    const key = signingKey(state, handles[0] as number, 1);
    const extraData = parameters.next((reader) => reader.sized16('qualifyingData', 66).slice());
    const hashAlgorithm = chooseScheme(key, parameters);
    const selections = state.pcrs.filter(nextPcrSelections(parameters));
    parameters.end();
    return attestation(key, hashAlgorithm, 1, {
      ...commonPart(state, key, extraData),
      attested: {
        type: 'quote',
        pcrSelections: selections,
        pcrDigest: state.pcrs.digest(hashAlgorithm, selections),
      },
    });
  },
};

const certify: SimulatedCommand = {
  code: TPM_CC.Certify,
  handles: 2,
  authorised: 2,
  run({ state, handles, parameters }) {
    const object = state.object(handles[0] as number, 1);
    const key = signingKey(state, handles[1] as number, 2);
    const extraData = parameters.next((reader) => reader.sized16('qualifyingData', 66).slice());
    const hashAlgorithm = chooseScheme(key, parameters);
    parameters.end();
    return attestation(key, hashAlgorithm, 2, {
      ...commonPart(state, key, extraData),
      attested: {
        type: 'certify',
        name: objectName(object.publicArea),
        qualifiedName: object.qualifiedName,
      },
    });
  },
};

const hash: SimulatedCommand = {
  code: TPM_CC.Hash,
  handles: 0,
  authorised: 0,
  run({ state, parameters }) {
    const data = parameters.next((reader) => reader.sized16('data', MAX_HASH_INPUT).slice());
    const algorithm = parameters.next((reader) => reader.u16('hashAlg'));
    if (HASH_NAMES[algorithm] === undefined) parameters.fail(TPM_RC.HASH);
    const hierarchy = parameters.next((reader) => reader.u32('hierarchy'));
    if (!isHierarchy(hierarchy)) parameters.fail(TPM_RC.VALUE);
    parameters.end();
    const digest = tpmHash(algorithm, data);
    // Part 3, 15.4: no ticket for anything that could pass for something a TPM made. Fewer than
    // four bytes cannot: nothing is added to them.
    const generated = written((writer) => writer.u32(TPM_GENERATED_VALUE));
    const safe = hierarchy !== TPM_RH.NULL && !equalBytes(data.subarray(0, 4), generated);
    return {
      parameters: written((writer) =>
        writer
          .sized16(digest)
          .u16(TPM_ST.HASHCHECK)
          .u32(safe ? hierarchy : TPM_RH.NULL)
          .sized16(safe ? hashTicket(state, hierarchy, algorithm, digest) : new Uint8Array(0)),
      ),
    };
  },
};

const sign: SimulatedCommand = {
  code: TPM_CC.Sign,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters }) {
    const key = signingKey(state, handles[0] as number, 1);
    const digest = parameters.next((reader) => reader.sized16('digest', 64).slice());
    const hashAlgorithm = chooseScheme(key, parameters);
    const ticket = parameters.next((reader) => ({
      tag: reader.u16('tag'),
      hierarchy: reader.u32('hierarchy'),
      digest: reader.sized16('digest', 64).slice(),
    }));
    if (ticket.tag !== TPM_ST.HASHCHECK) parameters.fail(TPM_RC.TAG);
    parameters.end();
    if (digest.length !== DIGEST_SIZES[hashAlgorithm]) parameters.fail(TPM_RC.SIZE, 1);
    const restricted = (key.publicArea.objectAttributes & TPMA_OBJECT.restricted) !== 0;
    // Part 3, 20.2: a restricted key signs only what the TPM hashed and found harmless.
    if (restricted || ticket.digest.length > 0) {
      const expected = hashTicket(state, ticket.hierarchy, hashAlgorithm, digest);
      if (!equalBytes(expected, ticket.digest)) parameters.fail(TPM_RC.TICKET, 3);
    }
    return { parameters: encodeSignature(signDigest(key, hashAlgorithm, digest, 1)) };
  },
};

function signingKey(state: TpmState, handle: number, position: number): TpmObject {
  const object = state.object(handle, position);
  return isSigningKey(object.publicArea.objectAttributes)
    ? object
    : fail(inHandle(TPM_RC.KEY, position));
}

/** The hash of the scheme in use: the key's own, or the one asked for when the key leaves it open. */
function chooseScheme(key: TpmObject, parameters: ParameterReader): number {
  const asked = parameters.next((reader) => readScheme(reader, 'inScheme'), TPM_RC.SCHEME);
  const own = key.publicArea.scheme;
  const scheme = own ?? asked;
  if (scheme === null || scheme.scheme !== TPM_ALG.ECDSA) return parameters.fail(TPM_RC.SCHEME);
  if (own !== null && asked !== null && !sameScheme(own, asked)) parameters.fail(TPM_RC.SCHEME);
  const algorithm = scheme.hashAlgorithm ?? 0;
  return HASH_NAMES[algorithm] === undefined ? parameters.fail(TPM_RC.HASH) : algorithm;
}

function sameScheme(a: Scheme, b: Scheme): boolean {
  return a.scheme === b.scheme && a.hashAlgorithm === b.hashAlgorithm;
}

function commonPart(
  state: TpmState,
  key: TpmObject,
  extraData: Uint8Array,
): Omit<TpmsAttest, 'attested'> {
  const { resetCount, restartCount } = state;
  const common = {
    qualifiedSigner: key.qualifiedName,
    extraData,
    clockInfo: { clock: BigInt(state.clockMs()), resetCount, restartCount, safe: true },
    firmwareVersion: FIRMWARE_VERSION,
  };
  if (key.hierarchy === TPM_RH.ENDORSEMENT || key.hierarchy === TPM_RH.PLATFORM) return common;
  // Part 1, 36.7: other hierarchies do not learn what would let their keys be linked.
  const mask = kdfA(
    TPM_ALG.SHA256,
    state.proof,
    'OBFUSCATE',
    key.qualifiedName,
    new Uint8Array(0),
    128,
  );
  const view = new DataView(mask.buffer);
  return {
    ...common,
    clockInfo: {
      ...common.clockInfo,
      resetCount: (resetCount + view.getUint32(8)) >>> 0,
      restartCount: (restartCount + view.getUint32(12)) >>> 0,
    },
    firmwareVersion: BigInt.asUintN(64, FIRMWARE_VERSION + view.getBigUint64(0)),
  };
}

function attestation(
  key: TpmObject,
  hashAlgorithm: number,
  position: number,
  attest: TpmsAttest,
): CommandAnswer {
  const bytes = encodeAttest(attest);
  const digest = tpmHash(hashAlgorithm, bytes);
  const signature = signDigest(key, hashAlgorithm, digest, position);
  return {
    parameters: written((writer) => writer.sized16(bytes).bytes(encodeSignature(signature))),
  };
}

/** A ticket's digest: proof that this TPM hashed the data and found no TPM_GENERATED in front. */
function hashTicket(
  state: TpmState,
  hierarchy: number,
  algorithm: number,
  digest: Uint8Array,
): Uint8Array {
  return tpmHmac(
    TPM_ALG.SHA256,
    state.proof,
    handleName(hierarchy),
    written((writer) => writer.u16(TPM_ST.HASHCHECK).u16(algorithm)),
    digest,
  );
}

export const SIGNING_COMMANDS: readonly SimulatedCommand[] = [quote, certify, hash, sign];
