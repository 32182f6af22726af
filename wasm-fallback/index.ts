export { loadWasm, loadWasmAsync, type WasmLoad } from './load-wasm.js';
