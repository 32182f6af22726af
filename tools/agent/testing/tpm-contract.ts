import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { concatBytes, encodeBase64Url, encodeHex, equalBytes } from 'tee-verify/bytes';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  getAlgorithms,
  getCommands,
  getHandles,
  getPcrBanks,
  getProperties,
  getProperty,
} from '../tpm/commands/capabilities.js';
import {
  createPrimary,
  evictControl,
  flushContext,
  type LoadedKey,
  quote,
  readPublicArea,
} from '../tpm/commands/keys.js';
import {
  nvBufferSize,
  nvDefineSpace,
  nvRead,
  nvReadPublic,
  nvUndefineSpace,
  nvWrite,
} from '../tpm/commands/nv.js';
import { pcrExtend, pcrRead, pcrReset, readPcrs } from '../tpm/commands/pcrs.js';
import { getRandom } from '../tpm/commands/random.js';
import { startHmacSession } from '../tpm/commands/sessions.js';
import { TPM_ALG, TPM_CC, TPM_PT, TPM_RH, TPMA_NV, TPMA_OBJECT } from '../tpm/constants.js';
import { handleName, nvName, objectName } from '../tpm/names.js';
import { allPcrs } from '../tpm/pcr-selection.js';
import { written } from '../tpm/read-structure.js';
import { inHandle, inParameter, TPM_RC } from '../tpm/response-code.js';
import { PASSWORD_SESSION, type TpmSession } from '../tpm/session.js';
import { TpmClient } from '../tpm/tpm-client.js';
import { TpmResponseError } from '../tpm/tpm-response-error.js';
import { decodeAttest } from '../tpm/tpms-attest.js';
import type { NvPublic } from '../tpm/tpms-nv-public.js';
import { AK_TEMPLATE, RSA_EK_TEMPLATE } from '../tpm/tpmt-public.js';
import { ecdsaToDer } from '../tpm/tpmt-signature.js';
import type { TpmTransport } from '../transport/tpm-transport.js';
import { hashInTpm, NULL_TICKET, signInTpm } from './raw-commands.js';

/** A TPM to test, freshly started, with SHA-256 and SHA-384 banks. */
export interface TpmUnderTest {
  connect(): Promise<TpmTransport>;
  stop(): Promise<void>;
  /** TPM2_PT_MANUFACTURER, four letters. */
  readonly manufacturer: string;
  /** Largest NV index. */
  readonly nvIndexMax: number;
}

const HANDLE_TYPES = [0x01000000, 0x02000000, 0x80000000];
const SHA256 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** What every TPM does for the client: run over the simulator and over swtpm. */
export function describeTpmContract(name: string, start: () => Promise<TpmUnderTest>): void {
  describe(`TPM contract: ${name}`, () => {
    let tpm: TpmUnderTest;
    let client: TpmClient;
    let before: number[];

    const handles = async (): Promise<number[]> => listHandles(client);

    beforeAll(async () => {
      tpm = await start();
      client = new TpmClient(await tpm.connect());
    });
    afterAll(async () => {
      await client?.close();
      await tpm?.stop();
    });
    beforeEach(async () => {
      before = await handles();
    });
    afterEach(async () => {
      expect(await handles(), 'nothing is left behind').toEqual(before);
    });

    const withKey = async <T>(
      hierarchy: Parameters<typeof createPrimary>[1],
      template: Parameters<typeof createPrimary>[2],
      use: (key: LoadedKey) => Promise<T>,
    ): Promise<T> => {
      const key = await createPrimary(client, hierarchy, template);
      try {
        return await use(key);
      } finally {
        await flushContext(client, key.handle);
      }
    };
    const withSession = async <T>(
      hashAlgorithm: number,
      use: (session: TpmSession & { handle: number }) => Promise<T>,
    ): Promise<T> => {
      const session = await withKey(TPM_RH.ENDORSEMENT, RSA_EK_TEMPLATE, (ek) =>
        startHmacSession(client, ek, { hashAlgorithm }),
      );
      try {
        return await use(session);
      } finally {
        await flushContext(client, session.handle);
      }
    };
    const nvArea = (dataSize: number, attributes = 0): NvPublic => ({
      nvIndex: 0x01800042,
      nameAlgorithm: TPM_ALG.SHA512,
      attributes: TPMA_NV.AUTHREAD | TPMA_NV.AUTHWRITE | TPMA_NV.NO_DA | attributes,
      authPolicy: new Uint8Array(0),
      dataSize,
    });
    const withIndex = async <T>(
      area: NvPublic,
      authValue: Uint8Array,
      use: () => Promise<T>,
    ): Promise<T> => {
      await nvDefineSpace(client, TPM_RH.OWNER, area, authValue);
      try {
        return await use();
      } finally {
        await nvUndefineSpace(client, TPM_RH.OWNER, area);
      }
    };

    describe('capabilities', () => {
      it('lists properties', async () => {
        const properties = await getProperties(client, 0x100, 80);
        expect(properties.get(TPM_PT.FAMILY_INDICATOR)).toBe(0x322e3000);
        expect(properties.get(TPM_PT.PCR_COUNT)).toBeGreaterThanOrEqual(24);
        expect(properties.get(TPM_PT.NV_INDEX_MAX)).toBe(tpm.nvIndexMax);
        const letters = Buffer.alloc(4);
        letters.writeUInt32BE(properties.get(TPM_PT.MANUFACTURER) ?? 0);
        expect(letters.toString('latin1').replace(/\0+$/, '').trim()).toBe(tpm.manufacturer);
        expect(await getProperty(client, TPM_PT.NV_BUFFER_MAX)).toBeGreaterThanOrEqual(512);
        expect(await getProperty(client, 0x1ff)).toBeUndefined();
      });
      it('lists algorithms, commands, banks and PCR handles', async () => {
        const algorithms = (await getAlgorithms(client)).map(({ algorithm }) => algorithm);
        expect(algorithms).toEqual(
          expect.arrayContaining([TPM_ALG.ECC, TPM_ALG.ECDSA, TPM_ALG.SHA384, TPM_ALG.AES]),
        );
        expect(algorithms).toEqual([...algorithms].sort((a, b) => a - b));
        const commands = (await getCommands(client)).map((attributes) => attributes & 0xffff);
        expect(commands).toEqual(
          expect.arrayContaining([TPM_CC.Quote, TPM_CC.NV_DefineSpace, TPM_CC.EvictControl]),
        );
        const banks = (await getPcrBanks(client)).filter(({ indices }) => indices.length > 0);
        expect(banks).toEqual([allPcrs(TPM_ALG.SHA256), allPcrs(TPM_ALG.SHA384)]);
        expect(await getHandles(client, 0)).toEqual(Array.from({ length: 24 }, (_, i) => i));
      });
    });

    it('gives random bytes', async () => {
      const [a, b] = [await getRandom(client, 32), await getRandom(client, 32)];
      expect([a.length, b.length]).toEqual([32, 32]);
      expect(equalBytes(a, b)).toBe(false);
      expect((await getRandom(client, 1)).length).toBe(1);
    });

    describe('PCRs', () => {
      it('reads a whole bank, in as many calls as it takes', async () => {
        const { values } = await readPcrs(client, allPcrs(TPM_ALG.SHA384));
        expect([...values.keys()]).toEqual(Array.from({ length: 24 }, (_, i) => i));
        for (const [index, value] of values) {
          expect(value.length).toBe(48);
          const fill = index >= 17 && index <= 22 ? 0xff : 0;
          if (index !== 10) expect(value.every((byte) => byte === fill)).toBe(true);
        }
      });
      it('says that a bank is not allocated', async () => {
        await expect(readPcrs(client, allPcrs(TPM_ALG.SHA1))).rejects.toMatchObject({
          code: 'tpm.unsupported',
        });
      });
      it('reads two banks in one call', async () => {
        const { digests, selections } = await pcrRead(client, [
          { hashAlgorithm: TPM_ALG.SHA256, indices: [0, 17] },
          { hashAlgorithm: TPM_ALG.SHA384, indices: [3] },
        ]);
        expect(digests.map((digest) => digest.length)).toEqual([32, 32, 48]);
        expect(selections.map(({ indices }) => indices)).toEqual([[0, 17], [3]]);
      });
      it('extends and resets PCR 16 in both banks', async () => {
        const read = async (algorithm: number): Promise<Uint8Array> =>
          (await readPcrs(client, { hashAlgorithm: algorithm, indices: [16] })).values.get(
            16,
          ) as Uint8Array;
        await pcrReset(client, 16);
        const [event256, event384] = [randomBytes(32), randomBytes(48)];
        await pcrExtend(
          client,
          16,
          new Map([
            [TPM_ALG.SHA256, event256],
            [TPM_ALG.SHA384, event384],
          ]),
        );
        expect(encodeHex(await read(TPM_ALG.SHA256))).toBe(
          createHash('sha256').update(new Uint8Array(32)).update(event256).digest('hex'),
        );
        expect(encodeHex(await read(TPM_ALG.SHA384))).toBe(
          createHash('sha384').update(new Uint8Array(48)).update(event384).digest('hex'),
        );
        await pcrReset(client, 16);
        expect((await read(TPM_ALG.SHA384)).every((byte) => byte === 0)).toBe(true);
      });
      it('counts changes of PCR 10, but not of PCR 16 and 23', async () => {
        const counter = async (): Promise<number> =>
          (await pcrRead(client, [{ hashAlgorithm: TPM_ALG.SHA384, indices: [0] }])).updateCounter;
        const event = new Map([[TPM_ALG.SHA384, new Uint8Array(48)]]);
        const start = await counter();
        await pcrExtend(client, 16, event);
        await pcrExtend(client, 23, event);
        expect(await counter()).toBe(start);
        await pcrExtend(client, 10, event);
        expect(await counter()).toBeGreaterThan(start);
      });
      it('keeps to the localities of the PC Client profile', async () => {
        const event = new Map([[TPM_ALG.SHA384, new Uint8Array(48)]]);
        for (const index of [17, 18, 19, 20, 21, 22])
          await refused(pcrExtend(client, index, event), TPM_RC.LOCALITY);
        for (const index of [0, 7, 15, 17, 22])
          await refused(pcrReset(client, index), TPM_RC.LOCALITY);
        await pcrReset(client, 23);
      });
      it('knows no PCR 24', async () => {
        await refused(pcrReset(client, 24), inHandle(TPM_RC.VALUE, 1));
      });
    });

    describe('keys', () => {
      it.each([
        ['endorsement', TPM_RH.ENDORSEMENT],
        ['owner', TPM_RH.OWNER],
        ['null', TPM_RH.NULL],
      ] as const)('makes the same attestation key twice in the %s hierarchy', async (_, parent) => {
        const first = await withKey(parent, AK_TEMPLATE, async (key) => {
          const {
            publicArea,
            name: readName,
            qualifiedName,
          } = await readPublicArea(client, key.handle);
          expect(publicArea).toEqual(key.publicArea);
          expect(encodeHex(readName)).toBe(encodeHex(objectName(key.publicArea)));
          const digest = SHA256(handleName(parent), readName);
          expect(encodeHex(qualifiedName)).toBe(`000b${encodeHex(digest)}`);
          return key;
        });
        const again = await withKey(parent, AK_TEMPLATE, async (key) => key);
        expect(again.publicArea).toEqual(first.publicArea);
        expect(first.publicArea.objectAttributes).toBe(AK_TEMPLATE.objectAttributes);
      });
      it('makes different keys in different hierarchies', async () => {
        const [a, b] = [
          await withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => key),
          await withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => key),
        ];
        expect(encodeHex(a.name)).not.toBe(encodeHex(b.name));
      });
      it('makes the default RSA endorsement key', async () => {
        await withKey(TPM_RH.ENDORSEMENT, RSA_EK_TEMPLATE, async ({ publicArea }) => {
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
          createPrimary(client, TPM_RH.OWNER, { ...AK_TEMPLATE, objectAttributes }),
          inParameter(code, 2),
        );
      });
      it('refuses a restricted signing key without a scheme', async () => {
        await refused(
          createPrimary(client, TPM_RH.OWNER, { ...AK_TEMPLATE, scheme: null }),
          inParameter(TPM_RC.SCHEME, 2),
        );
      });
      it('runs out of room for objects, and says so', async () => {
        const keys: number[] = [];
        try {
          await expect(
            (async () => {
              for (let i = 0; i < 20; i++)
                keys.push((await createPrimary(client, TPM_RH.OWNER, AK_TEMPLATE)).handle);
            })(),
          ).rejects.toMatchObject({ code: 'tpm.no-memory' });
        } finally {
          for (const handle of keys) await flushContext(client, handle);
        }
        expect(keys.length).toBeGreaterThanOrEqual(3);
      });
      it('names handles that are not there', async () => {
        await refused(readPublicArea(client, 0x80000002), TPM_RC.REFERENCE_H0);
        await refused(readPublicArea(client, 0x81000123), inHandle(TPM_RC.HANDLE, 1));
        await refused(flushContext(client, 0x80000002), inParameter(TPM_RC.HANDLE, 1));
      });
      it('keeps a key at a persistent handle and removes it', async () => {
        const persistent = 0x81000042;
        await withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
          await evictControl(client, TPM_RH.OWNER, key, persistent);
          await refused(evictControl(client, TPM_RH.OWNER, key, persistent), TPM_RC.NV_DEFINED);
        });
        const { publicArea, name: persistentName } = await readPublicArea(client, persistent);
        expect(await getHandles(client, 0x81000000)).toContain(persistent);
        const key = { handle: persistent, publicArea, name: persistentName };
        await checkQuote(client, key, PASSWORD_SESSION, randomBytes(16));
        await evictControl(client, TPM_RH.OWNER, key, persistent);
        expect(await getHandles(client, 0x81000000)).not.toContain(persistent);
      });
    });

    describe('quotes', () => {
      it.each([1, 20, 32, 48, 64])('carry a nonce of %i bytes', async (size) => {
        await withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, (key) =>
          checkQuote(client, key, PASSWORD_SESSION, randomBytes(size)),
        );
      });
      it('take no nonce larger than the largest digest with its algorithm', async () => {
        await withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
          await refused(
            quote(client, key, new Uint8Array(67), [allPcrs(TPM_ALG.SHA384)]),
            inParameter(TPM_RC.SIZE, 1),
          );
        });
      });
      it('drop PCRs of banks that are not there', async () => {
        await withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
          const { attest } = await quote(client, key, new Uint8Array(8), [allPcrs(TPM_ALG.SHA1)]);
          const { attested } = decodeAttest(attest);
          if (attested.type !== 'quote') throw new Error('not a quote');
          expect(attested.pcrSelections).toEqual([{ hashAlgorithm: TPM_ALG.SHA1, indices: [] }]);
          expect(encodeHex(attested.pcrDigest)).toBe(encodeHex(SHA256()));
        });
      });
      it('hide the boot counters in the owner hierarchy', async () => {
        const version = async (parent: Parameters<typeof withKey>[0]): Promise<bigint> =>
          withKey(parent, AK_TEMPLATE, async (key) => {
            const { attest } = await quote(client, key, new Uint8Array(8), []);
            return decodeAttest(attest).firmwareVersion;
          });
        const properties = await getProperties(client, TPM_PT.FIRMWARE_VERSION_1, 2);
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
        await withKey(TPM_RH.OWNER, storage, async (key) => {
          await refused(quote(client, key, new Uint8Array(8), []), inHandle(TPM_RC.KEY, 1));
        });
      });
    });

    describe('restricted keys', () => {
      it('sign what the TPM hashed and found harmless', async () => {
        await withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
          const data = randomBytes(40);
          const { digest, ticket } = await hashInTpm(client, data);
          expect(encodeHex(digest)).toBe(encodeHex(SHA256(data)));
          const signature = await signInTpm(client, key, digest, ticket);
          if (signature.type !== 'ecdsa') throw new Error('not ECDSA');
          expect(verify('sha256', data, publicKeyOf(key), ecdsaToDer(signature))).toBe(true);
        });
      });
      it('refuse a digest without a ticket', async () => {
        await withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
          await refused(
            signInTpm(client, key, randomBytes(32), NULL_TICKET),
            inParameter(TPM_RC.TICKET, 3),
          );
        });
      });
      it('refuse to forge what only a TPM may say', async () => {
        await withKey(TPM_RH.ENDORSEMENT, AK_TEMPLATE, async (key) => {
          const { attest } = await quote(client, key, new Uint8Array(8), []);
          const forged = attest.slice();
          forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
          const { digest, ticket } = await hashInTpm(client, forged);
          expect(ticket).toEqual(NULL_TICKET);
          await refused(signInTpm(client, key, digest, ticket), inParameter(TPM_RC.TICKET, 3));
          // Nor with a ticket for something else.
          const other = await hashInTpm(client, randomBytes(8));
          await refused(
            signInTpm(client, key, digest, other.ticket),
            inParameter(TPM_RC.TICKET, 3),
          );
        });
      });
    });

    describe('HMAC sessions', () => {
      it.each([
        ['SHA-256', TPM_ALG.SHA256],
        ['SHA-384', TPM_ALG.SHA384],
        ['SHA-512', TPM_ALG.SHA512],
      ])('with %s authorise keys, quotes and PCRs', async (_, hashAlgorithm) => {
        await withSession(hashAlgorithm, async (session) => {
          const key = await createPrimary(client, TPM_RH.OWNER, AK_TEMPLATE, {
            session,
            encryption: { command: true, response: true },
          });
          try {
            await checkQuote(client, key, session, randomBytes(32));
            await pcrExtend(client, 16, new Map([[TPM_ALG.SHA384, new Uint8Array(48)]]), {
              session,
            });
            await pcrReset(client, 16, { session });
          } finally {
            await flushContext(client, key.handle);
          }
        });
      });
      it('go on after a refused command', async () => {
        await withSession(TPM_ALG.SHA512, async (session) => {
          await refused(pcrReset(client, 0, { session }), TPM_RC.LOCALITY);
          await pcrReset(client, 16, { session });
        });
      });
      it('are refused once they are flushed', async () => {
        const gone = await withSession(TPM_ALG.SHA256, async (session) => session);
        await refused(pcrReset(client, 16, { session: gone }), TPM_RC.REFERENCE_S0);
      });
      it('need an RSA key for the salt', async () => {
        await withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
          await expect(startHmacSession(client, key)).rejects.toMatchObject({
            code: 'tpm.unsupported',
          });
        });
      });
      it('notice a changed answer', async () => {
        await withSession(TPM_ALG.SHA512, async (session) => {
          const key = await createPrimary(client, TPM_RH.OWNER, AK_TEMPLATE, { session });
          await flushContext(client, key.handle);
          const tampering: TpmSession = {
            authorise: (...request) => {
              const real = session.authorise(...request);
              return {
                ...real,
                accept: (auth, parameters) =>
                  real.accept(auth, concatBytes(parameters, new Uint8Array([0]))),
              };
            },
          };
          await expect(pcrReset(client, 16, { session: tampering })).rejects.toMatchObject({
            code: 'tpm.response-forged',
          });
        });
      });
    });

    describe('NV indices', () => {
      it.each([
        ['password', undefined],
        ['HMAC with encrypted parameters', TPM_ALG.SHA512],
      ])('are written and read by %s', async (_, hashAlgorithm) => {
        const data = new Uint8Array(randomBytes(Math.min(2048, tpm.nvIndexMax)));
        const authValue = new Uint8Array(randomBytes(64)).fill(0, 60);
        const area = nvArea(data.length);
        const chunk = await nvBufferSize(client);
        const roundTrip = async (session: TpmSession, encrypted: boolean): Promise<void> => {
          await nvDefineSpace(client, TPM_RH.OWNER, area, authValue, {
            session,
            encryption: { command: encrypted },
          });
          let current = area;
          try {
            const by = { session, authValue };
            current = await nvWrite(client, area, data, Math.min(chunk, 700), {
              ...by,
              encryption: { command: encrypted },
            });
            const { area: found, name: foundName } = await nvReadPublic(client, area.nvIndex);
            expect(found).toEqual(current);
            expect(encodeHex(foundName)).toBe(encodeHex(nvName(current)));
            const read = await nvRead(client, current, 1, data.length - 1, Math.min(chunk, 512), {
              ...by,
              encryption: { response: encrypted },
            });
            expect(encodeHex(read)).toBe(encodeHex(data.subarray(1)));
          } finally {
            await nvUndefineSpace(client, TPM_RH.OWNER, current, { session });
          }
        };
        if (hashAlgorithm === undefined) await roundTrip(PASSWORD_SESSION, false);
        else await withSession(hashAlgorithm, (session) => roundTrip(session, true));
      });
      it('cannot be read before they are written', async () => {
        const area = nvArea(64);
        await withIndex(area, new Uint8Array(0), async () => {
          await refused(
            nvRead(client, area, 0, 8, 8, { session: PASSWORD_SESSION }),
            TPM_RC.NV_UNINITIALIZED,
          );
        });
      });
      it('end where they end', async () => {
        const area = nvArea(64);
        await withIndex(area, new Uint8Array(0), async () => {
          await refused(
            nvWrite(client, area, new Uint8Array(65), 128, { session: PASSWORD_SESSION }),
            TPM_RC.NV_RANGE,
          );
          const current = await nvWrite(client, area, new Uint8Array(64), 64, {
            session: PASSWORD_SESSION,
          });
          await refused(
            nvRead(client, current, 60, 5, 5, { session: PASSWORD_SESSION }),
            TPM_RC.NV_RANGE,
          );
        });
      });
      it('are defined once', async () => {
        const area = nvArea(16);
        await withIndex(area, new Uint8Array(0), async () => {
          await refused(
            nvDefineSpace(client, TPM_RH.OWNER, area, new Uint8Array(0)),
            TPM_RC.NV_DEFINED,
          );
        });
      });
      it('refuse a wrong authorisation value, by password and by HMAC', async () => {
        const area = nvArea(16);
        const wrong = new Uint8Array([1, 2, 3]);
        await withIndex(area, new Uint8Array([1, 2, 4]), async () => {
          const write = (session: TpmSession): Promise<unknown> =>
            nvWrite(client, area, new Uint8Array(4), 64, { session, authValue: wrong });
          await expect(write(PASSWORD_SESSION)).rejects.toMatchObject({ code: 'tpm.auth-failed' });
          await withSession(TPM_ALG.SHA256, async (session) => {
            await expect(write(session)).rejects.toMatchObject({ code: 'tpm.auth-failed' });
          });
        });
      });
      it('are no larger than the TPM allows', async () => {
        await refused(
          nvDefineSpace(client, TPM_RH.OWNER, nvArea(tpm.nvIndexMax + 1), new Uint8Array(0)),
          inParameter(TPM_RC.SIZE, 2),
        );
      });
      it('are missed by name', async () => {
        await refused(nvReadPublic(client, 0x01800777), inHandle(TPM_RC.HANDLE, 1));
      });
      it('obey their attributes', async () => {
        const area = {
          ...nvArea(16),
          attributes: TPMA_NV.OWNERWRITE | TPMA_NV.OWNERREAD | TPMA_NV.NO_DA,
        };
        await withIndex(area, new Uint8Array(0), async () => {
          await expect(
            nvWrite(client, area, new Uint8Array(4), 64, { session: PASSWORD_SESSION }),
          ).rejects.toBeInstanceOf(TpmResponseError);
        });
      });
    });

    describe('errors', () => {
      it('of unknown commands', async () => {
        await refused(client.execute({ code: 0x1fe }), TPM_RC.COMMAND_CODE);
      });
      it('of missing authorisation', async () => {
        await refused(
          client.execute({ code: TPM_CC.PCR_Reset, handles: [16] }),
          TPM_RC.AUTH_MISSING,
        );
      });
      it('of parameters that end early or go on', async () => {
        await refused(
          client.execute({ code: TPM_CC.GetRandom, parameters: new Uint8Array(1) }),
          inParameter(TPM_RC.INSUFFICIENT, 1),
        );
        await refused(
          client.execute({ code: TPM_CC.GetRandom, parameters: new Uint8Array(3) }),
          TPM_RC.SIZE,
        );
      });
      it('of capabilities that do not exist', async () => {
        await refused(
          client.execute({
            code: TPM_CC.GetCapability,
            parameters: written((writer) => writer.u32(0x77).u32(0).u32(1)),
          }),
          inParameter(TPM_RC.VALUE, 1),
        );
      });
      it('of a second start', async () => {
        await refused(
          client.execute({ code: TPM_CC.Startup, parameters: new Uint8Array(2) }),
          TPM_RC.INITIALIZE,
        );
      });
    });
  });
}

async function listHandles(client: TpmClient): Promise<number[]> {
  const lists: number[][] = [];
  for (const type of HANDLE_TYPES) lists.push(await getHandles(client, type));
  return lists.flat();
}

/** The command must be refused with exactly this response code. */
async function refused(work: Promise<unknown>, responseCode: number): Promise<void> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TpmResponseError)) throw error;
  expect(`0x${error.responseCode.toString(16)}`).toBe(`0x${responseCode.toString(16)}`);
}

/** Quotes the SHA-384 bank and checks everything about the quote with node:crypto. */
async function checkQuote(
  client: TpmClient,
  key: LoadedKey,
  session: TpmSession,
  nonce: Uint8Array,
): Promise<void> {
  const selection = allPcrs(TPM_ALG.SHA384);
  const { attest, signature } = await quote(client, key, nonce, [selection], { session });
  const { values } = await readPcrs(client, selection);
  const { attested, extraData, qualifiedSigner } = decodeAttest(attest);
  const { qualifiedName } = await readPublicArea(client, key.handle);
  expect(encodeHex(qualifiedSigner)).toBe(encodeHex(qualifiedName));
  expect(encodeHex(extraData)).toBe(encodeHex(nonce));
  if (attested.type !== 'quote' || signature.type !== 'ecdsa') throw new Error('not a quote');
  expect(attested.pcrSelections).toEqual([selection]);
  expect(encodeHex(attested.pcrDigest)).toBe(encodeHex(SHA256(...values.values())));
  expect(verify('sha256', attest, publicKeyOf(key), ecdsaToDer(signature))).toBe(true);
}

function publicKeyOf({ publicArea }: LoadedKey): ReturnType<typeof createPublicKey> {
  if (publicArea.type !== 'ecc') throw new Error('not an ECC key');
  return createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: encodeBase64Url(publicArea.x),
      y: encodeBase64Url(publicArea.y),
    },
  });
}
