const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts what the service does, in the text format of Prometheus (version 0.0.4). */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #results = new Map<string, number>();
  readonly #buckets = new Array<number>(BUCKETS.length).fill(0);
  #durationSum = 0;
  #durationCount = 0;
  #challenges = 0;
  inFlight = 0;

  /** Labels come from fixed tables: nobody can make more of them. */
  request(route: string, status: number): void {
    add(this.#requests, `route="${route}",status="${status}"`);
  }

  challenge(): void {
    this.#challenges++;
  }

  /** `code`: of the rejection, or `verified`. */
  result(code: string, seconds: number): void {
    add(this.#results, `code="${code}"`);
    this.#durationSum += seconds;
    this.#durationCount++;
    for (const [index, limit] of BUCKETS.entries())
      if (seconds <= limit) this.#buckets[index] = (this.#buckets[index] as number) + 1;
  }

  text(): string {
    const duration = 'tee_verifier_result_duration_seconds';
    return [
      ...head('tee_verifier_requests_total', 'counter', 'Requests by path and status.'),
      ...[...this.#requests].map(([labels, n]) => `tee_verifier_requests_total{${labels}} ${n}`),
      ...head('tee_verifier_challenges_total', 'counter', 'Challenges issued.'),
      `tee_verifier_challenges_total ${this.#challenges}`,
      ...head('tee_verifier_results_total', 'counter', 'Evidence by outcome: verified, or a code.'),
      ...[...this.#results].map(([labels, n]) => `tee_verifier_results_total{${labels}} ${n}`),
      ...head('tee_verifier_in_flight', 'gauge', 'Verifications under way.'),
      `tee_verifier_in_flight ${this.inFlight}`,
      ...head(duration, 'histogram', 'Time from request to result.'),
      ...BUCKETS.map((limit, i) => `${duration}_bucket{le="${limit}"} ${this.#buckets[i]}`),
      `${duration}_bucket{le="+Inf"} ${this.#durationCount}`,
      `${duration}_sum ${this.#durationSum}`,
      `${duration}_count ${this.#durationCount}`,
      '',
    ].join('\n');
  }
}

function head(name: string, type: string, help: string): readonly string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
