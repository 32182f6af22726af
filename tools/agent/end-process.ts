import { EXIT } from '../common/command-line.js';
import { pendingDeviceOperations } from './transport/device-transport.js';

/** Ends the process even when a thread of it waits for a device that stays silent. */
export function endNow(): void {
  if (pendingDeviceOperations() > 0) process.kill(process.pid, 'SIGKILL');
  process.exit(EXIT.interrupted);
}

/** At the end of a command: a thread that waits for a silent device would keep the process alive. */
export function letGoOfDevices(): void {
  if (pendingDeviceOperations() > 0)
    process.stderr.write('', () => process.kill(process.pid, 'SIGKILL'));
}
