import { createHash } from 'node:crypto';
import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { asciiBytes, concatBytes } from '../../src/bytes/bytes.js';

const SHA384 = 0x000c;
const EV_NO_ACTION = 3;
const EV_IPL = 0x0d;

/** A crypto-agile event log with one SHA-384 bank: each text extends its PCR. */
export function makeEventLog(
  events: readonly (readonly [pcr: number, text: string])[],
): Uint8Array {
  const specId = new ByteWriter('little').bytes(asciiBytes('Spec ID Event03\0')).u32(0);
  specId.u8(0).u8(2).u8(0).u8(2).u32(1).u16(SHA384).u16(48).u8(0);
  const header = specId.finish();
  const log = new ByteWriter('little').u32(0).u32(EV_NO_ACTION).bytes(new Uint8Array(20));
  log.u32(header.length).bytes(header);
  for (const [pcr, text] of events) {
    const data = asciiBytes(text);
    log.u32(pcr).u32(EV_IPL).u32(1).u16(SHA384).bytes(sha384(data));
    log.u32(data.length).bytes(data);
  }
  return log.finish();
}

/** What these events leave in one PCR. */
export function replayOf(
  events: readonly (readonly [pcr: number, text: string])[],
  wanted: number,
): Uint8Array {
  let value: Uint8Array = new Uint8Array(48);
  for (const [pcr, text] of events)
    if (pcr === wanted) value = sha384(concatBytes(value, sha384(asciiBytes(text))));
  return value;
}

function sha384(data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha384').update(data).digest());
}
