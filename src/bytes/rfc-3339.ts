const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Milliseconds since the epoch of an RFC 3339 time such as 2026-02-03T10:12:02Z, undefined for
 * anything else.
 */
export function parseRfc3339(text: string): number | undefined {
  const [, ...fields] = RFC_3339.exec(text) ?? [];
  if (fields.length === 0 || calendarMs(fields.map(Number)) === undefined) return undefined;
  const milliseconds = Date.parse(text.toUpperCase());
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}

/**
 * Milliseconds since the epoch of year, month, day, hour, minute and second in UTC, undefined when
 * the calendar has no such time. A Date takes 30 February for 2 March: an end that moves is no end.
 */
export function calendarMs(fields: readonly number[]): number | undefined {
  const [year, month, day, hour, minute, second] = fields as [
    ...[number, number, number],
    ...[number, number, number],
  ];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  return date.setUTCHours(hour, minute, second);
}
