import type { Code } from './codes.js';

export interface Report {
  readonly code: Code | undefined;
}
