// For njs, the JavaScript of nginx: POST /decrypt with base64 of nonce (12 bytes), ciphertext and tag
// (AES-256-GCM) answers the plaintext. What does not decrypt is 400, without a reason.
// biome-ignore lint/style/useNodejsImportProtocol: njs knows it by this name only.
import fs from 'fs';

async function handle(r) {
  if (r.method !== 'POST') {
    r.return(405);
    return;
  }
  try {
    const sealed = Buffer.from(r.requestText, 'base64');
    const bytes = fs.readFileSync(r.variables.key_file);
    const key = await crypto.subtle.importKey('raw', bytes, { name: 'AES-GCM' }, false, [
      'decrypt',
    ]);
    const algorithm = { name: 'AES-GCM', iv: sealed.slice(0, 12) };
    const plain = await crypto.subtle.decrypt(algorithm, key, sealed.slice(12));
    r.headersOut['Content-Type'] = 'application/octet-stream';
    r.return(200, Buffer.from(plain));
  } catch (_error) {
    r.return(400);
  }
}

export default { handle };
