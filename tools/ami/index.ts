/** Uploading disk images as AMIs, and removing them, as a library: `tee-tools/ami`. */
export type { ToolCode } from '../common/codes.js';
export { ToolError } from '../common/tool-error.js';
export type { AmiProgress } from './ami-progress.js';
export type { AwsOptions } from './aws-clients.js';
export { type CreateAmiOptions, type CreatedAmi, createAmi } from './create-ami.js';
export { type DeleteAmiOptions, type DeletedResources, deleteAmi } from './delete-ami.js';
export type { AmiArchitecture } from './register-image.js';
export { type AmiTag, CREATED_BY_TAG, MANIFEST_TAG } from './tags.js';
