import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { expectCode } from '../test-support/rejection.js';
import { parentInstancePcr, parentRolePcr, signingCertificatePcr } from './parent-pcrs.js';

/** As the AWS documentation computes it, by coreutils. */
function byShell(text: string): string {
  const command = '(head -c 48 /dev/zero; printf %s "$1") | sha384sum';
  return execFileSync('sh', ['-c', command, 'sh', text], { encoding: 'utf8' }).slice(0, 96);
}

describe('parentRolePcr', () => {
  it.each([
    'arn:aws:iam::123456789012:role/Webserver',
    'arn:aws-us-gov:iam::123456789012:role/path/to/name_+=,.@-',
  ])('%s', (arn) => {
    expect(parentRolePcr(arn)).toBe(byShell(arn));
  });

  it.each([
    '',
    'Webserver',
    'arn:aws:iam::123456789012:instance-profile/Webserver',
    'arn:aws:sts::123456789012:assumed-role/Webserver/i-0123456789abcdef0',
    'arn:aws:iam::123456789012:role/',
    'arn:aws:iam::12345678901:role/Webserver',
    'arn:aws:iam::123456789012:role/Web server',
    'arn:aws:iam::123456789012:role/Webserver\n',
    ' arn:aws:iam::123456789012:role/Webserver',
  ])('refuses %j', (arn) => {
    expectCode(() => parentRolePcr(arn), 'eif.role-arn-invalid');
  });
});

describe('parentInstancePcr', () => {
  it.each(['i-0123456789abcdef0', 'i-01234567'])('%s', (id) => {
    expect(parentInstancePcr(id)).toBe(byShell(id));
  });

  it.each([
    '',
    'i-',
    'i-0123456789ABCDEF0',
    'i-0123456789abcdef0-enc0123',
    'i-0123456789abcdef0\n',
  ])('refuses %j', (id) => {
    expectCode(() => parentInstancePcr(id), 'eif.instance-id-invalid');
  });
});

describe('signingCertificatePcr', () => {
  it.each(['', 'x', '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----'])(
    'refuses %j',
    (pem) => {
      expectCode(() => signingCertificatePcr(pem), 'eif.certificate-malformed');
    },
  );

  it('refuses bytes that are no certificate', () => {
    expectCode(() => signingCertificatePcr(new Uint8Array(10)), 'eif.certificate-malformed');
  });
});
