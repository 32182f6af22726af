/** Codes of uploading images and registering them: code → what it means and what to do. */
export const AMI_CODES = {
  'ami.interrupted': [
    'tee-ami was interrupted',
    'Run the same command again, an upload with --resume, to go on from where it stopped.',
  ],

  // The image, and what goes with it.
  'ami.image-invalid': [
    'the image cannot become a snapshot',
    'Pass a raw disk image of 1 byte to 64 TiB.',
  ],
  'ami.image-changed': [
    'the image is not the one whose upload began',
    'Remove the unfinished snapshot and its state file, and upload the new image from the start.',
  ],
  'ami.manifest-mismatch': [
    'the manifest is about another image',
    'Pass the manifest that was made for this image.',
  ],

  // Going on after an interruption.
  'ami.unfinished-upload': [
    'an earlier upload of this image was not finished',
    'Go on with --resume, or remove its snapshot and its state file and start again.',
  ],
  'ami.state-unusable': [
    'the state file does not belong to this upload',
    'Name the right one with --state, or remove it and start again.',
  ],
  'ami.snapshot-gone': [
    'the snapshot of the unfinished upload does not take blocks any more',
    'AWS cancels a snapshot a day after its last block. Remove the state file and start again.',
  ],

  // The way to AWS, and what it answered.
  'ami.region-missing': ['no AWS region is set', 'Pass --region, or set AWS_REGION.'],
  'ami.credentials': [
    'there are no usable AWS credentials',
    'Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; renew them when they expired.',
  ],
  'ami.access-denied': [
    'AWS does not allow it',
    'docs/ami.md lists the permissions that tee-ami needs.',
  ],
  'ami.unreachable': [
    'AWS cannot be reached',
    'Check the region, --endpoint and the network, then go on with --resume.',
  ],
  'ami.throttled': [
    'AWS kept asking to wait',
    'Try again later with --resume, or with a lower --concurrency.',
  ],
  'ami.quota': [
    'a quota of the account is used up',
    'Remove old snapshots or images, or ask AWS for more.',
  ],
  'ami.service-failed': ['AWS refused the request', 'See its answer.'],
  'ami.acknowledgement-wrong': [
    'AWS kept acknowledging other data than was sent',
    'Something on the way changes the data or the answers. Try again from another network.',
  ],
  'ami.answer-incomplete': [
    'an answer of AWS lacks something',
    'Something else than AWS answered: check --endpoint.',
  ],

  // Snapshots and images in the account.
  'ami.name-taken': [
    'an AMI of this name exists already',
    'Choose another --name, or remove the old one with tee-ami delete.',
  ],
  'ami.snapshot-failed': ['AWS could not make the snapshot', 'Remove it and upload again.'],
  'ami.image-failed': ['AWS could not make the AMI', 'See the reason it gives.'],
  'ami.wait-timeout': [
    'AWS was not ready in time',
    'Go on waiting with --resume, or see the EC2 console.',
  ],
  'ami.not-found': [
    'there is no such AMI or snapshot',
    'Check the id, the region and the account: tee-ami finds only what the account owns.',
  ],
  'ami.not-ours': [
    'this was not made by tee-ami',
    'If you are sure that nobody needs it, pass --force.',
  ],
  'ami.snapshot-in-use': [
    'an AMI still uses the snapshot',
    'Remove the AMI with tee-ami delete: its snapshot goes with it.',
  ],
} as const;
