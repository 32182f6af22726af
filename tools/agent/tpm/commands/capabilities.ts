import type { ByteReader } from 'tee-verify/bytes';
import { TPM_CAP, TPM_CC } from '../constants.js';
import { type PcrSelection, readPcrSelections } from '../pcr-selection.js';
import { hexNumber, readList, readStructure, refuse, written } from '../read-structure.js';
import type { TpmClient } from '../tpm-client.js';
import { readYesNo } from '../tpms-attest.js';

// A TPM returns what fits into MAX_CAP_BUFFER; nothing has more entries than this.
const MAX_CALLS = 64;
const MAX_ITEMS = 1024;

/** An algorithm that a TPM has, with TPMA_ALGORITHM. */
export interface AlgorithmProperty {
  readonly algorithm: number;
  readonly attributes: number;
}

/** TPM properties from `first` on, e.g. 0x100 for the fixed and 0x200 for the variable ones. */
export async function getProperties(
  client: TpmClient,
  first: number,
  count = 64,
): Promise<Map<number, number>> {
  const pairs = await listCapability(
    client,
    TPM_CAP.TPM_PROPERTIES,
    first,
    count,
    (reader) => [reader.u32('property'), reader.u32('value')] as const,
    ([property]) => property + 1,
  );
  return new Map(pairs);
}

/** One TPM property, or undefined when the TPM does not have it. */
export async function getProperty(
  client: TpmClient,
  property: number,
): Promise<number | undefined> {
  return (await getProperties(client, property, 1)).get(property);
}

/** All handles of the kind that the first byte of `first` names, from `first` on, ascending. */
export async function getHandles(client: TpmClient, first: number): Promise<number[]> {
  return listCapability(
    client,
    TPM_CAP.HANDLES,
    first,
    MAX_ITEMS,
    (reader) => reader.u32('handle'),
    (handle) => handle + 1,
  );
}

/** The commands that a TPM has, as TPMA_CC (bits 0 to 15 the index, bit 29 vendor). */
export async function getCommands(client: TpmClient, first = 0): Promise<number[]> {
  return listCapability(
    client,
    TPM_CAP.COMMANDS,
    first,
    MAX_ITEMS,
    (reader) => reader.u32('command'),
    // The next command code: index and the vendor bit, without the attributes.
    (attributes) => ((attributes & 0x2000ffff) >>> 0) + 1,
  );
}

/** The algorithms that a TPM has. */
export async function getAlgorithms(client: TpmClient): Promise<AlgorithmProperty[]> {
  return listCapability(
    client,
    TPM_CAP.ALGS,
    0,
    MAX_ITEMS,
    (reader) => ({ algorithm: reader.u16('algorithm'), attributes: reader.u32('attributes') }),
    ({ algorithm }) => algorithm + 1,
  );
}

/** The PCR banks: those that are not allocated are missing or have no PCRs. */
export async function getPcrBanks(client: TpmClient): Promise<PcrSelection[]> {
  const { value } = await getCapability(client, TPM_CAP.PCRS, 0, 1, readPcrSelections);
  return value;
}

async function listCapability<T>(
  client: TpmClient,
  capability: number,
  first: number,
  count: number,
  readItem: (reader: ByteReader) => T,
  nextAfter: (item: T) => number,
): Promise<T[]> {
  const items: T[] = [];
  let property = first;
  for (let call = 0; call < MAX_CALLS && items.length < count; call++) {
    const { more, value } = await getCapability(
      client,
      capability,
      property,
      count - items.length,
      (reader) => readList(reader, 'capability', MAX_ITEMS, readItem),
    );
    items.push(...value);
    const last = value.at(-1);
    if (!more || last === undefined) break;
    property = nextAfter(last);
  }
  return items;
}

/** TPM2_GetCapability (Part 3, 30.2). */
async function getCapability<T>(
  client: TpmClient,
  capability: number,
  property: number,
  count: number,
  read: (reader: ByteReader) => T,
): Promise<{ more: boolean; value: T }> {
  const { parameters } = await client.execute({
    code: TPM_CC.GetCapability,
    parameters: written((writer) => writer.u32(capability).u32(property).u32(count)),
  });
  return readStructure(
    parameters,
    'GetCapability response',
    (reader) => {
      const more = readYesNo(reader, 'moreData');
      const kind = reader.u32('capability');
      if (kind !== capability) refuse(reader, 'capability', hexNumber(capability), hexNumber(kind));
      return { more, value: read(reader) };
    },
    'tpm.response-malformed',
  );
}
