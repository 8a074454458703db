import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { hashAppPassword, PasswordHasher } from '@mail/auth';
import {
  AcmeFacts,
  Certificate,
  CertificateState,
  CheckSeverity,
  Fleet,
  Rotation,
  RotationState,
  Source,
  SourcePolicy,
  SourceState,
  SubscriberPhase,
} from '@mail/proto';
import { openStore } from '@mail/store';
import { bundleToPem, createSelfSigned, readSigningRequest } from '@mail/x509';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommandLine } from './program.ts';
import type { Terminal } from './terminal.ts';
import {
  type FakeRegistry,
  openFakeRegistry,
  refusal,
  writeIdentity,
} from './testing/fake-registry.ts';

const BIN = fileURLToPath(new URL('../bin/concert.mjs', import.meta.url));
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const NOW = new Date('2026-11-24T12:00:00Z');

let folder: string;
let registry: FakeRegistry;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'concert-cli-'));
  registry = await openFakeRegistry();
  await writeIdentity(
    join(folder, 'identities/operator/admin'),
    registry.ca,
    'spiffe://concert/operator/admin',
  );
  await writeFile(join(folder, 'cert.pem'), 'certificate');
  await writeFile(join(folder, 'key.pem'), 'key');
});

afterAll(async () => {
  registry.close();
  await rm(folder, { recursive: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, against the fake registry unless told otherwise. */
async function run(
  args: readonly string[],
  options: { input?: string; answers?: string[]; settings?: Record<string, string> } = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const terminal: Terminal = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    interactive: options.answers !== undefined,
    outputIsTerminal: false,
    colour: false,
    now: () => NOW,
    sayIfInterrupted: () => {},
    readSecretLine: async () => options.input ?? '',
    askHidden: async () => options.answers?.shift() ?? '',
    confirm: async () => options.answers?.shift() === 'y',
  };
  const settings = {
    CONCERT_DATA: folder,
    CONCERT_REGISTRY: registry.address,
    ...options.settings,
  };
  const code = await runCommandLine(args, terminal, () => settings, '/nowhere');
  return { code, out, err };
}

const certificate = Certificate.fromPartial({
  id: '3f2a9c01',
  label: 'October',
  state: CertificateState.CERTIFICATE_STATE_AVAILABLE,
  fingerprintSha256: 'ab'.repeat(32),
  subject: 'CN=mail.example.test',
  dnsNames: ['mail.example.test', 'imap.example.test'],
  keyType: 'ECDSA P-256',
  notBefore: new Date('2026-10-01T00:00:00Z'),
  notAfter: new Date('2027-01-31T12:00:00Z'),
});

const nameLoss = {
  code: 'name-loss',
  severity: CheckSeverity.CHECK_SEVERITY_ERROR,
  certificate: '3f2a9c01',
  message: 'It does not cover pop.example.test.',
  remedy: 'Get one that does, or allow the loss with --allow-name-loss.',
};

const FOLDER = Source.fromPartial({
  name: 'folder',
  policy: SourcePolicy.SOURCE_POLICY_ROTATE,
  state: SourceState.SOURCE_STATE_IDLE,
  detail: 'what it brought last is in force',
  location: '/certs',
  certificateId: '3f2a9c01',
  lastSuccessAt: new Date('2026-11-24T11:42:16Z'),
});
const REFUSED = {
  state: SourceState.SOURCE_STATE_FAILED,
  detail: 'the private key is another’s',
  checks: [{ ...nameLoss, code: 'key-mismatch', message: 'another key' }],
};

function rotation(state: RotationState, phases: [string, SubscriberPhase][]): Rotation {
  const committed = state !== RotationState.ROTATION_STATE_PREPARING;
  return Rotation.fromPartial({
    id: 7n,
    state,
    fromGeneration: 12n,
    toGeneration: committed ? 13n : 0n,
    toCertificateId: '3f2a9c01',
    skewMs: 0.21,
    verifiedMs: state === RotationState.ROTATION_STATE_VERIFIED ? 41.2 : 0,
    outcomes: phases.map(([service, phase]) => ({
      service,
      instance: 'host-1',
      phase,
      required: true,
      swapOffsetMs: 0.12,
      ports: [{ listener: `${service}s 127.0.0.1:2993` }],
    })),
  });
}

const { SUBSCRIBER_PHASE_PREPARING, SUBSCRIBER_PHASE_READY, SUBSCRIBER_PHASE_VERIFIED } =
  SubscriberPhase;

const GOOD_ROTATION = [
  {
    rotation: rotation(RotationState.ROTATION_STATE_PREPARING, [
      ['imap', SUBSCRIBER_PHASE_PREPARING],
      ['smtp', SUBSCRIBER_PHASE_READY],
    ]),
  },
  {
    rotation: rotation(RotationState.ROTATION_STATE_VERIFIED, [
      ['imap', SUBSCRIBER_PHASE_VERIFIED],
      ['smtp', SUBSCRIBER_PHASE_VERIFIED],
    ]),
  },
];

describe('cert', () => {
  test('import sends every file and prints the id', async () => {
    registry.answer('importCertificate', { certificate, checks: [], alreadyPresent: false });
    const files = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const { code, out } = await run(['cert', 'import', ...files, '--label', 'October', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      id: '3f2a9c01',
      state: 'available',
      notAfter: '2027-01-31T12:00:00.000Z',
      alreadyPresent: false,
      checks: [],
    });
    expect(registry.requests.at(-1)?.request).toMatchObject({
      blobs: [Buffer.from('certificate'), Buffer.from('key')],
      label: 'October',
    });
  });

  test('import asks a person for the passphrase that turns out to be needed', async () => {
    registry.answer(
      'importCertificate',
      refusal({
        code: status.INVALID_ARGUMENT,
        message: 'the key is encrypted',
        checks: [{ code: 'wrong-passphrase' }],
      }),
    );
    const file = join(folder, 'key.pem');
    const { code } = await run(['cert', 'import', file], { answers: ['sesame'] });
    expect(code).toBe(1);
    expect(registry.requests.at(-2)?.request).toMatchObject({ passphrase: '' });
    expect(registry.requests.at(-1)?.request).toMatchObject({ passphrase: 'sesame' });
  });

  test('import shows what the checks found and what to do', async () => {
    registry.answer(
      'importCertificate',
      refusal({ code: status.FAILED_PRECONDITION, message: 'refused', checks: [nameLoss] }),
    );
    const file = join(folder, 'cert.pem');
    const { code, out, err } = await run(['cert', 'import', file]);
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain('error name-loss: It does not cover pop.example.test.');
    expect(err).toContain('allow the loss with --allow-name-loss');
    const asJson = await run(['cert', 'import', file, '--json']);
    expect(asJson.err).toBe('');
    expect(JSON.parse(asJson.out)).toEqual({
      error: {
        code: 'refused',
        message: 'refused',
        checks: [{ ...nameLoss, severity: 'error' }],
      },
    });
  });

  test('list shows names, days left, and no escape sequences of strangers', async () => {
    const label = '\x1b[2Jevil\u202e';
    registry.answer('listCertificates', { certificates: [{ ...certificate, label }] });
    const { code, out } = await run(['cert', 'list']);
    expect(code).toBe(0);
    expect(out).toContain('mail.example.test and 1 more  ECDSA P-256  68 days left  [2Jevil');
    expect(out).not.toContain('\x1b');
    expect(out).not.toContain('\u202e');
  });

  test('rotate tells of each subscriber ready, active, verified, and of the skew', async () => {
    registry.answer('rotateCertificate', GOOD_ROTATION);
    const { code, out } = await run(['cert', 'rotate', '3f2a9c01', '--require', 'imap,smtp']);
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      'Rotating to 3f2a9c01',
      '  ready     smtp host-1',
      '  ready     imap host-1',
      '  committed generation 13',
      '  active    imap host-1  +0.12 ms',
      '  verified  imap host-1  on imaps 127.0.0.1:2993',
      '  active    smtp host-1  +0.12 ms',
      '  verified  smtp host-1  on smtps 127.0.0.1:2993',
      'Generation 13 is in force. 2 of 2 subscribers verified in 41 ms, skew 0.21 ms.',
      '',
    ]);
    expect(registry.requests.at(-1)?.request).toMatchObject({
      certificateId: '3f2a9c01',
      options: {
        require: { policy: { $case: 'services', value: { services: ['imap', 'smtp'] } } },
      },
    });
  });

  test.each(['rotate', 'rollback'])(
    '%s that is refused does not say that it goes ahead',
    async (word) => {
      const refused = refusal({ code: status.NOT_FOUND, message: 'no certificate' });
      registry.answer(`${word}Certificate`, refused);
      const { code, out, err } = await run(['cert', word, ...(word === 'rotate' ? ['zzzz'] : [])]);
      expect([code, out, err]).toEqual([3, '', 'concert: no certificate\n']);
    },
  );

  test('source list tells how each stands, and what the checks refused', async () => {
    registry.answer('listSources', { sources: [FOLDER, { ...FOLDER, name: 'acme', ...REFUSED }] });
    const { code, out } = await run(['source', 'list']);
    expect(code).toBe(0);
    expect(out).toContain('folder  idle    rotate  3f2a9c01     2026-11-24 11:42:16Z');
    expect(out).toContain('acme    the private key is another’s');
    expect(out).toContain('error key-mismatch: another key');
    const asJson = JSON.parse((await run(['source', 'list', '--json'])).out);
    expect(asJson.sources).toMatchObject([
      { name: 'folder', state: 'idle', policy: 'rotate', nextActionAt: null, acme: null },
      { name: 'acme', state: 'failed', checks: [{ code: 'key-mismatch', severity: 'error' }] },
    ]);
  });

  test('source list says where there is none', async () => {
    registry.answer('listSources', { sources: [] });
    expect((await run(['source', 'list'])).out).toContain('No source of certificates');
  });

  test('source run tells what it does and how the switch goes', async () => {
    const working = { ...FOLDER, state: SourceState.SOURCE_STATE_WORKING, detail: 'reads /certs' };
    registry.answer('runSource', [
      { source: working },
      ...GOOD_ROTATION.map(({ rotation }) => ({ source: working, rotation })),
      { source: FOLDER },
    ]);
    const { code, out } = await run(['source', 'run', 'folder', '--force']);
    expect(code).toBe(0);
    expect(out.split('\n').slice(0, 3)).toEqual([
      'folder reads /certs',
      '  ready     smtp host-1',
      '  ready     imap host-1',
    ]);
    expect(out).toContain('Generation 13 is in force. 2 of 2 subscribers verified');
    expect(out).toContain('folder idle: what it brought last is in force.\n');
    expect(registry.requests.at(-1)?.request).toEqual({ name: 'folder', force: true });
    const asJson = JSON.parse((await run(['source', 'run', 'folder', '--json'])).out);
    expect(asJson).toMatchObject({ source: { state: 'idle' }, rotation: { toGeneration: 13 } });
  });

  test('rotate --json prints one object at the end', async () => {
    registry.answer('rotateCertificate', GOOD_ROTATION);
    const { code, out } = await run([
      ...['cert', 'rotate', '3f2a9c01', '--require', 'none', '--timeout', '2s'],
      ...['--allow-name-loss', '--drain-previous', '--json'],
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      id: 7,
      state: 'verified',
      toGeneration: 13,
      skewMs: 0.21,
      outcomes: [{ service: 'imap', phase: 'verified' }, { service: 'smtp' }],
    });
    expect(registry.requests.at(-1)?.request).toMatchObject({
      options: {
        require: { policy: { $case: 'none' } },
        allowNameLoss: true,
        drainPrevious: true,
        prepareTimeoutMs: 2000,
      },
    });
  });

  test('a refused rotation says who, why and what to do', async () => {
    const failed = Rotation.fromPartial({
      state: RotationState.ROTATION_STATE_ABORTED,
      outcomes: [
        {
          service: 'imap',
          instance: 'host-1',
          phase: SubscriberPhase.SUBSCRIBER_PHASE_REJECTED,
          code: 'unusable-material',
          detail: 'the key does not fit',
          required: true,
        },
      ],
    });
    registry.answer(
      'rotateCertificate',
      refusal({
        code: status.ABORTED,
        message: 'imap host-1 rejected the certificate; nothing was switched',
        rotation: failed,
      }),
    );
    const { code, err } = await run(['cert', 'rotate', '3f2a9c01']);
    expect(code).toBe(1);
    expect(err).toContain('imap host-1 rejected: unusable-material; the key does not fit');
    expect(err).toContain('--require can leave it out');
    const asJson = await run(['cert', 'rotate', '3f2a9c01', '--json']);
    expect(JSON.parse(asJson.out)).toMatchObject({
      error: { code: 'rotation-refused', rotation: { outcomes: [{ phase: 'rejected' }] } },
    });
  });

  test('a switch that not everybody proved exits with 5', async () => {
    const snapshot = rotation(RotationState.ROTATION_STATE_INCOMPLETE, [
      ['imap', SUBSCRIBER_PHASE_VERIFIED],
      ['smtp', SubscriberPhase.SUBSCRIBER_PHASE_UNVERIFIED],
    ]);
    registry.answer('rollbackCertificate', [{ rotation: snapshot }]);
    const { code, out } = await run(['cert', 'rollback']);
    expect(code).toBe(5);
    expect(out).toContain('1 of 2 subscribers verified');
    expect(out).toContain('smtp host-1 unverified');
  });

  test.each([
    ['the connection breaks', refusal({ code: status.UNAVAILABLE, message: 'Connection dropped' })],
    ['the time is out', refusal({ code: status.DEADLINE_EXCEEDED, message: 'Deadline exceeded' })],
    ['the stream ends early', undefined],
  ])('once begun, a rotation is of unknown outcome when %s', async (_, end) => {
    const [begun] = GOOD_ROTATION;
    registry.answer(
      'rotateCertificate',
      [begun, end].filter((part) => part !== undefined),
    );
    const { code, err } = await run(['cert', 'rotate', '3f2a9c01']);
    expect(code).toBe(6);
    expect(err).toContain('cut off after rotation 7 had begun, last seen preparing');
    expect(err).toContain('concert rotations');
    const asJson = await run(['cert', 'rotate', '3f2a9c01', '--json']);
    expect(JSON.parse(asJson.out)).toMatchObject({
      error: { code: 'outcome-unknown', rotation: { id: 7 } },
    });
  });

  test('what the registry says of a rotation that has begun stays its word', async () => {
    const word = refusal({ code: status.ABORTED, message: 'nothing was switched' });
    registry.answer('rotateCertificate', [...GOOD_ROTATION.slice(0, 1), word]);
    expect((await run(['cert', 'rotate', '3f2a9c01'])).code).toBe(1);
  });

  test.each(['99ms', '301s', '10m', 'soon'])(
    '--timeout %s is refused before anything is said',
    async (span) => {
      const before = registry.requests.length;
      const { code, out, err } = await run(['cert', 'rotate', '3f2a9c01', '--timeout', span]);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('--timeout');
      expect(err).toContain('from 100 ms to 300000 ms');
      expect(registry.requests).toHaveLength(before);
    },
  );

  test('preview says no with exit code 1', async () => {
    registry.answer('previewRotation', {
      certificate,
      allowed: false,
      checks: [nameLoss],
      namesGained: [],
      namesLost: ['pop.example.test'],
      participants: [],
    });
    const { code, out } = await run(['cert', 'preview', '3f2a']);
    expect(code).toBe(1);
    expect(out).toContain('Names lost: pop.example.test');
  });

  test('csr prints nothing but the request', async () => {
    registry.answer('createSigningRequest', { certificate, signingRequestPem: 'REQUEST\n' });
    const { out, err } = await run(['cert', 'csr', 'mail.example.test', '--key-type', 'rsa-2048']);
    expect(out).toBe('REQUEST\n');
    expect(err).toContain('concert cert complete 3f2a9c01 FILE...');
    expect(registry.requests.at(-1)?.request).toMatchObject({ keyType: 3 });
    registry.answer('completeSigningRequest', { certificate, checks: [] });
    const file = join(folder, 'cert.pem');
    expect((await run(['cert', 'complete', '3f2a9c01', file])).code).toBe(0);
  });
});

test('fleet shows who lags, since when, and warnings', async () => {
  const fleet = Fleet.fromPartial({
    generation: 13n,
    activeCertificate: certificate,
    subscribers: [
      { service: 'imap', instance: 'host-1', state: 1, generation: 13n, activeSince: NOW },
      {
        service: 'smtp',
        instance: 'host-1',
        state: 1,
        generation: 12n,
        lagging: true,
        activeSince: new Date('2026-11-24T10:00:00Z'),
      },
    ],
    warnings: ['smtp host-1 serves generation 12'],
  });
  registry.answer('getFleet', { fleet });
  const { code, out } = await run(['fleet']);
  expect(code).toBe(0);
  expect(out).toContain(
    'Generation 13, certificate 3f2a9c01 (mail.example.test and 1 more), 68 days',
  );
  expect(out).toMatch(/imap +host-1 +serving +13 +0 s/);
  expect(out).toMatch(/smtp +host-1 +lagging +12 +2 h/);
  expect(out).toContain('Warning: smtp host-1 serves generation 12');
  registry.answer('watchFleet', [{ fleet }, { fleet }]);
  const watched = await run(['fleet', '--watch', '--json']);
  expect(
    watched.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).generation),
  ).toEqual([13, 13]);
});

test('rotations, names and audit', async () => {
  registry.answer('listRotations', {
    rotations: [
      rotation(RotationState.ROTATION_STATE_VERIFIED, [['imap', SUBSCRIBER_PHASE_VERIFIED]]),
    ],
  });
  expect((await run(['rotations', '--limit', '3'])).out).toContain('12 to 13');
  expect(registry.requests.at(-1)?.request).toMatchObject({ limit: 3 });
  registry.answer('getRequiredNames', { names: ['mail.example.test'] });
  expect((await run(['names'])).out).toBe('mail.example.test\n');
  registry.answer('setRequiredNames', { names: [] });
  registry.answer('listCertificates', { certificates: [] });
  registry.answer('listSources', { sources: [] });
  const none = await run(['names', 'set', '--force', '--json']);
  expect(none.out).toBe('{"names":[],"warnings":[]}\n');
  registry.answer('listAuditEvents', {
    events: [{ id: 1n, at: NOW, actor: 'a', action: 'start', target: '', outcome: 'ok' }],
  });
  expect((await run(['audit'])).out).toContain('2026-11-24 12:00:00Z');
});

test('names set tells what does not cover them', async () => {
  const [active, held] = [
    { ...certificate, state: CertificateState.CERTIFICATE_STATE_ACTIVE },
    { ...certificate, id: '77aa', dnsNames: ['*.example.test'] },
  ];
  registry.answer('setRequiredNames', { names: ['pop.example.test', 'mail.example.org'] });
  registry.answer('listCertificates', { certificates: [active, held] });
  registry.answer('listSources', {
    sources: [
      { ...FOLDER, certificateId: '77aa' },
      { ...FOLDER, name: 'acme', acme: AcmeFacts.fromPartial({ dnsNames: ['mail.example.org'] }) },
    ],
  });
  const set = ['names', 'set', 'pop.example.test', 'mail.example.org', '--force'];
  expect((await run(set)).out.split('\n')).toEqual([
    'Required: pop.example.test, mail.example.org',
    'Warning: the active certificate does not cover pop.example.test, mail.example.org: the next one has to',
    'Warning: 77aa, which folder holds, does not cover mail.example.org: it will be refused',
    'Warning: what acme orders does not cover pop.example.test: CONCERT_ACME_NAMES says which names',
    '',
  ]);
  registry.answer('listSources', refusal({ code: status.INTERNAL, message: 'because' }));
  const blind = await run([...set, '--json']);
  expect([blind.code, JSON.parse(blind.out).warnings]).toEqual([
    0,
    [expect.stringContaining('could not be looked up')],
  ]);
});

test('a switch that nobody was there to make has no skew', async () => {
  const nobody = rotation(RotationState.ROTATION_STATE_VERIFIED, []);
  registry.answer('listRotations', { rotations: [nobody] });
  const { out } = await run(['rotations']);
  expect(out).toContain('no subscriber was there to verify');
  expect(out).not.toContain(' ms ');
});

describe('account', () => {
  const settings = () => ({ CONCERT_STORE: `sqlite:${join(folder, 'mail/mail.db')}` });

  test('add, list, passwd, remove, with passwords that are never arguments', async () => {
    const options = { input: 'secret', settings: settings() };
    const added = await run(['account', 'add', 'Alice@Example.Test', '--password-stdin'], options);
    expect(added).toEqual({ code: 0, out: 'Added Alice@example.test.\n', err: '' });
    const store = await openStore({ url: options.settings.CONCERT_STORE });
    const hashOf = async () =>
      (await store.accounts.credentials('alice@example.test'))?.passwordHash ?? '';
    const hash = await hashOf();
    expect(await new PasswordHasher().verify(hash, 'secret')).toMatchObject({ correct: true });

    const typed = { answers: ['new', 'new'], settings: settings() };
    expect((await run(['account', 'passwd', 'alice@example.test'], typed)).code).toBe(0);
    expect(await new PasswordHasher().verify(await hashOf(), 'new')).toMatchObject({
      correct: true,
    });

    const listed = await run(['account', 'list', '--json'], options);
    expect(JSON.parse(listed.out).accounts).toContainEqual(
      expect.objectContaining({ address: 'Alice@example.test' }),
    );
    expect(listed.out).not.toContain('argon2');

    const remove = ['account', 'remove', 'alice@example.test'];
    expect((await run(remove, options)).code).toBe(2);
    expect((await run(remove, { answers: ['n'], settings: settings() })).code).toBe(2);
    expect(await hashOf()).not.toBe('');
    expect((await run(remove, { answers: ['y'], settings: settings() })).code).toBe(0);
    expect(await hashOf()).toBe('');
    await store.close();
  });

  const bob = ['add', 'bob@example.test', '--password-stdin'];

  test('app-password: shown once, listed without, removed', async () => {
    const options = { input: 'secret', settings: settings() };
    const dora = 'dora@example.test';
    await run(['account', 'add', dora, '--password-stdin'], options);
    const program = (...args: string[]) => run(['account', 'app-password', ...args], options);

    const added = await program('add', dora, 'phone', '--days', '30', '--json');
    const { password, ...view } = JSON.parse(added.out);
    expect(password).toMatch(/^([a-z2-9]{4}-){6}[a-z2-9]{4}$/);
    expect(view).toMatchObject({ address: dora, name: 'phone', lastUsedAt: null });
    expect(Date.parse(view.expiresAt) - Date.parse(view.createdAt)).toBeCloseTo(2_592e6, -5);
    expect((await program('add', dora, 'mutt')).out).toMatch(/^([a-z2-9]{4}-){6}[a-z2-9]{4}\n/);

    const store = await openStore({ url: options.settings.CONCERT_STORE });
    const hash = hashAppPassword(password) ?? '';
    expect((await store.appPasswords.find(dora, hash))?.appPassword.name).toBe('phone');
    await store.close();

    const listed = await program('list', dora, '--json');
    expect(JSON.parse(listed.out).appPasswords).toMatchObject([
      { name: 'mutt' },
      { name: 'phone' },
    ]);
    expect(listed.out).not.toContain(password);
    expect((await program('list', dora)).out).toMatch(/^NAME +SINCE +LAST USED +EXPIRES\n/);

    expect((await program('add', dora, 'phone')).code).toBe(1);
    expect((await program('add', dora, '')).code).toBe(2);
    expect((await program('add', dora, 'x', '--days', '0')).code).toBe(2);
    expect((await program('add', 'nobody@example.test', 'x')).code).toBe(3);
    expect((await program('remove', dora, 'phone')).code).toBe(0);
    expect((await program('remove', dora, 'phone')).code).toBe(3);
  });

  beforeAll(async () => {
    await run(['account', ...bob], { input: 'secret', settings: settings() });
  });

  test.each([
    ['an address twice', bob, 1, 'refused'],
    ['what is no address', ['add', 'bob', '--password-stdin'], 2, 'usage'],
    ['an unknown account', ['passwd', 'nobody@example.test', '--password-stdin'], 3, 'not-found'],
    ['the removal of nobody', ['remove', 'nobody@example.test', '--yes'], 3, 'not-found'],
  ])('%s', async (_name, args, code, word) => {
    const options = { input: 'secret', settings: settings() };
    const result = await run(['account', ...args, '--json'], options);
    expect([result.code, JSON.parse(result.out).error.code]).toEqual([code, word]);
  });

  test('two passwords that differ, and an empty one', async () => {
    const add = ['account', 'add', 'carol@example.test'];
    const differ = await run(add, { answers: ['one', 'two'], settings: settings() });
    expect([differ.code, differ.err]).toEqual([2, 'concert: the two passwords differ\n']);
    expect((await run(add, { answers: [''], settings: settings() })).code).toBe(2);
  });

  test('a store that does not open', async () => {
    const garbage = join(folder, 'garbage.db');
    await writeFile(garbage, 'x'.repeat(10_000));
    const result = await run(['account', 'list'], {
      settings: { CONCERT_STORE: `sqlite:${garbage}` },
    });
    expect(result.code).toBe(69);
    expect(result.err).toContain(garbage);
  });
});

describe('domains, aliases and quotas', () => {
  const settings = () => ({ CONCERT_STORE: `sqlite:${join(folder, 'directory/mail.db')}` });
  const concert = async (line: string) =>
    run(line.split(' '), { input: 'secret', settings: settings() });
  const json = async (line: string) => JSON.parse((await concert(`${line} --json`)).out);
  const code = async (line: string) => {
    const result = await concert(`${line} --json`);
    return [result.code, JSON.parse(result.out).error.code];
  };

  beforeAll(async () => {
    for (const line of [
      'account add dora@example.net --password-stdin --quota 5GB --messages 1000',
      'account add emil@example.net --password-stdin',
      'domain add example.org --catch-all emil@example.net --quota 1.5MiB',
      'alias add sales@example.org dora@example.net emil@example.net',
    ]) {
      expect(await concert(line), line).toMatchObject({ code: 0, err: '' });
    }
  });

  test('a quota is set, shown, and left to the domain', async () => {
    expect((await concert('account quota dora@example.net')).out).toBe(
      'dora@example.net holds 0 B in 0 messages; quota: 5 GB, 1000 messages.\n',
    );
    expect((await concert('account list')).out).toMatch(
      /^ADDRESS +HOLDS +MESSAGES +QUOTA +SINCE\ndora@example.net +0 B +0 +5 GB, 1000 messages +2/,
    );
    expect((await json('account list')).accounts[1]).toMatchObject({
      address: 'emil@example.net',
      used: { octets: 0, messages: 0 },
      limits: { octets: null, messages: null },
    });
    await concert('domain set example.net --quota 2GB --messages 10');
    expect(await json('account quota emil@example.net')).toEqual({
      address: 'emil@example.net',
      used: { octets: 0, messages: 0 },
      limits: { octets: 2e9, messages: 10 },
    });
    await concert('account quota emil@example.net none --messages 20');
    expect((await json('account quota emil@example.net')).limits).toEqual({
      octets: null,
      messages: 20,
    });
    const again = await json('account quota emil@example.net default --messages default');
    expect(again.limits).toEqual({ octets: 2e9, messages: 10 });
    expect((await json('domain set example.net --quota none')).limits.octets).toBeNull();
  });

  test('domains and aliases are listed', async () => {
    expect((await concert('domain list')).out).toMatch(
      /\nexample.org +0 +1 +1.6 MB +emil@example.net +2/,
    );
    expect((await json('domain list')).domains[1]).toMatchObject({
      name: 'example.org',
      accounts: 0,
      aliases: 1,
      catchAll: 'emil@example.net',
      limits: { octets: 1_572_864, messages: null },
    });
    expect((await concert('alias list')).out).toMatch(
      /^ALIAS +STANDS FOR +SINCE\nsales@example.org +dora@example.net, emil@example.net +2/,
    );
    expect((await json('alias list')).aliases).toMatchObject([
      {
        address: 'sales@example.org',
        targets: [
          { address: 'dora@example.net', reachable: true },
          { address: 'emil@example.net', reachable: true },
        ],
      },
    ]);
  });

  test('an alias that leads to nobody any more is told as such', async () => {
    await concert('account add gone@example.net --password-stdin');
    await concert('alias add old@example.org gone@example.net dora@example.net');
    await concert('account remove gone@example.net --yes');
    expect((await concert('alias list')).out).toContain('gone@example.net (leads nowhere)');
    expect((await concert('alias remove old@example.org gone@example.net')).out).toBe(
      'old@example.org stands for gone@example.net no more.\n',
    );
    expect((await concert('alias remove old@example.org')).out).toBe(
      'Removed the alias old@example.org.\n',
    );
  });

  test('a domain goes when nothing is in it, and not before', async () => {
    await concert('domain add example.edu');
    await concert('alias add info@example.edu dora@example.net');
    expect((await concert('domain remove example.edu')).err).toBe(
      'concert: example.edu still has the alias info@example.edu\n',
    );
    await concert('alias remove info@example.edu');
    expect((await concert('domain remove example.edu')).out).toBe('Removed example.edu.\n');
  });

  test.each([
    ['domain add example.org', 1, 'refused'],
    ['domain add example..org', 2, 'usage'],
    ['domain set nowhere.test --quota 5GB', 3, 'not-found'],
    ['domain set example.org --quota five', 2, 'usage'],
    ['domain set example.org --quota default', 2, 'usage'],
    ['domain set example.org --messages -1', 2, 'usage'],
    ['alias add sales@example.org', 2, 'usage'],
    ['alias add x@example.org someone@elsewhere.test', 1, 'refused'],
    ['alias add x@nowhere.test dora@example.net', 3, 'not-found'],
    ['alias remove nobody@example.org', 3, 'not-found'],
    ['account add sales@example.org --password-stdin', 1, 'refused'],
    ['account quota nobody@example.net', 3, 'not-found'],
    ['account quota dora@example.net lots', 2, 'usage'],
  ])('%s', async (line, exitCode, word) => {
    expect(await code(line)).toEqual([exitCode, word]);
  });
});

test('identity issue keeps the key here and writes a folder that others cannot read', async () => {
  registry.answer('issueIdentity', { chainPem: 'CHAIN', caPem: 'CA' });
  const out = join(folder, 'alice');
  const { code } = await run(['identity', 'issue', 'operator/alice', '--out', out]);
  expect(code).toBe(0);
  expect(await readFile(join(out, 'key.pem'), 'utf8')).toContain('BEGIN PRIVATE KEY');
  expect((await stat(join(out, 'key.pem'))).mode & 0o777).toBe(0o600);
  const request = registry.requests.at(-1)?.request as { signingRequestPem: string };
  expect(request.signingRequestPem).not.toContain('PRIVATE');
  expect(readSigningRequest(request.signingRequestPem)).toBeDefined();
  const again = await run(['identity', 'issue', 'operator/alice', '--out', out]);
  expect(again.code).toBe(2);
  expect(again.err).toContain('--replace');
  const key = await readFile(join(out, 'key.pem'), 'utf8');
  const replaced = await run(['identity', 'issue', 'operator/alice', '--out', out, '--replace']);
  expect(replaced.code).toBe(0);
  expect(await readFile(join(out, 'key.pem'), 'utf8')).not.toBe(key);
  expect((await readdir(out)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
  expect((await run(['identity', 'issue', 'root/x', '--out', `${out}2`])).code).toBe(2);
});

describe('an identity', () => {
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  const uri = 'spiffe://concert/service/imap';

  test('that has expired is replaced, and only by the same', async () => {
    registry.answer('issueIdentity', { chainPem: 'CHAIN', caPem: 'CA' });
    const out = join(folder, 'expired');
    await writeIdentity(out, registry.ca, uri, twoDaysAgo);
    expect((await run(['identity', 'issue', 'service/pop', '--out', out])).code).toBe(2);
    expect((await run(['identity', 'issue', 'service/imap', '--out', out])).code).toBe(0);
    expect(await readFile(join(out, 'cert.pem'), 'utf8')).toBe('CHAIN');
  });

  test('that is being renewed by another process is left alone', async () => {
    const out = join(folder, 'busy');
    await writeIdentity(out, registry.ca, uri, twoDaysAgo);
    await writeFile(join(out, 'renewal.lock'), '');
    const { code, err } = await run(['identity', 'issue', 'service/imap', '--out', out]);
    expect([code, err]).toEqual([1, expect.stringContaining('another process is renewing')]);
  });

  test('that has expired says so, and what mends it, and calls nobody', async () => {
    const identity = join(folder, 'old-admin');
    await writeIdentity(identity, registry.ca, 'spiffe://concert/operator/admin', twoDaysAgo);
    const before = registry.requests.length;
    const { code, err } = await run(['fleet', '--identity', identity]);
    expect(code).toBe(4);
    expect(err).toMatch(
      /the identity spiffe:\/\/concert\/operator\/admin in \S+ expired on \d{4}-\d\d-\d\dT/,
    );
    expect(err).toContain(`concert identity issue operator/admin --out ${identity} --replace`);
    expect(registry.requests).toHaveLength(before);
  });

  test('for a folder that cannot be', async () => {
    const out = join(folder, 'cert.pem', 'below-a-file');
    const { code, err } = await run(['identity', 'issue', 'service/imap', '--out', out]);
    expect([code, err]).toEqual([2, expect.stringContaining('ENOTDIR')]);
  });
});

describe('identity renew', () => {
  test('replaces the identity that calls, which names itself by its connection alone', async () => {
    registry.answer('renewIdentity', { chainPem: 'CHAIN', caPem: 'CA' });
    const identity = join(folder, 'to-renew');
    await writeIdentity(identity, registry.ca, 'spiffe://concert/operator/alice');
    const key = await readFile(join(identity, 'key.pem'), 'utf8');
    const { code, out } = await run(['identity', 'renew', '--identity', identity]);
    expect([code, out]).toEqual([0, `A renewed identity is in ${identity}.\n`]);
    const request = registry.requests.at(-1)?.request as { signingRequestPem: string };
    expect(readSigningRequest(request.signingRequestPem)).toBeDefined();
    expect(await readFile(join(identity, 'cert.pem'), 'utf8')).toBe('CHAIN');
    expect(await readFile(join(identity, 'key.pem'), 'utf8')).not.toBe(key);
    expect((await readdir(identity)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
  });

  test('to a Secret, outside a cluster', async () => {
    registry.answer('renewIdentity', { chainPem: 'CHAIN', caPem: 'CA' });
    const { code, err } = await run(['identity', 'renew', '--secret', 'concert-identity-imap']);
    expect([code, err]).toEqual([2, expect.stringContaining('there is no service account in')]);
  });
});

describe('what goes wrong', () => {
  test.each([
    ['no command', [], 2],
    ['an unknown command', ['cert', 'frobnicate'], 2],
    ['an unknown option', ['fleet', '--colour'], 2],
    ['a missing argument', ['cert', 'show'], 2],
    ['a bad number', ['rotations', '--limit', '0'], 2],
    ['a bad policy', ['cert', 'rotate', 'x', '--require', 'IMAP!'], 2],
    ['a file that is not there', ['cert', 'import', '/no/such/file.pem'], 2],
    ['help', ['cert', 'rotate', '--help'], 0],
    ['the version', ['--version'], 0],
  ])('%s', async (_name, args, code) => {
    const plain = await run(args);
    expect(plain.code).toBe(code);
    const asJson = await run([...args, '--json']);
    expect(asJson.code).toBe(code);
    if (code === 2) {
      expect(plain.out).toBe('');
      expect(plain.err).not.toBe('');
      expect(JSON.parse(asJson.out).error.code).toBe('usage');
    }
  });

  test.each([
    [status.NOT_FOUND, 'not-found', 3],
    [status.PERMISSION_DENIED, 'not-permitted', 4],
    [status.UNAUTHENTICATED, 'not-permitted', 4],
    [status.FAILED_PRECONDITION, 'refused', 1],
    [status.INVALID_ARGUMENT, 'usage', 2],
    [status.DEADLINE_EXCEEDED, 'timed-out', 69],
    [status.INTERNAL, 'bug', 70],
  ])('gRPC status %i is %s', async (code, word, exitCode) => {
    registry.answer('getCertificate', refusal({ code, message: 'because' }));
    const result = await run(['cert', 'show', 'x', '--json']);
    expect(result.code).toBe(exitCode);
    expect(JSON.parse(result.out).error.code).toBe(word);
  });

  test.each([
    ['4f9c-17', /the request 4f9c-17\./],
    ['no id [2J', /^[^[]*the registry failed: because[^[]*$/],
  ])('a fault of the registry names the request in its log: %j', async (id, said) => {
    const fault = refusal({ code: status.INTERNAL, message: 'because' });
    fault.metadata.set('x-request-id', id);
    registry.answer('getCertificate', fault);
    const { code, err } = await run(['cert', 'show', 'x']);
    expect([code, err]).toEqual([70, expect.stringMatching(said)]);
  });

  test('a change that was not answered may have been made', async () => {
    registry.answer(
      'setRequiredNames',
      refusal({ code: status.DEADLINE_EXCEEDED, message: 'Deadline exceeded' }),
    );
    const { code, err } = await run(['names', 'set', 'mail.example.test']);
    expect([code, err]).toEqual([69, expect.stringContaining('before you repeat the change')]);
  });

  test('a registry that is not there', async () => {
    const { code, err } = await run(['fleet'], { settings: { CONCERT_REGISTRY: '127.0.0.1:1' } });
    expect(code).toBe(69);
    expect(err).toContain('not reachable at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n');
    expect(err).toContain('npm start');
  });

  test.each<[string, string | undefined, RegExp]>([
    ['in the clear', undefined, /: no TLS there, [^:]*$/m],
    ['TLS and another protocol', 'imap', /: TLS there but no gRPC, [^:]*$/m],
    ['TLS of another CA', 'h2', /: what answers there has no certificate of the CA in /],
  ])('the port of a server that speaks %s', async (_, alpn, said) => {
    const now = new Date();
    const { chainPem, privateKeyPem } = bundleToPem(
      await createSelfSigned({ names: ['localhost'], days: 1, now, keyType: 'ecdsa-p256' }),
    );
    const server =
      alpn === undefined
        ? createServer((socket) => socket.on('error', () => {}).write('* OK hello\r\n'))
        : createTlsServer({ cert: chainPem, key: privateKeyPem, ALPNProtocols: [alpn] });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, err } = await run(['fleet', '--registry', `127.0.0.1:${port}`]);
    server.close();
    expect(code).toBe(69);
    expect(err).toMatch(said);
    expect(err).not.toMatch(/SSL|openssl|self-signed/);
  });

  test('a server that does not prove that it is the registry', async () => {
    const impostor = await openFakeRegistry({ uri: 'spiffe://concert/service/imap' });
    const identity = join(folder, 'impostor');
    await writeIdentity(identity, impostor.ca, 'spiffe://concert/operator/admin');
    const { code, err } = await run(['fleet', '--identity', identity], {
      settings: { CONCERT_REGISTRY: impostor.address },
    });
    expect(code).toBe(69);
    expect(err).toContain('does not prove that it is spiffe://concert/registry');
    expect(impostor.requests).toEqual([]);
    impostor.close();
  });

  test('no identity', async () => {
    const { code, err } = await run(['fleet', '--data', join(folder, 'empty')]);
    expect(code).toBe(4);
    expect(err).toContain('there is no identity in');
  });

  test('a damaged identity', async () => {
    const identity = join(folder, 'damaged');
    await writeIdentity(identity, registry.ca, 'spiffe://concert/operator/admin');
    await writeFile(join(identity, 'key.pem'), 'nonsense');
    const { code, err } = await run(['fleet', '--identity', identity]);
    expect(code).toBe(4);
    expect(err).toContain("can't be used");
  });
});

describe('the command as installed', () => {
  const start = (args: readonly string[], at = registry.address) =>
    spawn(process.execPath, [BIN, ...args], {
      env: { CONCERT_DATA: folder, CONCERT_REGISTRY: at },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  /** All that it says on standard error until it ends. */
  const told = async (child: ChildProcessByStdio<null | Writable, Readable, Readable>) => {
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    await once(child, 'close');
    return err;
  };

  test('passes arguments, output and exit code through', async () => {
    registry.answer('getCertificate', refusal({ code: status.NOT_FOUND, message: 'no 3f2a' }));
    const result = await new Promise<Ran>((resolve) => {
      const env = { CONCERT_DATA: folder, CONCERT_REGISTRY: registry.address };
      execFile(
        process.execPath,
        [BIN, 'cert', 'show', '3f2a', '--json'],
        { env },
        (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err }),
      );
    });
    expect(result).toEqual({
      code: 3,
      out: '{"error":{"code":"not-found","message":"no 3f2a"}}\n',
      err: '',
    });
  });

  test('takes a password from standard input', async () => {
    const codeFor = async (address: string, input: string, ...options: string[]) => {
      const child = start(['account', 'add', address, ...options]);
      child.stdin.end(input);
      const [code] = await once(child, 'close');
      return code;
    };
    const codes = await Promise.all([
      codeFor('dave@example.test', 'secret\n', '--password-stdin'),
      codeFor('erin@example.test', '', '--password-stdin'),
      // nobody can be asked
      codeFor('erin@example.test', ''),
    ]);
    expect(codes).toEqual([0, 2, 2]);
  });

  test('ends by the signal that it gets, command included', async () => {
    registry.keepOpen('watchFleet', [{ fleet: Fleet.fromPartial({ generation: 1n }) }]);
    const child = start(['fleet', '--watch']);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    const [code, signal] = await once(child, 'close');
    expect([code, signal]).toEqual([null, 'SIGTERM']);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s during a rotation ends it with %i, and it says what goes on',
    async (signal, code) => {
      registry.keepOpen('rotateCertificate', GOOD_ROTATION.slice(0, 1));
      // without what starts it: so it runs as the first process of a container
      const child = spawn(process.execPath, [MAIN, 'cert', 'rotate', '3f2a9c01'], {
        env: { CONCERT_DATA: folder, CONCERT_REGISTRY: registry.address },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const said = told(child);
      await once(child.stdout, 'data');
      child.kill(signal);
      expect(await said).toContain('goes on without this command: `concert rotations` shows');
      expect([child.exitCode, child.signalCode]).toEqual([code, null]);
    },
  );

  test('ends though the registry does not: at a port that is silent, and at a call that is not answered', async () => {
    const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    registry.keepOpen('getFleet', []);
    const children = [start(['fleet'], `127.0.0.1:${port}`), start(['fleet'])];
    for (const said of await Promise.all(children.map(told))) {
      expect(said).toMatch(/the registry at \S+ did not answer in time\n.*nothing was changed/);
    }
    expect(children.map(({ exitCode }) => exitCode)).toEqual([69, 69]);
    silent.close();
  });

  test('ends quietly when its reader has gone', async () => {
    registry.keepOpen('watchFleet', [{ fleet: Fleet.fromPartial({ generation: 1n }) }]);
    const child = start(['fleet', '--help']);
    child.stdout.destroy();
    let err = '';
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    await once(child, 'close');
    expect(err).toBe('');
  });
});
