import { pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AuthError } from '../errors.ts';
import { deriveScramKeys, hmac, type ScramKeys, sha256 } from '../scram-keys.ts';
import { type ChannelBinding, type ScramOptions, startScram } from './scram.ts';

const text = (value: string) => Buffer.from(value, 'utf8');
const PLAIN_OPTIONS: ScramOptions = { plus: false, binding: undefined, nonce: 'server' };
const BINDING: ChannelBinding = (type) => (type === 'tls-exporter' ? text('session') : undefined);

/** RFC 7677 §3. */
const RFC = {
  nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst:
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

async function keysOf(password: string, salt = RFC.salt): Promise<ScramKeys> {
  const keys = await deriveScramKeys(password, salt, 4096);
  if (keys === undefined) throw new Error('no keys');
  return keys;
}

/** What a client would prove, computed apart from the server's code. */
function proofFor(password: string, authMessage: string): string {
  const salted = pbkdf2Sync(password, RFC.salt, 4096, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const signature = hmac(sha256(clientKey), authMessage);
  return Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0))).toString('base64');
}

interface Talk {
  readonly first: string;
  readonly options?: ScramOptions;
  readonly keys: readonly [ScramKeys, ...ScramKeys[]];
  /** The final message without its proof; by default what an honest client sends. */
  readonly final?: (nonce: string) => string;
}

async function talk(password: string, { first, options = PLAIN_OPTIONS, keys, final }: Talk) {
  const step = startScram(options).next(text(first));
  const { challenge, next } = step.next(keys);
  const serverFirst = challenge.toString();
  const nonce = /^r=([^,]+)/.exec(serverFirst)?.[1] ?? '';
  const [header = ''] = /^[^,]*,[^,]*,/.exec(first) ?? [];
  const withoutProof = final?.(nonce) ?? `c=${text(header).toString('base64')},r=${nonce}`;
  const message = `${first.slice(header.length)},${serverFirst},${withoutProof}`;
  return next(text(`${withoutProof},p=${proofFor(password, message)}`));
}

describe('SCRAM-SHA-256 (RFC 7677)', () => {
  it("says what the RFC's example says", async () => {
    const step = startScram({ ...PLAIN_OPTIONS, nonce: RFC.nonce }).next(text(RFC.clientFirst));
    expect(step).toMatchObject({ address: 'user', authorizationId: undefined });
    const answer = step.next([await keysOf('pencil')]);
    expect(answer.challenge.toString()).toBe(RFC.serverFirst);
    const { fits, serverFinal } = answer.next(text(RFC.clientFinal));
    expect([fits, serverFinal.toString()]).toEqual([0, RFC.serverFinal]);
  });

  it('tells which of several passwords it was, or that it was none', async () => {
    const [one, two, three] = await Promise.all(
      ['one', 'two', 'three'].map((each) => keysOf(each)),
    );
    const keys = [one, two, three] as [ScramKeys, ScramKeys, ScramKeys];
    const given = { first: 'n,,n=user,r=clientnonce', keys };
    expect((await talk('one', given)).fits).toBe(0);
    expect((await talk('three', given)).fits).toBe(2);
    expect((await talk('four', given)).fits).toBeUndefined();
  });

  it.each([
    ['n,,n=a=2Cb=3Dc,r=clientnonce', 'a,b=c', undefined],
    ['y,a=jürgen@x.test,n=jürgen@x.test,r=clientnonce', 'jürgen@x.test', 'jürgen@x.test'],
    ['n,a==2C,n=user,r=clientnonce,x=ignored', 'user', ','],
  ])('reads %s', (message, address, authorizationId) => {
    const step = startScram(PLAIN_OPTIONS).next(text(message));
    expect(step).toMatchObject({ kind: 'scram', address, authorizationId });
  });

  it.each([
    ['nothing', ''],
    ['no header', 'n=user,r=clientnonce'],
    ['an unknown flag', 'x,,n=user,r=clientnonce'],
    ['a binding without PLUS', 'p=tls-exporter,,n=user,r=clientnonce'],
    ['a mandatory extension', 'n,,m=x,n=user,r=clientnonce'],
    ['no name', 'n,,n=,r=clientnonce'],
    ['a name escaped wrongly', 'n,,n=a=20b,r=clientnonce'],
    ['a long name', `n,,n=${'x'.repeat(511)},r=clientnonce`],
    ['no nonce', 'n,,n=user'],
    ['a short nonce', 'n,,n=user,r=short'],
    ['a long nonce', `n,,n=user,r=${'x'.repeat(257)}`],
    ['a nonce with a blank', 'n,,n=user,r=client nonce'],
  ])('refuses %s', (_, message) => {
    expect(() => startScram(PLAIN_OPTIONS).next(text(message))).toThrow(
      expect.objectContaining({ code: 'malformed-response' }),
    );
  });

  it.each([
    ['another nonce', () => 'c=biws,r=clientnonceother', 'malformed-response'],
    ['a nonce cut short', () => 'c=biws,r=clientnonce', 'malformed-response'],
    ['another header', (nonce: string) => `c=eSws,r=${nonce}`, 'channel-binding'],
    ['no header', (nonce: string) => `r=${nonce}`, 'malformed-response'],
  ])('refuses a final message with %s', async (_, final, code) => {
    const keys = [await keysOf('pencil')] as [ScramKeys];
    const doing = talk('pencil', { first: 'n,,n=user,r=clientnonce', keys, final });
    await expect(doing).rejects.toMatchObject({ code });
  });

  it('throws nothing but AuthError, whatever comes', async () => {
    const keys = [await keysOf('pencil')] as [ScramKeys];
    const head = fc.constantFrom('', 'n,,', 'y,,', 'p=tls-exporter,,', 'n,,n=user,r=clientnonce');
    const rest = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.stringMatching(/^([a-z]=[A-Za-z0-9+/=]{0,8},?){0,6}$/),
    );
    const message = fc.tuple(head, rest).map((parts) => text(parts.join('')));
    fc.assert(
      fc.property(message, message, (first, second) => {
        try {
          startScram({ ...PLAIN_OPTIONS, binding: BINDING })
            .next(first)
            .next(keys)
            .next(second);
        } catch (error) {
          expect(error).toBeInstanceOf(AuthError);
        }
      }),
    );
  });
});

describe('SCRAM-SHA-256-PLUS (RFC 5802 §6)', () => {
  const options: ScramOptions = { plus: true, binding: BINDING, nonce: 'server' };
  const header = 'p=tls-exporter,,';
  const bound = (data: string) => (nonce: string) =>
    `c=${text(`${header}${data}`).toString('base64')},r=${nonce}`;

  it('accepts who speaks of this session, and of this alone', async () => {
    const keys = [await keysOf('pencil')] as [ScramKeys];
    const given = { first: `${header}n=user,r=clientnonce`, options, keys };
    expect((await talk('pencil', { ...given, final: bound('session') })).fits).toBe(0);
    for (const final of [bound('another'), bound(''), bound('session '), undefined]) {
      const doing = talk('pencil', { ...given, ...(final && { final }) });
      await expect(doing).rejects.toMatchObject({ code: 'channel-binding' });
    }
  });

  it.each([
    ['a type that there is not', 'p=tls-unique,,', 'channel-binding'],
    ['none', 'n,,', 'malformed-response'],
    ['one that the client thinks we lack', 'y,,', 'malformed-response'],
  ])('refuses %s', (_, flag, code) => {
    const message = text(`${flag}n=user,r=clientnonce`);
    expect(() => startScram(options).next(message)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses a client that was not told of it', () => {
    const downgraded = { ...options, plus: false };
    const message = (flag: string) => text(`${flag},,n=user,r=clientnonce`);
    expect(() => startScram(downgraded).next(message('y'))).toThrow(
      expect.objectContaining({ code: 'channel-binding' }),
    );
    // who knows no binding is let in without, and so is who rightly thinks that there is none
    expect(startScram(downgraded).next(message('n')).kind).toBe('scram');
    expect(startScram(PLAIN_OPTIONS).next(message('y')).kind).toBe('scram');
  });
});
