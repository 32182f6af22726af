/** A tag of the account's resources. */
export interface AmiTag {
  readonly key: string;
  readonly value: string;
}

/** Says who made a snapshot or an AMI; `tee-ami delete` looks for it. */
export const CREATED_BY_TAG = 'tee-verify:created-by';
/** The SHA-256 of the reference manifest, as reports and attestation results name it. */
export const MANIFEST_TAG = 'tee-verify:manifest-sha256';
const CREATED_BY = 'tee-ami';

/** The tags of an upload, in the form of the AWS SDK. */
export function awsTags(
  name: string,
  manifestSha256: string | undefined,
  tags: readonly AmiTag[],
): { Key: string; Value: string }[] {
  return [
    ...(tags.some(({ key }) => key === 'Name') ? [] : [{ Key: 'Name', Value: name }]),
    { Key: CREATED_BY_TAG, Value: CREATED_BY },
    ...(manifestSha256 === undefined ? [] : [{ Key: MANIFEST_TAG, Value: manifestSha256 }]),
    ...tags.map(({ key, value }) => ({ Key: key, Value: value })),
  ];
}

/** Whether tags say that tee-ami made it. */
export function isOurs(
  tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] = [],
): boolean {
  return tags.some(({ Key, Value }) => Key === CREATED_BY_TAG && Value === CREATED_BY);
}
