import { randomBytes, verify } from 'node:crypto';
import { encodeHex } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import { getProperties } from '../../tpm/commands/capabilities.js';
import type { Hierarchy } from '../../tpm/commands/keys.js';
import { quote } from '../../tpm/commands/keys.js';
import { TPM_ALG, TPM_PT, TPM_RH, TPMA_OBJECT } from '../../tpm/constants.js';
import { allPcrs } from '../../tpm/pcr-selection.js';
import { inHandle, inParameter, TPM_RC } from '../../tpm/response-code.js';
import { PASSWORD_SESSION } from '../../tpm/session.js';
import { decodeAttest } from '../../tpm/tpms-attest.js';
import { AK_TEMPLATE, RSA_EK_TEMPLATE } from '../../tpm/tpmt-public.js';
import { ecdsaToDer } from '../../tpm/tpmt-signature.js';
import { hashInTpm, NULL_TICKET, signInTpm } from '../raw-commands.js';
import { checkQuote, publicKeyOf, refused, SHA256 } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function quoteContract(bench: ContractBench): void {
  describe('quotes', () => {
    it.each([1, 20, 32, 48, 64])('carry a nonce of %i bytes', async (size) => {
      await bench.withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, (key) =>
        checkQuote(bench.client, key, PASSWORD_SESSION, randomBytes(size)),
      );
    });
    it('take no nonce larger than the largest digest with its algorithm', async () => {
      await bench.withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
        await refused(
          quote(bench.client, key, new Uint8Array(67), [allPcrs(TPM_ALG.SHA384)]),
          inParameter(TPM_RC.SIZE, 1),
        );
      });
    });
    it('drop PCRs of banks that are not there', async () => {
      await bench.withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
        const { attest } = await quote(bench.client, key, new Uint8Array(8), [
          allPcrs(TPM_ALG.SHA1),
        ]);
        const { attested } = decodeAttest(attest);
        if (attested.type !== 'quote') throw new Error('not a quote');
        expect(attested.pcrSelections).toEqual([{ hashAlgorithm: TPM_ALG.SHA1, indices: [] }]);
        expect(encodeHex(attested.pcrDigest)).toBe(encodeHex(SHA256()));
      });
    });
    it('hide the boot counters in the owner hierarchy', async () => {
      const version = async (parent: Hierarchy): Promise<bigint> =>
        bench.withKey(parent, AK_TEMPLATE, async (key) => {
          const { attest } = await quote(bench.client, key, new Uint8Array(8), []);
          return decodeAttest(attest).firmwareVersion;
        });
      const properties = await getProperties(bench.client, TPM_PT.FIRMWARE_VERSION_1, 2);
      const real =
        (BigInt(properties.get(TPM_PT.FIRMWARE_VERSION_1) ?? 0) << 32n) |
        BigInt(properties.get(TPM_PT.FIRMWARE_VERSION_2) ?? 0);
      expect(await version(TPM_RH.ENDORSEMENT)).toBe(real);
      expect(await version(TPM_RH.OWNER)).not.toBe(real);
    });
    it('are refused by a key that does not sign', async () => {
      const storage = {
        ...RSA_EK_TEMPLATE,
        authPolicy: new Uint8Array(0),
        objectAttributes:
          (RSA_EK_TEMPLATE.objectAttributes & ~TPMA_OBJECT.adminWithPolicy) |
          TPMA_OBJECT.userWithAuth,
      };
      await bench.withKey(TPM_RH.OWNER, storage, async (key) => {
        await refused(quote(bench.client, key, new Uint8Array(8), []), inHandle(TPM_RC.KEY, 1));
      });
    });
  });

  describe('restricted keys', () => {
    it('sign what the TPM hashed and found harmless', async () => {
      await bench.withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
        const data = randomBytes(40);
        const { digest, ticket } = await hashInTpm(bench.client, data);
        expect(encodeHex(digest)).toBe(encodeHex(SHA256(data)));
        const signature = await signInTpm(bench.client, key, digest, ticket);
        if (signature.type !== 'ecdsa') throw new Error('not ECDSA');
        expect(verify('sha256', data, publicKeyOf(key), ecdsaToDer(signature))).toBe(true);
      });
    });
    it('refuse a digest without a ticket', async () => {
      await bench.withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
        await refused(
          signInTpm(bench.client, key, randomBytes(32), NULL_TICKET),
          inParameter(TPM_RC.TICKET, 3),
        );
      });
    });
    it('refuse to forge what only a TPM may say', async () => {
      await bench.withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
        const { attest } = await quote(bench.client, key, new Uint8Array(8), []);
        const forged = attest.slice();
        forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
        const { digest, ticket } = await hashInTpm(bench.client, forged);
        expect(ticket).toEqual(NULL_TICKET);
        await refused(signInTpm(bench.client, key, digest, ticket), inParameter(TPM_RC.TICKET, 3));
        // Nor with a ticket for something else.
        const other = await hashInTpm(bench.client, randomBytes(8));
        await refused(
          signInTpm(bench.client, key, digest, other.ticket),
          inParameter(TPM_RC.TICKET, 3),
        );
      });
    });
  });
}
