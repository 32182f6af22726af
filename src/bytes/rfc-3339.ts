const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Milliseconds since the epoch of an RFC 3339 time such as 2026-02-03T10:12:02Z, undefined for
 * anything else. `Date.parse` alone takes 30 February for 2 March: an end that moves is no end.
 */
export function parseRfc3339(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = RFC_3339.exec(text) ?? [];
  if (year === undefined) return undefined;
  const local = new Date(0);
  local.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const isCalendarDay =
    local.getUTCMonth() === Number(month) - 1 && local.getUTCDate() === Number(day);
  if (!isCalendarDay || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    return undefined;
  const milliseconds = Date.parse(text.toUpperCase());
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
