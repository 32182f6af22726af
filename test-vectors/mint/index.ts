/**
 * Minting of evidence: a PKI of our own, documents, quotes and bundles in which exactly one thing
 * can be broken. Used by the vectors, the fuzz suite, the benchmark and tests of commands.
 */
export * from './bundle.js';
export * from './certificate.js';
export * from './document.js';
export * from './ecdsa.js';
export * from './pcrs.js';
export * from './pki.js';
export * as cbor from './raw-cbor.js';
export * as der from './raw-der.js';
export * from './tpm.js';
