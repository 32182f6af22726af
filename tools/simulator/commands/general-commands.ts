import { randomBytes } from 'node:crypto';
import { TPM_CC, TPM_SU } from '../../agent/tpm/constants.js';
import { readList, written } from '../../agent/tpm/read-structure.js';
import { TPM_RC } from '../../agent/tpm/response-code.js';
import type { SimulatedCommand } from '../command-context.js';
import { fail } from '../tpm-failure.js';

const LARGEST_DIGEST = 64;

function command(code: number, run: SimulatedCommand['run']): SimulatedCommand {
  return { code, handles: 0, authorised: 0, run };
}

export const GENERAL_COMMANDS: readonly SimulatedCommand[] = [
  command(TPM_CC.Startup, ({ state, parameters }) => {
    const type = parameters.next((reader) => reader.u16('startupType'));
    parameters.end();
    if (state.started) fail(TPM_RC.INITIALIZE);
    // Nothing was saved by a shutdown: only a clean start is possible.
    if (type !== TPM_SU.CLEAR) parameters.fail(TPM_RC.VALUE);
    state.started = true;
    return {};
  }),
  command(TPM_CC.Shutdown, ({ parameters }) => {
    const type = parameters.next((reader) => reader.u16('shutdownType'));
    parameters.end();
    return type > TPM_SU.STATE ? parameters.fail(TPM_RC.VALUE) : {};
  }),
  command(TPM_CC.SelfTest, ({ parameters }) => {
    const full = parameters.next((reader) => reader.u8('fullTest'));
    parameters.end();
    return full > 1 ? parameters.fail(TPM_RC.VALUE) : {};
  }),
  command(TPM_CC.IncrementalSelfTest, ({ parameters }) => {
    parameters.next((reader) => readList(reader, 'toTest', 128, (item) => item.u16('algorithm')));
    parameters.end();
    return { parameters: written((writer) => writer.u32(0)) };
  }),
  command(TPM_CC.GetTestResult, ({ parameters }) => {
    parameters.end();
    return { parameters: written((writer) => writer.u16(0).u32(0)) };
  }),
  command(TPM_CC.GetRandom, ({ parameters }) => {
    const count = parameters.next((reader) => reader.u16('bytesRequested'));
    parameters.end();
    const bytes = new Uint8Array(randomBytes(Math.min(count, LARGEST_DIGEST)));
    return { parameters: written((writer) => writer.sized16(bytes)) };
  }),
  command(TPM_CC.StirRandom, ({ parameters }) => {
    parameters.next((reader) => reader.sized16('inData', 128));
    parameters.end();
    return {};
  }),
  command(TPM_CC.ReadClock, ({ state, parameters }) => {
    parameters.end();
    const clock = BigInt(state.clockMs());
    return {
      parameters: written((writer) =>
        writer.u64(clock).u64(clock).u32(state.resetCount).u32(state.restartCount).u8(1),
      ),
    };
  }),
];
