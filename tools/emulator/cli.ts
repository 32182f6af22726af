import { X509Certificate } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { onInterrupt, readInput, reportError, tolerateClosedPipe } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import { wholeNumber } from '../common/whole-number.js';
import { SnapshotStore } from './ebs-snapshots.js';
import { startEmulator } from './emulator.js';
import { SERVICES } from './services.js';

interface Flags {
  readonly port: number;
  readonly folder?: string;
  readonly root?: readonly string[];
  readonly throttle: number;
  readonly reset: number;
  readonly corrupt: number;
  readonly slow: number;
  readonly seed: number;
}

const MAX_ROOT_BYTES = 16_384;

const program = new Command('emulator')
  .description('Serve what tee-ami and tee-kms need of AWS, on loopback, to try things out')
  .option('--port <n>', 'where to listen; 0 is any free port', wholeNumber(0, 65_535), 4599)
  .option('--folder <dir>', 'keep snapshots as files there (default: in memory)')
  .option(
    '--root <pem...>',
    "roots of attestation documents (default: AWS's); tee-simulator has one",
  )
  .option('--throttle <rate>', 'share of requests that are throttled, 0 to 1', rate, 0)
  .option('--reset <rate>', 'share of connections that are cut', rate, 0)
  .option('--corrupt <rate>', 'share of acknowledgements with a wrong checksum', rate, 0)
  .option('--slow <rate>', 'share of answers that take half a second', rate, 0)
  .option('--seed <n>', 'the same seed gives the same faults', wholeNumber(0, 2 ** 31), 1)
  .addHelpText(
    'after',
    `
Services:
${SERVICES.map(({ name, summary }) => `  ${name.padEnd(4)} ${summary}`).join('\n')}

It checks the form of requests and every checksum, not who signed them. Nothing leaves this
machine. Ctrl-C ends it.

Example:
  npm run emulator -- --throttle 0.2 --reset 0.05
  AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any \\
    tee-ami create image.raw --region eu-west-1 --endpoint http://127.0.0.1:4599

KMS knows two callers: AWS_ACCESS_KEY_ID=admin is arn:aws:iam::111122223333:role/admin, whom IAM
allows everything; app is …:role/app, whom only a key policy can allow something (docs/kms.md).`,
  )
  .action(serve)
  .exitOverride();

async function serve({ port, folder, root = [], ...faults }: Flags): Promise<void> {
  const store = new SnapshotStore(folder === undefined ? {} : { folder });
  const roots = await Promise.all(root.map(readRoot));
  const services = await Promise.all(SERVICES.map(({ create }) => create({ store, roots })));
  const server = await startEmulator({ services, faults, port });
  process.stdout.write(`${server.url}\n`);
  await new Promise<void>((resolve) => {
    onInterrupt(resolve);
  });
  await server.close();
}

async function readRoot(path: string): Promise<Uint8Array> {
  const pem = await readInput(path, MAX_ROOT_BYTES);
  try {
    return new Uint8Array(new X509Certificate(pem).raw);
  } catch (cause) {
    throw new ToolError('usage.option-invalid', {
      expected: 'a certificate',
      actual: path,
      cause,
    });
  }
}

function rate(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('Expected a number of 0 to 1.');
  return value;
}

tolerateClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError('emulator', error);
}
