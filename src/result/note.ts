/** Writes down a check that was made and passed, for the report. */
export type Note = (check: string) => void;
