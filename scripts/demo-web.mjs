/**
 * `npm run demo:web`: serves a page that asks simulated machines for evidence and verifies their
 * answers in the browser, and the verify page beside it. Only this machine can reach it.
 *
 * Usage: node scripts/demo-web.mjs [--port 8080], after npm run build
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { attest } from '../tools/dist/agent.js';
import { bootFromManifest, createNitroPki, createSimulator } from '../tools/dist/simulator.js';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8080' } } });
const root = fileURLToPath(new URL('..', import.meta.url));
const MAX_REQUEST_BYTES = 4096;

/** What is served from where. */
const FOLDERS = [
  ['/page/', join(root, 'dist/page')],
  ['/', join(root, 'build/demo-web')],
];
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const manifest = readFileSync(join(root, 'examples/manifest.json'), 'utf8');
const pki = await createNitroPki();

/** A machine that booted the image of the manifest, and its session key. */
async function createMachine(ofPki, change = () => undefined) {
  const simulator = await createSimulator({ pki: ofPki });
  bootFromManifest(simulator, manifest);
  change(simulator);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const userData = new Uint8Array(createHash('sha256').update(spki).digest());
  return {
    sessionKey: publicKey.export({ format: 'jwk' }),
    async answer(nonce) {
      const transport = await simulator.transport();
      const { bundle } = await attest({ nonce, userData, transport, session: 'password' });
      return JSON.stringify(bundle);
    },
  };
}

const genuine = await createMachine(pki);
const otherImage = await createMachine(pki, (simulator) =>
  simulator.setPcr(4, new Uint8Array(randomBytes(48))),
);
const stranger = await createMachine(await createNitroPki());
const recorded = await genuine.answer(new Uint8Array(randomBytes(32)));

const MACHINES = {
  genuine,
  'other-image': otherImage,
  stranger,
  replay: { ...genuine, answer: async () => recorded },
  // Passes the genuine machine's answers on, and shows a key of its own.
  'other-key': { ...genuine, sessionKey: otherImage.sessionKey },
  silent: { ...genuine, answer: () => new Promise(() => undefined) },
};

/** The nonce of `{"nonce": "<hex>"}`, or undefined. */
async function readNonce(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > MAX_REQUEST_BYTES) return undefined;
    parts.push(part);
  }
  try {
    const { nonce } = JSON.parse(Buffer.concat(parts).toString('utf8'));
    const good = typeof nonce === 'string' && /^([0-9a-f]{2}){1,64}$/.test(nonce);
    return good ? new Uint8Array(Buffer.from(nonce, 'hex')) : undefined;
  } catch {
    return undefined;
  }
}

async function respond(request, response) {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const name = url.searchParams.get('machine') ?? 'genuine';
  const machine = Object.hasOwn(MACHINES, name) ? MACHINES[name] : undefined;
  const send = (status, type, body) => {
    response.writeHead(status, {
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    response.end(body);
  };
  if (url.pathname === '/manifest.json') return send(200, 'application/json', manifest);
  if (url.pathname === '/root.pem') return send(200, 'application/x-pem-file', pki.rootPem);
  if (url.pathname === '/attest' || url.pathname === '/session-key') {
    if (machine === undefined) return send(404, 'text/plain', 'no such machine\n');
    if (url.pathname === '/session-key')
      return send(200, 'application/json', JSON.stringify(machine.sessionKey));
    const nonce = request.method === 'POST' ? await readNonce(request) : undefined;
    if (nonce === undefined) return send(400, 'text/plain', 'POST {"nonce": "<hex>"}\n');
    return send(200, 'application/json', await machine.answer(nonce));
  }
  const [prefix, folder] = FOLDERS.find(([start]) => url.pathname.startsWith(start));
  const path = normalize(url.pathname.slice(prefix.length) || 'index.html');
  const file = join(folder, path);
  const type = TYPES[extname(file)];
  // Only files right in the two folders.
  if (!/^[\w-]+\.\w+$/.test(path) || type === undefined || !existsSync(file))
    return send(404, 'text/plain', 'not found\n');
  send(200, type, readFileSync(file));
}

const server = createServer((request, response) => {
  respond(request, response).catch((error) => {
    console.error(error instanceof Error ? error.message : error);
    response.writeHead(500).end();
  });
});
server.on('error', (error) => {
  console.error(`demo:web: ${error.message}; choose another port with --port`);
  process.exitCode = 1;
});
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(
    `Open http://localhost:${server.address().port}/ and click a machine. Ctrl-C ends it.`,
  );
});
