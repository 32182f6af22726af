/**
 * The text that AWS's nitro-tpm-pcr-compute prints for these PCRs (index → lower-case hex), byte
 * for byte: two-space indentation, keys by PCR index, one trailing newline.
 * Source: AWS EC2 user guide, "Compute PCR measurements for a custom AMI".
 */
export function formatAwsMeasurements(pcrs: ReadonlyMap<number, string>): string {
  const values = [...pcrs]
    .sort(([a], [b]) => a - b)
    .map(([pcr, value]): [string, string] => [`PCR${pcr}`, value]);
  const measurements = { HashAlgorithm: 'SHA384', ...Object.fromEntries(values) };
  return `${JSON.stringify({ Measurements: measurements }, null, 2)}\n`;
}
