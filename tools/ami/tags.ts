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
/** Of a resource, of which three are ours. */
const MAX_TAGS = 50 - 3;
/** What RegisterImage takes for a name. */
const NAME = /^[A-Za-z0-9()[\] ./\-'@_]{3,128}$/;

/** What is wrong with the name of an AMI; undefined when it is right. */
export function nameFault(name: string): string | undefined {
  return NAME.test(name)
    ? undefined
    : "Expected 3 to 128 of A-Z a-z 0-9 ( ) [ ] space . / - ' @ _.";
}

/** What is wrong with tags; undefined when AWS takes them. */
export function tagFault(tags: readonly AmiTag[]): string | undefined {
  if (tags.length > MAX_TAGS) return `Expected at most ${MAX_TAGS} tags.`;
  for (const [i, { key, value }] of tags.entries()) {
    if (key === '' || key.length > 128 || value.length > 256)
      return 'Expected key=value, at most 128 and 256 characters.';
    if (/^(aws|tee-verify):/i.test(key))
      return 'Keys that begin with aws: or tee-verify: are taken.';
    if (/\p{C}/u.test(key + value)) return 'Expected tags without control characters.';
    if (tags.slice(0, i).some((before) => before.key === key))
      return `The tag ${key} stands there twice.`;
  }
  return undefined;
}

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
