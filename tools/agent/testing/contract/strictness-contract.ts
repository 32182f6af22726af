import { describe, expect, it } from 'vitest';
import { createPrimary, flushContext, type Hierarchy } from '../../tpm/commands/keys.js';
import { nvDefineSpace, nvUndefineSpace } from '../../tpm/commands/nv.js';
import { TPM_ALG, TPM_CC, TPM_RH, TPMA_NV } from '../../tpm/constants.js';
import { written } from '../../tpm/read-structure.js';
import { inHandle, inParameter, inSession, TPM_RC } from '../../tpm/response-code.js';
import { PASSWORD_SESSION, type TpmSession } from '../../tpm/session.js';
import { AK_TEMPLATE, RSA_EK_TEMPLATE, writePublic } from '../../tpm/tpmt-public.js';
import { hashInTpm, NULL_TICKET } from '../raw-commands.js';
import { refused } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** A password session with these attributes. */
const withAttributes = (attributes: number): TpmSession => ({
  authorise: (...request) => {
    const real = PASSWORD_SESSION.authorise(...request);
    return { ...real, auth: { ...real.auth, attributes } };
  },
});

/** What every TPM refuses. The mistake: a client that only a lenient simulator understands. */
export function strictnessContract(bench: ContractBench): void {
  describe('is strict about', () => {
    describe('the size of PCR selections', () => {
      const selection = (size: number): Uint8Array =>
        written((writer) =>
          writer.u32(1).u16(TPM_ALG.SHA384).u8(size).bytes(new Uint8Array(size).fill(0)),
        );
      const read = (size: number): Promise<unknown> =>
        bench.client.execute({ code: TPM_CC.PCR_Read, parameters: selection(size) });
      it.each([0, 1, 2, 4, 5, 255])('%i in PCR_Read', async (size) => {
        await refused(read(size), inParameter(TPM_RC.VALUE, 1));
      });
      it('3 in PCR_Read, which is right', async () => {
        await read(3);
      });
      it.each([0, 2, 4])('%i in Quote', async (size) => {
        await bench.withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
          await refused(
            bench.client.execute({
              code: TPM_CC.Quote,
              handles: [key.handle],
              names: [key.name],
              authorisation: { session: PASSWORD_SESSION },
              parameters: written((writer) =>
                writer.sized16(new Uint8Array(0)).u16(TPM_ALG.NULL).bytes(selection(size)),
              ),
            }),
            inParameter(TPM_RC.VALUE, 3),
          );
        });
      });
      it.each([0, 2, 4])('%i in CreatePrimary', async (size) => {
        await refused(
          bench.client.execute({
            code: TPM_CC.CreatePrimary,
            handles: [TPM_RH.OWNER],
            authorisation: { session: PASSWORD_SESSION },
            parameters: written((writer) =>
              writer
                .sized16(written((inner) => inner.u16(0).u16(0)))
                .sized16(written((inner) => writePublic(inner, AK_TEMPLATE)))
                .u16(0)
                .bytes(selection(size)),
            ),
            returnsHandle: true,
          }),
          inParameter(TPM_RC.VALUE, 4),
        );
      });
      it('an unknown hash before the size', async () => {
        await refused(
          bench.client.execute({
            code: TPM_CC.PCR_Read,
            parameters: written((writer) => writer.u32(1).u16(0x99).u8(4).u32(0)),
          }),
          inParameter(TPM_RC.HASH, 1),
        );
      });
    });

    it.each([0x08, 0x10, 0x18])('reserved bits %i of a session', async (bits) => {
      await refused(
        bench.client.execute({
          code: TPM_CC.PCR_Extend,
          handles: [16],
          authorisation: { session: withAttributes(bits) },
          parameters: new Uint8Array(4),
        }),
        inSession(TPM_RC.RESERVED_BITS, 1),
      );
    });

    it.each([8, 9, 20, 21, 22, 23, 24])('reserved bit %i of an NV index', async (bit) => {
      await refused(
        nvDefineSpace(bench.client, TPM_RH.OWNER, bench.nvArea(16, 1 << bit), new Uint8Array(0)),
        inParameter(TPM_RC.RESERVED_BITS, 2),
      );
    });

    it.each([
      ['POLICY_DELETE', TPMA_NV.POLICY_DELETE],
      ['WRITELOCKED', TPMA_NV.WRITELOCKED],
      ['READLOCKED', TPMA_NV.READLOCKED],
      ['WRITTEN', TPMA_NV.WRITTEN],
    ])('%s of an NV index of the owner', async (_, bit) => {
      await refused(
        nvDefineSpace(bench.client, TPM_RH.OWNER, bench.nvArea(16, bit), new Uint8Array(0)),
        inParameter(TPM_RC.ATTRIBUTES, 2),
      );
    });

    it('who creates an NV index', async () => {
      const create = (by: Hierarchy, attributes: number): Promise<unknown> =>
        nvDefineSpace(bench.client, by, bench.nvArea(16, attributes), new Uint8Array(0));
      const refusal = inHandle(TPM_RC.ATTRIBUTES, 1);
      await refused(create(TPM_RH.OWNER, TPMA_NV.PLATFORMCREATE), refusal);
      await refused(create(TPM_RH.PLATFORM, 0), refusal);
    });

    it.each([0, 3, 8, 9, 12, 13, 14, 15, 20, 24, 28, 30])(
      'reserved bit %i of a key',
      async (bit) => {
        const objectAttributes = AK_TEMPLATE.objectAttributes | (1 << bit);
        await refused(
          createPrimary(bench.client, TPM_RH.OWNER, { ...AK_TEMPLATE, objectAttributes }),
          inParameter(TPM_RC.RESERVED_BITS, 2),
        );
      },
    );

    describe('the size of a policy', () => {
      it.each([1, 5, 20, 31, 33, 48])('%i bytes of a key named by SHA-256', async (size) => {
        const authPolicy = new Uint8Array(size).fill(1);
        for (const template of [AK_TEMPLATE, RSA_EK_TEMPLATE])
          await refused(
            createPrimary(bench.client, TPM_RH.OWNER, { ...template, authPolicy }),
            inParameter(TPM_RC.SIZE, 2),
          );
      });
      it('32 bytes of a key named by SHA-256, which is right', async () => {
        const authPolicy = new Uint8Array(32).fill(1);
        const key = await createPrimary(bench.client, TPM_RH.OWNER, { ...AK_TEMPLATE, authPolicy });
        await flushContext(bench.client, key.handle);
      });
      it.each([1, 32, 63])('%i bytes of an NV index named by SHA-512', async (size) => {
        const area = { ...bench.nvArea(16), authPolicy: new Uint8Array(size).fill(1) };
        await refused(
          nvDefineSpace(bench.client, TPM_RH.OWNER, area, new Uint8Array(0)),
          inParameter(TPM_RC.SIZE, 2),
        );
      });
      it('64 bytes of an NV index named by SHA-512, which is right', async () => {
        const area = { ...bench.nvArea(16), authPolicy: new Uint8Array(64).fill(1) };
        await nvDefineSpace(bench.client, TPM_RH.OWNER, area, new Uint8Array(0));
        await nvUndefineSpace(bench.client, TPM_RH.OWNER, area);
      });
    });

    it.each([TPM_RH.LOCKOUT, TPM_RH.RS_PW, 0x40000005, 0, 0x80000000])(
      'the hierarchy of Hash: not %i',
      async (hierarchy) => {
        await refused(
          bench.client.execute({
            code: TPM_CC.Hash,
            parameters: written((writer) =>
              writer.sized16(new Uint8Array(8)).u16(TPM_ALG.SHA256).u32(hierarchy),
            ),
          }),
          inParameter(TPM_RC.VALUE, 3),
        );
      },
    );
    // The attacker: has data hashed that starts as only a TPM's own words do. Less than that
    // start is harmless: Hash takes all its data at once (Part 3, 15.4).
    it.each([
      ['nothing', [], true],
      ['1 byte of TPM_GENERATED', [0xff], true],
      ['3 bytes of TPM_GENERATED', [0xff, 0x54, 0x43], true],
      ['4 other bytes', [0xff, 0x54, 0x43, 0x48], true],
      ['TPM_GENERATED alone', [0xff, 0x54, 0x43, 0x47], false],
      ['TPM_GENERATED and more', [0xff, 0x54, 0x43, 0x47, 0x80, 0x18], false],
    ])('tickets for %s', async (_, data, isSafe) => {
      const { ticket } = await hashInTpm(bench.client, new Uint8Array(data));
      if (isSafe) expect(ticket.hierarchy).toBe(TPM_RH.ENDORSEMENT);
      else expect(ticket).toEqual(NULL_TICKET);
      expect(ticket.digest.length > 0).toBe(isSafe);
    });
  });
}
