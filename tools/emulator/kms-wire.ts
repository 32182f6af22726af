import { decodeBase64 } from 'tee-verify/bytes';
import { isObject } from '../common/json-object.js';
import type { EncryptionContext } from './kms-keys.js';
import type { LocalResponse } from './local-server.js';

/** A request or an answer of AWS JSON 1.1. */
export type Json = Readonly<Record<string, unknown>>;

const CONTENT_TYPE = { 'content-type': 'application/x-amz-json-1.1' } as const;

/** An error as the service answers it. */
export class ServiceError extends Error {
  override readonly name: string;
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** An answer with status 200. */
export function jsonAnswer(json: Json): LocalResponse {
  return { status: 200, headers: CONTENT_TYPE, body: JSON.stringify(json) };
}

/** The real service answers AccessDeniedException with a capital M. */
export function errorAnswer(name: string, message: string): LocalResponse {
  const field = name === 'AccessDeniedException' ? 'Message' : 'message';
  return {
    status: 400,
    headers: { ...CONTENT_TYPE, 'x-amzn-errortype': name },
    body: JSON.stringify({ __type: name, ...(message !== '' && { [field]: message }) }),
  };
}

/** The JSON object of a body. */
export function readInput(body: Uint8Array): Json {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(body));
    if (isObject(json)) return json;
  } catch {
    // Said below.
  }
  throw new ServiceError('SerializationException', 'no JSON object');
}

/** How many bytes a data key of this request has. */
export function dataKeyBytes({ KeySpec, NumberOfBytes }: Json): number {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined))
    throw new ServiceError(
      'ValidationException',
      'Please specify either number of bytes or key spec.',
    );
  if (KeySpec === undefined) return count(NumberOfBytes);
  if (KeySpec === 'AES_256') return 32;
  if (KeySpec === 'AES_128') return 16;
  throw new ServiceError('ValidationException', `unknown key spec ${String(KeySpec)}`);
}

/** NumberOfBytes of a request. */
export function count(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 1024)
    return value;
  throw new ServiceError('ValidationException', 'NumberOfBytes must be 1 to 1024');
}

/** A field of bytes. */
export function blob(input: Json, name: string, maxBytes: number): Uint8Array {
  const bytes = decodeBase64(text(input[name]) ?? '');
  if (bytes === undefined || bytes.length === 0 || bytes.length > maxBytes)
    throw new ServiceError('ValidationException', `${name} must be 1 to ${maxBytes} bytes`);
  return bytes;
}

/** A field that is an object. */
export function object(input: Json, name: string): Json {
  const value = input[name];
  if (isObject(value)) return value;
  throw new ServiceError('SerializationException', `${name} must be an object`);
}

/** The encryption context of a request. */
export function contextOf(input: Json): EncryptionContext {
  if (input.EncryptionContext === undefined) return {};
  const context = object(input, 'EncryptionContext');
  if (Object.values(context).every((value) => typeof value === 'string'))
    return context as EncryptionContext;
  throw new ServiceError('SerializationException', 'EncryptionContext must hold text');
}

/** A text, or undefined for anything else. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
