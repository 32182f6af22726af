/**
 * The same as `tee-verify/browser` in one file (about three times its size): a service worker may
 * not load anything after its start.
 */
export * from './index.js';
