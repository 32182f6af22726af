import packageJson from '../package.json' with { type: 'json' };

const HEX_NONCE = { type: 'string', pattern: '^[0-9a-f]{96}$' };
const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const content = (type: string, schema: object): object => ({ [type]: { schema } });
const problem = (description: string): object => ({
  description,
  content: content('application/problem+json', ref('Problem')),
});
const ok = (description: string, name: string): object => ({
  description,
  content: content('application/json', ref(name)),
});

const UNAVAILABLE = problem('Nothing was accepted; try again after Retry-After.');

/** The service as an OpenAPI 3.1 document; the tests hold the handler against it. */
export function openApiDocument(maxBodyBytes: number): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'tee-verifier',
      version: packageJson.version,
      description:
        'Verifies AWS NitroTPM and Nitro Enclave evidence and issues attestation results (EAR). Every error is an RFC 9457 problem with a stable code.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: {
      '/v1/challenge': {
        get: {
          summary: 'A challenge that evidence must carry as its nonce. Good for one answer.',
          parameters: [
            {
              name: 'audience',
              in: 'query',
              required: false,
              description: 'Who will rely on the result; may be left out when there is only one.',
              schema: { type: 'string' },
            },
          ],
          responses: {
            200: ok('A new challenge.', 'Challenge'),
            404: problem('There is no policy for this audience.'),
            429: problem('Too many requests.'),
          },
        },
      },
      '/v1/results': {
        post: {
          summary: `Evidence in, attestation result out. At most ${maxBodyBytes} bytes.`,
          requestBody: {
            required: true,
            content: content('application/json', ref('VerificationRequest')),
          },
          responses: {
            200: ok('Verified: an attestation result for the audience.', 'Result'),
            400: problem('The request or its challenge cannot be used.'),
            404: problem('There is no policy for this audience.'),
            409: problem('The challenge was used before.'),
            410: problem('The challenge is too old.'),
            413: problem('The request is too large.'),
            415: problem('The request is no JSON.'),
            422: problem('The evidence was rejected; code and step say why.'),
            429: problem('Too many requests.'),
            500: problem('The service failed.'),
            503: UNAVAILABLE,
          },
        },
      },
      '/.well-known/jwks.json': {
        get: {
          summary: 'The public keys that verify results.',
          responses: { 200: ok('A JWK set.', 'JwkSet') },
        },
      },
      '/healthz': {
        get: { summary: 'Whether it runs.', responses: { 200: ok('It does.', 'Status') } },
      },
      '/readyz': {
        get: {
          summary: 'Whether it can verify now: the store of the challenges answers.',
          responses: { 200: ok('It can.', 'Status'), 503: UNAVAILABLE },
        },
      },
      '/metrics': {
        get: {
          summary: 'Prometheus text.',
          responses: {
            200: { description: 'Metrics.', content: content('text/plain', { type: 'string' }) },
          },
        },
      },
      '/openapi.json': {
        get: {
          summary: 'This document.',
          responses: {
            200: { description: 'It.', content: content('application/json', { type: 'object' }) },
          },
        },
      },
    },
    components: {
      schemas: {
        Challenge: {
          type: 'object',
          required: ['nonce', 'audience', 'expiresAt'],
          additionalProperties: false,
          properties: {
            nonce: HEX_NONCE,
            audience: { type: 'string' },
            expiresAt: { type: 'string', format: 'date-time' },
          },
        },
        VerificationRequest: {
          type: 'object',
          required: ['nonce', 'evidence'],
          additionalProperties: false,
          properties: {
            audience: { type: 'string' },
            nonce: { ...HEX_NONCE, description: 'The challenge, as it was issued.' },
            evidence: {
              description:
                'A bundle (object, or its text), or a COSE document in base64, base64url or hex.',
              type: ['object', 'string'],
            },
          },
        },
        Result: {
          type: 'object',
          required: ['token'],
          additionalProperties: false,
          properties: {
            token: {
              type: 'string',
              pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
              description: 'An EAR as JWT, typ eat+jwt.',
            },
          },
        },
        JwkSet: {
          type: 'object',
          required: ['keys'],
          additionalProperties: false,
          properties: { keys: { type: 'array', minItems: 1, items: { type: 'object' } } },
        },
        Status: {
          type: 'object',
          required: ['status'],
          additionalProperties: false,
          properties: { status: { type: 'string' } },
        },
        Problem: {
          type: 'object',
          required: ['status', 'code', 'title', 'hint'],
          additionalProperties: false,
          properties: {
            status: { type: 'integer', minimum: 400, maximum: 599 },
            code: { type: 'string', pattern: '^[a-z0-9]+\\.[a-z0-9-]+$' },
            title: { type: 'string' },
            hint: { type: 'string' },
            step: { type: 'string' },
          },
        },
      },
    },
  };
}
