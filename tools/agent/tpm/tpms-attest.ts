import type { ByteReader, Bytes, ByteWriter } from 'tee-verify/bytes';
import { copyBytes } from 'tee-verify/bytes';
import { TPM_GENERATED_VALUE, TPM_ST } from './constants.js';
import { type PcrSelection, readPcrSelections, writePcrSelections } from './pcr-selection.js';
import { hexNumber, readStructure, refuse, written } from './read-structure.js';

/** TPMS_CLOCK_INFO (Part 2, 10.11.1). */
export interface ClockInfo {
  /** Milliseconds of operation since the last clear. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
}

/** What a quote attests (TPMS_QUOTE_INFO). */
export interface QuoteInfo {
  readonly type: 'quote';
  readonly pcrSelections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** What a certification attests (TPMS_CERTIFY_INFO). */
export interface CertifyInfo {
  readonly type: 'certify';
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** TPMS_ATTEST (Part 2, 10.12.8): what a restricted key signs about its own TPM. */
export interface TpmsAttest {
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  readonly firmwareVersion: bigint;
  readonly attested: QuoteInfo | CertifyInfo;
}

/** The bytes of a TPMS_ATTEST, starting ff544347. */
export function encodeAttest(attest: TpmsAttest): Bytes {
  return written((writer) => writeAttest(writer, attest));
}

/** Reads a TPMS_ATTEST. @throws ToolError `tpm.structure-invalid` */
export function decodeAttest(bytes: Uint8Array): TpmsAttest {
  return readStructure(bytes, 'TPMS_ATTEST', readAttest);
}

function writeAttest(writer: ByteWriter, attest: TpmsAttest): ByteWriter {
  const { attested, clockInfo } = attest;
  writer
    .u32(TPM_GENERATED_VALUE)
    .u16(attested.type === 'quote' ? TPM_ST.ATTEST_QUOTE : TPM_ST.ATTEST_CERTIFY)
    .sized16(attest.qualifiedSigner)
    .sized16(attest.extraData)
    .u64(clockInfo.clock)
    .u32(clockInfo.resetCount)
    .u32(clockInfo.restartCount)
    .u8(clockInfo.safe ? 1 : 0)
    .u64(attest.firmwareVersion);
  if (attested.type === 'quote')
    return writePcrSelections(writer, attested.pcrSelections).sized16(attested.pcrDigest);
  return writer.sized16(attested.name).sized16(attested.qualifiedName);
}

function readAttest(reader: ByteReader): TpmsAttest {
  const magic = reader.u32('magic');
  if (magic !== TPM_GENERATED_VALUE) refuse(reader, 'magic', '0xff544347', hexNumber(magic, 8));
  const type = reader.u16('type');
  if (type !== TPM_ST.ATTEST_QUOTE && type !== TPM_ST.ATTEST_CERTIFY)
    refuse(reader, 'type', 'a quote (0x8018) or certification (0x8017)', hexNumber(type));
  const common = {
    qualifiedSigner: copyBytes(reader.sized16('qualifiedSigner', 66)),
    extraData: copyBytes(reader.sized16('extraData', 66)),
    clockInfo: {
      clock: reader.u64('clock'),
      resetCount: reader.u32('resetCount'),
      restartCount: reader.u32('restartCount'),
      safe: readYesNo(reader, 'safe'),
    },
    firmwareVersion: reader.u64('firmwareVersion'),
  };
  if (type === TPM_ST.ATTEST_QUOTE)
    return {
      ...common,
      attested: {
        type: 'quote',
        pcrSelections: readPcrSelections(reader),
        pcrDigest: copyBytes(reader.sized16('pcrDigest', 64)),
      },
    };
  return {
    ...common,
    attested: {
      type: 'certify',
      name: copyBytes(reader.sized16('name', 66)),
      qualifiedName: copyBytes(reader.sized16('qualifiedName', 66)),
    },
  };
}

/** TPMI_YES_NO: 0 or 1 (Part 2, 9.2). */
export function readYesNo(reader: ByteReader, field: string): boolean {
  const value = reader.u8(field);
  if (value > 1) refuse(reader, field, '0 or 1', `${value}`);
  return value === 1;
}
