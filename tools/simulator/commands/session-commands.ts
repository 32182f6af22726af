import { randomBytes } from 'node:crypto';
import {
  DIGEST_SIZES,
  HASH_NAMES,
  TPM_ALG,
  TPM_CC,
  TPM_HT,
  TPM_RH,
  TPM_SE,
} from '../../agent/tpm/constants.js';
import { written } from '../../agent/tpm/read-structure.js';
import { inHandle, TPM_RC } from '../../agent/tpm/response-code.js';
import { sessionKeyOf } from '../../agent/tpm/session.js';
import { readSymmetric } from '../../agent/tpm/tpmt-public.js';
import type { SimulatedCommand } from '../command-context.js';
import { decryptSalt } from '../key-factory.js';
import { fail } from '../tpm-failure.js';

/** HMAC sessions, salted or not, bound to nothing. Policy sessions are beyond this simulator. */
const startAuthSession: SimulatedCommand = {
  code: TPM_CC.StartAuthSession,
  handles: 2,
  authorised: 0,
  run({ state, handles, parameters }) {
    const [tpmKey, bind] = handles as readonly [number, number];
    const saltKey = tpmKey === TPM_RH.NULL ? undefined : state.object(tpmKey, 1);
    if (bind !== TPM_RH.NULL) fail(inHandle(TPM_RC.HANDLE, 2));
    const nonceCaller = parameters.next((reader) => reader.sized16('nonceCaller', 64).slice());
    const encrypted = parameters.next((reader) => reader.sized16('encryptedSalt', 512).slice());
    const type = parameters.next((reader) => reader.u8('sessionType'));
    if (type !== TPM_SE.HMAC) parameters.fail(TPM_RC.VALUE);
    const symmetric = parameters.next(readSymmetric, TPM_RC.SYMMETRIC);
    const isAes128Cfb =
      symmetric?.algorithm === TPM_ALG.AES &&
      symmetric.keyBits === 128 &&
      symmetric.mode === TPM_ALG.CFB;
    if (symmetric !== null && !isAes128Cfb) parameters.fail(TPM_RC.SYMMETRIC);
    const hashAlgorithm = parameters.next((reader) => reader.u16('authHash'));
    if (HASH_NAMES[hashAlgorithm] === undefined) parameters.fail(TPM_RC.HASH);
    parameters.end();
    const nonceSize = DIGEST_SIZES[hashAlgorithm] as number;
    if (nonceCaller.length < 16 || nonceCaller.length > nonceSize) parameters.fail(TPM_RC.SIZE, 1);
    let salt: Uint8Array | undefined;
    if (saltKey === undefined) {
      if (encrypted.length > 0) parameters.fail(TPM_RC.VALUE, 2);
    } else {
      if (saltKey.publicArea.type !== 'rsa') fail(inHandle(TPM_RC.KEY, 1));
      salt = decryptSalt(saltKey, encrypted) ?? parameters.fail(TPM_RC.VALUE, 2);
    }
    const handle = state.freeSessionHandle();
    const nonceTpm = new Uint8Array(randomBytes(nonceSize));
    const sessionKey =
      salt === undefined
        ? new Uint8Array(0)
        : sessionKeyOf(hashAlgorithm, salt, nonceTpm, nonceCaller);
    state.sessions.set(handle, { handle, hashAlgorithm, symmetric, sessionKey, nonceTpm });
    return { handle, parameters: written((writer) => writer.sized16(nonceTpm)) };
  },
};

/** TPM2_HierarchyChangeAuth: gives a hierarchy a password. */
const hierarchyChangeAuth: SimulatedCommand = {
  code: TPM_CC.HierarchyChangeAuth,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters }) {
    const handle = handles[0] as number;
    if (handle >>> 24 !== TPM_HT.PERMANENT || handle === TPM_RH.NULL)
      fail(inHandle(TPM_RC.VALUE, 1));
    const authValue = parameters.next((reader) => reader.sized16('newAuth', 64).slice());
    parameters.end();
    state.hierarchyAuth.set(handle, authValue);
    return {};
  },
};

export const SESSION_COMMANDS: readonly SimulatedCommand[] = [
  startAuthSession,
  hierarchyChangeAuth,
];
