/** The paths of the service and the one method that each knows. */
export const ROUTES = {
  '/v1/challenge': 'GET',
  '/v1/results': 'POST',
  '/.well-known/jwks.json': 'GET',
  '/healthz': 'GET',
  '/readyz': 'GET',
  '/metrics': 'GET',
  '/openapi.json': 'GET',
} as const;

/** A path of the service. */
export type Route = keyof typeof ROUTES;
