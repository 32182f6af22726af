// Runs in the browser (page or worker): every case through the module, as any client would.

const bytesOf = (binary) => Uint8Array.from(binary, (char) => char.charCodeAt(0));

function decode(text, encoding) {
  if (encoding === 'utf8') return new TextEncoder().encode(text);
  if (encoding === 'hex')
    return Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  return bytesOf(atob(text.replaceAll('-', '+').replaceAll('_', '/')));
}

function evidenceOf({ kind, encoding, value, padTo }) {
  if (encoding === 'json') return value;
  if (kind !== 'document')
    return padTo ? value.padEnd(padTo.size, String.fromCharCode(padTo.with)) : value;
  const bytes = decode(value, encoding);
  if (!padTo) return bytes;
  const padded = new Uint8Array(padTo.size).fill(padTo.with);
  padded.set(bytes);
  return padded;
}

function optionsOf({ trustAnchorsPem = [], trustAnchorsSha256 = [], nowMs, options }) {
  const trustAnchors = [...trustAnchorsPem, ...trustAnchorsSha256.map((sha256) => ({ sha256 }))];
  return {
    ...options,
    now: nowMs === 'document' ? nowMs : new Date(nowMs),
    ...(trustAnchors.length > 0 && { trustAnchors }),
  };
}

/** The ids of the cases that came out otherwise, and the providers that were used. */
export async function runVectors(verifier, cases, step = 1) {
  const wrong = [];
  const providers = new Set();
  let count = 0;
  const shared = new verifier.ChainMemory();
  for (const [index, vector] of cases.entries()) {
    if (index % step !== 0) continue;
    count++;
    const { id, expected, precededBy, manifest } = vector;
    const options = { ...optionsOf(vector), chainMemory: shared };
    if (precededBy) {
      options.chainMemory = new verifier.ChainMemory();
      const earlier = { ...options, now: new Date(precededBy.nowMs) };
      await verifier.inspectAttestation(evidenceOf(vector.input), manifest ?? undefined, earlier);
    }
    const report = await verifier.inspectAttestation(
      evidenceOf(vector.input),
      manifest ?? undefined,
      options,
    );
    providers.add(report.provider);
    if (report.verdict !== expected.verdict || report.code !== expected.code)
      wrong.push(`${id}: ${report.verdict} ${report.code}`);
  }
  return { count, wrong, providers: [...providers] };
}
