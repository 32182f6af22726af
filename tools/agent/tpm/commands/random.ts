import { type Bytes, copyBytes } from 'tee-verify/bytes';
import { TPM_CC } from '../constants.js';
import { readStructure, refuse, written } from '../read-structure.js';
import type { TpmClient } from '../tpm-client.js';

/** TPM2_GetRandom (Part 3, 16.1); a TPM returns at most its largest digest, so ask for 1..48. */
export async function getRandom(client: TpmClient, byteCount: number): Promise<Bytes> {
  const { parameters } = await client.execute({
    code: TPM_CC.GetRandom,
    parameters: written((writer) => writer.u16(byteCount)),
  });
  return readStructure(
    parameters,
    'GetRandom response',
    (reader) => {
      const bytes = copyBytes(reader.sized16('randomBytes', 64));
      if (bytes.length > byteCount)
        refuse(reader, 'randomBytes', `at most ${byteCount}`, `${bytes.length}`);
      return bytes;
    },
    'tpm.response-malformed',
  );
}
