/**
 * What an upload costs, compared with what reading, hashing and HTTP alone cost: the same blocks over
 * as many connections to the same server, without the AWS SDK, without retries, without a state file.
 * Also: a sparse image against its data alone, both from the disk, and the memory of an upload.
 * On a busy machine the processor's time says more than the clock's. Needs a build.
 * Usage: node tools/ami/upload.bench.mjs [megabytes] [rounds]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BLOCK = 524_288;
const CONCURRENCY = 64;
const megabytes = Number(process.argv[2] ?? 300) || 300;
const rounds = Number(process.argv[3] ?? 5) || 5;
/** Alone, the number is counted in the image. */
const blocks =
  process.argv[2] === 'alone'
    ? Math.ceil(statSync(process.argv[3]).size / BLOCK)
    : Math.ceil((megabytes * 1e6) / BLOCK);
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = ['alone', 'serve'].includes(process.argv[2])
  ? ''
  : mkdtempSync(join(tmpdir(), 'tee-ami-bench-'));
const environment = {
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_SECRET_ACCESS_KEY: 'bench',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_REGION: 'eu-west-1',
};

const UPLOAD = `
import { readFileSync } from 'node:fs';
import { createAmi, deleteAmi } from './tools/dist/ami.js';
const [image, endpoint, stateFile] = process.argv.slice(1);
let started, ended, before, after;
const { imageId } = await createAmi({
  image, endpoint, stateFile, name: 'bench', concurrency: ${CONCURRENCY}, pollMs: 5,
  onProgress: ({ doing }) => {
    if (doing === 'uploading') {
      started ??= performance.now();
      before ??= process.cpuUsage();
    }
    if (doing === 'completing') {
      ended ??= performance.now();
      after ??= process.cpuUsage(before);
    }
  },
});
await deleteAmi({ id: imageId, endpoint });
console.log(JSON.stringify({ ms: ended - started, cpuMs: (after.user + after.system) / 1000, memory: /VmHWM:\\s*(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1] / 1024 }));
`;

if (process.argv[2] === 'alone') {
  const [, , , image, url] = process.argv;
  console.log(JSON.stringify(await timed(() => sendAlone(image, url))));
  process.exit();
}
if (process.argv[2] === 'serve') {
  await serve();
  await new Promise(() => {});
}
const emulator = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const url = await new Promise((resolve) => {
    emulator.stdout.once('data', (data) => resolve(String(data).trim()));
  });
  const dense = makeImage('dense.raw', blocks * BLOCK, (i) => i);
  // The same amount of data, spread over 4 GiB of holes.
  const stride = Math.floor((4 * 2 ** 30) / BLOCK / blocks);
  const sparse = makeImage('sparse.raw', 4 * 2 ** 30, (i) => i * stride);
  const times = {
    alone: [],
    dense: [],
    sparse: [],
    aloneCpu: [],
    denseCpu: [],
    share: [],
    holes: [],
  };
  let memory = 0;
  for (let round = 0; round <= rounds; round++) {
    const alone = runAlone(dense, url);
    const denseUpload = upload(dense, url);
    const sparseUpload = upload(sparse, url);
    forgetPages(dense);
    const coldUpload = upload(dense, url);
    memory = Math.max(memory, denseUpload.memory, sparseUpload.memory);
    if (round === 0) continue; // warming up
    times.alone.push(alone.ms);
    times.dense.push(denseUpload.ms);
    times.sparse.push(sparseUpload.ms);
    times.aloneCpu.push(alone.cpuMs);
    times.denseCpu.push(denseUpload.cpuMs);
    // One after the other: a machine that is slow for a while is so for both.
    times.share.push(alone.ms / denseUpload.ms);
    times.holes.push(sparseUpload.ms / coldUpload.ms);
  }
  const [alone, denseMs, sparseMs] = [times.alone, times.dense, times.sparse].map(median);
  const [aloneCpu, denseCpu] = [times.aloneCpu, times.denseCpu].map(median);
  const rate = (ms) => `${ms.toFixed(0)} ms (${((blocks * BLOCK) / 1e3 / ms).toFixed(0)} MB/s)`;
  console.log(`reading, hashing and HTTP alone: ${rate(alone)}`);
  console.log(`upload: ${rate(denseMs)}, ${percents(times.share)} of that rate`);
  console.log(
    `processor time of a block: ${(aloneCpu / blocks).toFixed(2)} ms alone, ${(denseCpu / blocks).toFixed(2)} ms in an upload (${((100 * aloneCpu) / denseCpu).toFixed(0)} %)`,
  );
  console.log(
    `the same data in 4 GiB of holes: ${rate(sparseMs)}, ${percents(times.holes)} of the time without holes, both from the disk`,
  );
  console.log(`memory of an upload: ${memory.toFixed(0)} MiB at most`);
} finally {
  emulator.kill();
  rmSync(folder, { recursive: true });
}

/** An image whose i-th data block stands at `place(i)`. */
function makeImage(name, bytes, place) {
  const path = join(folder, name);
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  const block = Buffer.alloc(BLOCK);
  for (let i = 0; i < blocks; i++) {
    randomFillSync(block);
    if (i === 0) block.writeUInt16LE(0xaa55, 510);
    writeSync(file, block, 0, BLOCK, place(i) * BLOCK);
  }
  closeSync(file);
  return path;
}

/** The emulator; it forgets each block, so that its memory is not what is measured. */
async function serve() {
  const module = (name) => import(join(root, `build/tools/emulator/${name}.js`));
  const { SnapshotStore } = await module('ebs-snapshots');
  const store = new (class extends SnapshotStore {
    write({ digests }, index, _block, digest) {
      digests.set(index, digest);
    }
  })();
  const { createEbsService } = await module('ebs-service');
  const { createEc2Service } = await module('ec2-service');
  const services = [createEbsService(store), createEc2Service(store)];
  const { startEmulator } = await module('emulator');
  console.log((await startEmulator({ services })).url);
}

/** The next reading of the file is from the disk, as that of a file with holes always is. */
function forgetPages(path) {
  const { status } = spawnSync('dd', [
    `of=${path}`,
    'oflag=nocache',
    'conv=notrunc,fdatasync',
    'count=0',
    'status=none',
  ]);
  if (status !== 0)
    console.log('dd could not drop the cached pages: the data alone comes from memory');
}

/** The same work without the SDK, also in a process of its own: both begin cold. */
function runAlone(image, url) {
  const self = fileURLToPath(import.meta.url);
  const run = spawnSync(process.execPath, [self, 'alone', image, url], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

/** One upload in a process of its own; its time is that of the blocks alone. */
function upload(image, endpoint) {
  const run = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', UPLOAD, image, endpoint, join(folder, 'state')],
    { cwd: root, env: { ...process.env, ...environment }, encoding: 'utf8' },
  );
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

/** The least that an upload must do: read, hash, send, and read the answer. */
async function sendAlone(image, url) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  const file = await open(image, 'r');
  const snapshotId = await call(
    agent,
    url,
    'POST',
    '/snapshots',
    {},
    JSON.stringify({
      VolumeSize: Math.ceil((blocks * BLOCK) / 2 ** 30),
      ClientToken: String(Math.random()),
    }),
  ).then((text) => JSON.parse(text).SnapshotId);
  let next = 0;
  const work = async () => {
    const block = Buffer.alloc(BLOCK);
    while (next < blocks) {
      const index = next++;
      await file.read(block, 0, BLOCK, index * BLOCK);
      const digest = createHash('sha256').update(block).digest();
      await call(
        agent,
        url,
        'PUT',
        `/snapshots/${snapshotId}/blocks/${index}`,
        {
          'x-amz-data-length': String(BLOCK),
          'x-amz-checksum': digest.toString('base64'),
          'x-amz-checksum-algorithm': 'SHA256',
        },
        block,
      );
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  await file.close();
  agent.destroy();
}

function call(agent, url, method, path, headers, body) {
  const names = Object.keys(headers);
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${path}`, {
      ...{ agent, method },
      headers: {
        ...headers,
        'content-length': Buffer.byteLength(body),
        authorization: `AWS4-HMAC-SHA256 Credential=bench/20260101/eu-west-1/ebs/aws4_request, SignedHeaders=${['host', ...names].join(';')}, Signature=${'0'.repeat(64)}`,
      },
    });
    sent.on('error', reject);
    sent.on('response', (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => (answer.statusCode < 300 ? resolve(text) : reject(new Error(text))));
    });
    sent.end(body);
  });
}

async function timed(work) {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { ms: performance.now() - start, cpuMs: (user + system) / 1000 };
}

function percents(values) {
  const percent = (value) => `${(100 * value).toFixed(0)} %`;
  const sorted = [...values].sort((a, b) => a - b);
  return `${percent(median(values))} (${percent(sorted[0])} to ${percent(sorted.at(-1))})`;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
