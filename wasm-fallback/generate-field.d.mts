export function fieldSource(): string;
