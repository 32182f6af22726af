// Usage: node seal.mjs <key file> <message>: base64 of nonce, ciphertext and tag (AES-256-GCM).
import { createCipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [keyFile, message] = process.argv.slice(2);
const nonce = randomBytes(12);
const cipher = createCipheriv('aes-256-gcm', readFileSync(keyFile), nonce);
const sealed = Buffer.concat([nonce, cipher.update(message), cipher.final(), cipher.getAuthTag()]);
process.stdout.write(sealed.toString('base64'));
