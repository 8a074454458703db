/** Who may submit: tokens and application passwords beside the account's own password. */
import { createAppPassword } from '@mail/auth';
import { LocalIssuer } from '@mail/auth/testing';
import { runTranscript } from '@mail/line-server/testing';
import { parseAddress } from '@mail/store';
import nodemailer from 'nodemailer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PASSWORD, type RunningApp, startApp } from './testing/running-app.ts';

const ALICE = 'alice@example.test';
const BOB = 'bob@example.test';

let app: RunningApp;
let issuer: LocalIssuer;
beforeAll(async () => {
  issuer = await LocalIssuer.start();
  app = await startApp({ CONCERT_OIDC_ISSUER: issuer.url, CONCERT_OIDC_AUDIENCE: 'mail' });
});
afterAll(async () => {
  await app.close();
  await issuer.close();
});

function send(auth: object) {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: app.ports.submissions,
    secure: true,
    auth,
    tls: { ca: app.certificates.trusted.join(''), servername: 'localhost' },
  });
  return transport.sendMail({ from: ALICE, to: BOB, subject: 'hello', text: 'hello' });
}

test('XOAUTH2 takes a token of the issuer, for its own account', async () => {
  const token = await issuer.token({ email: ALICE });
  const given = { type: 'OAuth2', user: ALICE };
  expect((await send({ ...given, accessToken: token })).accepted).toEqual([BOB]);
  const old = await issuer.token({ email: ALICE, exp: 1 });
  await expect(send({ ...given, accessToken: old })).rejects.toMatchObject({ responseCode: 535 });
  const other = { type: 'OAuth2', user: BOB, accessToken: token };
  await expect(send(other)).rejects.toMatchObject({ responseCode: 535 });
});

test('an application password', async () => {
  const account = await app.store.accounts.find(ALICE);
  const made = await createAppPassword({
    addressKey: parseAddress(ALICE)?.key ?? '',
    saltSecret: await app.store.logins.saltSecret(),
  });
  await app.store.appPasswords.add(account?.id ?? 0, { name: 'printer', ...made });
  expect((await send({ user: ALICE, pass: made.password })).accepted).toEqual([BOB]);
  await expect(send({ user: BOB, pass: made.password })).rejects.toMatchObject({
    responseCode: 535,
  });
});

test('nobody acts for somebody else', async () => {
  const plain = Buffer.from(`${BOB}\0${ALICE}\0${PASSWORD}`).toString('base64');
  await runTranscript(
    `
    S: 220 <any>
    C: EHLO client.test
    S...
    S: 250-AUTH PLAIN LOGIN XOAUTH2
    S...
    S: 250 SIZE <any>
    C: AUTH PLAIN ${plain}
    S: 535 5.7.8 Nobody acts for somebody else here
    `,
    { port: app.ports.submissions, implicitTls: true },
  );
});
