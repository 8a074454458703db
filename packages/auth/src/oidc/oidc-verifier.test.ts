import { SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LocalIssuer } from '../testing/local-issuer.ts';
import { createTokenVerifier } from './oidc-verifier.ts';
import { oidcSettings } from './settings.ts';

const logger = { warn: vi.fn() };
const EMAIL = 'alice@example.test';
const GOOD = { kind: 'good', address: EMAIL };
const BAD = { kind: 'bad', forged: false };
const FORGED = { kind: 'bad', forged: true };

let issuer: LocalIssuer;
beforeEach(async () => {
  logger.warn.mockClear();
  issuer = await LocalIssuer.start();
});
afterEach(() => issuer.close());

function verifier(more: Record<string, string> = {}, now?: () => Date) {
  const settings = {
    CONCERT_OIDC_ISSUER: issuer.url,
    CONCERT_OIDC_AUDIENCE: 'mail other',
    ...more,
  };
  const made = createTokenVerifier(oidcSettings.parse(settings), { logger, ...(now && { now }) });
  if (made === undefined) throw new Error('no verifier');
  return made;
}

const seconds = () => Math.floor(Date.now() / 1000);

describe('a JWT', () => {
  it.each([
    ['for us', {}, GOOD],
    ['for us among others', { aud: ['x', 'other'] }, GOOD],
    ['whose address is verified', { email_verified: true }, GOOD],
    ['whose address is anybody’s word', { email_verified: false }, BAD],
    ['without an address', { email: undefined }, BAD],
    ['whose address is none', { email: 7 }, BAD],
    ['for others', { aud: 'x' }, FORGED],
    ['for nobody', { aud: undefined }, FORGED],
    ['of another issuer', { iss: 'https://other.test' }, FORGED],
    ['that is old', { exp: seconds() - 60 }, BAD],
    ['that never ends', { exp: undefined }, FORGED],
    ['that is not yet good', { nbf: seconds() + 60 }, FORGED],
    ['of a clock a little off', { exp: seconds() - 5, nbf: seconds() + 5 }, GOOD],
  ])('%s', async (_, claims, verdict) => {
    const token = await issuer.token({ email: EMAIL, ...claims });
    expect(await verifier().verify(token)).toEqual(verdict);
  });

  it('may carry the address in another claim', async () => {
    const token = await issuer.token({ upn: 'bob@example.test', email: EMAIL });
    expect(await verifier({ CONCERT_OIDC_CLAIM: 'upn' }).verify(token)).toEqual({
      kind: 'good',
      address: 'bob@example.test',
    });
  });

  it('is signed by the issuer, and by nobody else', async () => {
    const claims = { iss: issuer.url, aud: 'mail', exp: seconds() + 60, email: EMAIL };
    const other = await LocalIssuer.start();
    const unsigned = new UnsecuredJWT(claims).encode();
    const shared = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
      .sign(Buffer.alloc(32));
    for (const token of [await other.token(claims), unsigned, `${unsigned}x`, shared, 'a.b.c']) {
      expect(await verifier().verify(token)).toEqual(FORGED);
    }
    await other.close();
  });

  it('is checked by keys that are fetched once', async () => {
    const checked = verifier();
    const token = await issuer.token({ email: EMAIL });
    for (let at = 0; at < 3; at += 1) expect(await checked.verify(token)).toEqual(GOOD);
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('may be signed by a key that is younger than ours, for which is looked once in a while', async () => {
    const checked = verifier();
    const old = await issuer.token({ email: EMAIL });
    expect(await checked.verify(old)).toEqual(GOOD);
    // jose holds its pause by the clock
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 31_000 });
    try {
      await issuer.changeKey();
      const young = await issuer.token({ email: EMAIL });
      expect(await checked.verify(young)).toEqual(GOOD);
      expect(await checked.verify(old)).toEqual(FORGED);
      expect(await checked.verify(old)).toEqual(FORGED);
      expect(issuer.asked.filter((path) => path === '/keys')).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('an issuer', () => {
  it.each([
    ['answers an error', { status: 500, body: '{}' }],
    ['answers no JSON', { status: 200, body: 'hello' }],
    ['answers no object', { status: 200, body: '[]' }],
    ['answers without end', { status: 200, body: ' '.repeat(300_000) }],
  ])('that %s is out of reach, and asked again later', async (_, failure) => {
    const checked = verifier();
    const token = await issuer.token({ email: EMAIL });
    issuer.failure = failure;
    expect(await checked.verify(token)).toEqual({ kind: 'unavailable' });
    expect(await checked.verify(token)).toEqual({ kind: 'unavailable' });
    expect(issuer.asked).toHaveLength(1);
    expect(logger.warn).toHaveBeenCalled();
  });

  it.each([
    ['speaks for another', { issuer: 'https://other.test' }],
    ['names no keys', { jwks_uri: undefined }],
    ['names keys that are no URL', { jwks_uri: 'keys' }],
  ])('that %s is not believed', async (_, discovery) => {
    issuer.discovery = discovery;
    const token = await issuer.token({ email: EMAIL });
    expect(await verifier().verify(token)).toEqual({ kind: 'unavailable' });
  });
});

describe('a token that is no JWT', () => {
  const asked = { CONCERT_OIDC_CLIENT_ID: 'concert', CONCERT_OIDC_CLIENT_SECRET: 'p w:d' };

  it('is nothing where the issuer may not be asked', async () => {
    expect(await verifier().verify('opaque')).toEqual(FORGED);
    expect(issuer.asked).toEqual([]);
  });

  it.each([
    ['that is good', { active: true, aud: 'mail', email: EMAIL }, GOOD],
    ['for several', { active: true, aud: ['x', 'mail'], email: EMAIL }, GOOD],
    ['that our program got', { active: true, client_id: 'mail', email: EMAIL }, GOOD],
    ['that another program got', { active: true, client_id: 'x', email: EMAIL }, BAD],
    ['for nobody', { active: true, email: EMAIL }, BAD],
    ['for others', { active: true, aud: 'x', client_id: 'mail', email: EMAIL }, BAD],
    ['of another issuer', { active: true, aud: 'mail', iss: 'x', email: EMAIL }, BAD],
    ['that is old', { active: true, aud: 'mail', email: EMAIL, exp: 1 }, BAD],
    ['without an address', { active: true, aud: 'mail' }, BAD],
    ['that is none', { active: false, aud: 'mail', email: EMAIL }, FORGED],
  ])('%s', async (_, answer, verdict) => {
    issuer.opaque.set('opaque', answer);
    expect(await verifier(asked).verify('opaque')).toEqual(verdict);
    // RFC 6749 §2.3.1
    const basic = Buffer.from('concert:p%20w%3Ad').toString('base64');
    expect(issuer.authorization).toBe(`Basic ${basic}`);
  });
});

describe('settings', () => {
  const issuerUrl = 'https://issuer.test/realms/mail';

  it.each([
    ['no audience', { CONCERT_OIDC_ISSUER: issuerUrl }, 'CONCERT_OIDC_AUDIENCE'],
    ['in the clear', { CONCERT_OIDC_ISSUER: 'http://issuer.test' }, 'CONCERT_OIDC_ISSUER'],
    ['no URL', { CONCERT_OIDC_ISSUER: 'issuer.test' }, 'CONCERT_OIDC_ISSUER'],
    ['an id without its secret', { CONCERT_OIDC_CLIENT_ID: 'x' }, 'CONCERT_OIDC_CLIENT_SECRET'],
  ])('are refused with %s', (_, settings, name) => {
    const { error } = oidcSettings.safeParse(settings);
    expect(error?.issues.map(({ path }) => path[0])).toContain(name);
  });

  it('say nothing of tokens by default', () => {
    expect(createTokenVerifier(oidcSettings.parse({}), { logger })).toBeUndefined();
  });
});
