import { randomBytes } from 'node:crypto';
import { encodeHex } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import { getHandles } from '../../tpm/commands/capabilities.js';
import {
  createPrimary,
  evictControl,
  flushContext,
  readPublicArea,
} from '../../tpm/commands/keys.js';
import { TPM_RH, TPMA_OBJECT } from '../../tpm/constants.js';
import { handleName, objectName } from '../../tpm/names.js';
import { inHandle, inParameter, TPM_RC } from '../../tpm/response-code.js';
import { PASSWORD_SESSION } from '../../tpm/session.js';
import { AK_TEMPLATE, RSA_EK_TEMPLATE } from '../../tpm/tpmt-public.js';
import { checkQuote, refused, SHA256 } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function keyContract(bench: ContractBench): void {
  describe('keys', () => {
    it.each([
      ['endorsement', TPM_RH.ENDORSEMENT],
      ['owner', TPM_RH.OWNER],
      ['null', TPM_RH.NULL],
    ] as const)('makes the same attestation key twice in the %s hierarchy', async (_, parent) => {
      const first = await bench.withKey(parent, AK_TEMPLATE, async (key) => {
        const {
          publicArea,
          name: readName,
          qualifiedName,
        } = await readPublicArea(bench.client, key.handle);
        expect(publicArea).toEqual(key.publicArea);
        expect(encodeHex(readName)).toBe(encodeHex(objectName(key.publicArea)));
        const digest = SHA256(handleName(parent), readName);
        expect(encodeHex(qualifiedName)).toBe(`000b${encodeHex(digest)}`);
        return key;
      });
      const again = await bench.withKey(parent, AK_TEMPLATE, async (key) => key);
      expect(again.publicArea).toEqual(first.publicArea);
      expect(first.publicArea.objectAttributes).toBe(AK_TEMPLATE.objectAttributes);
    });
    it('makes different keys in different hierarchies', async () => {
      const [a, b] = [
        await bench.withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => key),
        await bench.withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => key),
      ];
      expect(encodeHex(a.name)).not.toBe(encodeHex(b.name));
    });
    it('makes the default RSA endorsement key', async () => {
      await bench.withKey(TPM_RH.ENDORSEMENT, RSA_EK_TEMPLATE, async ({ publicArea }) => {
        expect(publicArea.type === 'rsa' && publicArea.modulus.length).toBe(256);
      });
    });
    it.each([
      [
        'restricted and both signing and decrypting',
        AK_TEMPLATE.objectAttributes | TPMA_OBJECT.decrypt,
        TPM_RC.ATTRIBUTES,
      ],
      [
        'fixedTPM without fixedParent',
        AK_TEMPLATE.objectAttributes & ~TPMA_OBJECT.fixedParent,
        TPM_RC.ATTRIBUTES,
      ],
    ])('refuses a template that is %s', async (_, objectAttributes, code) => {
      await refused(
        createPrimary(bench.client, TPM_RH.OWNER, { ...AK_TEMPLATE, objectAttributes }),
        inParameter(code, 2),
      );
    });
    it('refuses a restricted signing key without a scheme', async () => {
      await refused(
        createPrimary(bench.client, TPM_RH.OWNER, { ...AK_TEMPLATE, scheme: null }),
        inParameter(TPM_RC.SCHEME, 2),
      );
    });
    it('runs out of room for objects, and says so', async () => {
      const keys: number[] = [];
      try {
        await expect(
          (async () => {
            for (let i = 0; i < 20; i++)
              keys.push((await createPrimary(bench.client, TPM_RH.OWNER, AK_TEMPLATE)).handle);
          })(),
        ).rejects.toMatchObject({ code: 'tpm.no-memory' });
      } finally {
        for (const handle of keys) await flushContext(bench.client, handle);
      }
      expect(keys.length).toBeGreaterThanOrEqual(3);
    });
    it('names handles that are not there', async () => {
      await refused(readPublicArea(bench.client, 0x80000002), TPM_RC.REFERENCE_H0);
      await refused(readPublicArea(bench.client, 0x81000123), inHandle(TPM_RC.HANDLE, 1));
      await refused(flushContext(bench.client, 0x80000002), inParameter(TPM_RC.HANDLE, 1));
    });
    it('keeps a key at a persistent handle and removes it', async () => {
      const persistent = 0x81000042;
      await bench.withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
        await evictControl(bench.client, TPM_RH.OWNER, key, persistent);
        await refused(evictControl(bench.client, TPM_RH.OWNER, key, persistent), TPM_RC.NV_DEFINED);
      });
      const { publicArea, name: persistentName } = await readPublicArea(bench.client, persistent);
      expect(await getHandles(bench.client, 0x81000000)).toContain(persistent);
      const key = { handle: persistent, publicArea, name: persistentName };
      await checkQuote(bench.client, key, PASSWORD_SESSION, randomBytes(16));
      await evictControl(bench.client, TPM_RH.OWNER, key, persistent);
      expect(await getHandles(bench.client, 0x81000000)).not.toContain(persistent);
    });
  });
}
