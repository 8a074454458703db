import { expect, test } from 'vitest';
import { checkHouse } from './check-house.ts';

const rulesFor = (path: string, text: string): string[] =>
  checkHouse([{ path, text }]).map(({ rule }) => rule);

test.each([
  ['services/imap/src/app.ts', "import { x } from '@mail/pop';", /may not import @mail\/pop/],
  ['packages/x509/src/parse.ts', "import { x } from '@mail/store';", /may not import/],
  ['packages/x509/src/parse.ts', "import { readFileSync } from 'node:fs';", /pure code imports/],
  ['services/imap/src/parser/fetch.ts', 'const now = Date.now();', /reads a clock/],
  ['services/imap/src/app.ts', "import { x } from '@mail/store/src/schema.ts';", /deep import/],
  ['services/imap/src/app.ts', "import { x } from '@mail/certs/material.ts';", /deep import/],
  ['services/imap/src/app.ts', "import { x } from '@mail/certs/testing';", /imports \/testing/],
  ['services/imap/src/app.ts', "import { x } from './app.test.ts';", /imports tests/],
  [
    'services/imap/src/app.ts',
    "import { x } from '../../pop/src/app.ts';",
    /out of services\/imap/,
  ],
  ['services/imap/src/app.ts', "import { Kysely } from 'kysely';", /SQL/],
  ['services/imap/src/app.ts', "import { Client } from '@grpc/grpc-js';", /gRPC/],
  ['services/imap/src/app.ts', 'const secureContext = 1;', /TLS context/],
  ['services/imap/src/app.ts', "const x = process.env['HOME'];", /environment/],
])('%s with %s is a breach', (path, text, rule) => {
  expect(rulesFor(path, text).join()).toMatch(rule);
});

test.each([
  ['services/imap/src/app.ts', "import { openStore } from '@mail/store';"],
  ['services/imap/src/app.test.ts', "import { x } from '@mail/certs/testing';"],
  ['services/smtp/src/serve.ts', "import { x } from '@mail/certs/smtp-server';"],
  ['packages/x509/src/parse.ts', '// Date.now() is never called here'],
  ['packages/service/src/config.ts', "const home = process.env['HOME'];"],
])('%s with %s is in order', (path, text) => {
  expect(rulesFor(path, text)).toEqual([]);
});

test('import circles are found, type imports are none', () => {
  const a = { path: 'packages/x509/src/a.ts', text: "import { b } from './b.ts';" };
  const b = { path: 'packages/x509/src/b.ts', text: "import { a } from './a.ts';" };
  expect(checkHouse([a, b]).map(({ rule }) => rule)).toEqual([
    'import circle: packages/x509/src/a.ts -> packages/x509/src/b.ts -> packages/x509/src/a.ts',
  ]);
  expect(checkHouse([a, { ...b, text: "import type { a } from './a.ts';" }])).toEqual([]);
});
