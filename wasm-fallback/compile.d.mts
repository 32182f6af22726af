export function compile(entry: string): Promise<Uint8Array<ArrayBuffer>>;
