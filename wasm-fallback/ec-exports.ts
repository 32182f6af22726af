/** What ec.wasm exports; assembly/index.ts explains each. */
export interface EcExports {
  readonly memory: WebAssembly.Memory;
  inputAddress(): number;
  inputSize(): number;
  digestAddress(): number;
  keyAddress(): number;
  signatureAddress(): number;
  hashStart(algorithm: number): void;
  hashUpdate(length: number): void;
  hashFinish(): void;
  verify(p384: number): number;
}
