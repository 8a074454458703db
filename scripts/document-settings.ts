/**
 * Writes docs/settings.md from the schemas that read the settings: names, defaults and comments are theirs.
 * With --check it changes nothing and fails when the page is not what the schemas say.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const PAGE = 'docs/settings.md';

/** Heading to the sources of its settings, in the order of the page. */
export const SECTIONS: readonly (readonly [string, readonly string[]])[] = [
  ['Every process', ['packages/service/src/config.ts']],
  [
    'Every mail service',
    [
      'packages/certs/src/certificates.ts',
      'packages/store/src/settings.ts',
      'packages/auth/src/oidc/settings.ts',
    ],
  ],
  ['cert-registry', ['services/cert-registry/src/config.ts']],
  ['cert-registry: sources of certificates', ['services/cert-registry/src/sources/config.ts']],
  ['cert-registry: certificates by ACME', ['services/cert-registry/src/sources/acme/config.ts']],
  ['cert-registry: DANE', ['services/cert-registry/src/dane/config.ts']],
  ['cert-registry: warnings by mail and webhook', ['services/cert-registry/src/notify/config.ts']],
  ['smtp', ['services/smtp/src/config.ts']],
  ['pop', ['services/pop/src/config.ts']],
  ['imap', ['services/imap/src/config.ts']],
];

const INTRODUCTION = `# Settings

<!-- Written by scripts/document-settings.ts from the schemas; change it there. -->

A setting has one name everywhere. It comes from the environment, or from the file that \`CONCERT_CONFIG\` names
(dotenv syntax: one \`NAME=value\` a line); the environment wins. \`NAME_FILE\` reads the value from a file instead, as
container secrets want it: \`CONCERT_REGISTRY_KEY_FILE=/run/secrets/vault-key\`. A bad setting ends the process with
one line that names it.

\`npm start\` hands each process only those settings of its environment that the process reads; the file that
\`CONCERT_CONFIG\` names is read by all of them.

Durations are written \`250ms\`, \`30s\`, \`5m\`, \`2h\`, \`20d\`; sizes \`65536\`, \`64KiB\`, \`50MiB\`.

Listeners are a list of URLs: \`tls://0.0.0.0:993\` (implicit TLS), \`starttls://[::]:143\`, \`none://127.0.0.1:1143\` (loopback only).
Parameters: \`proxy=10.0.0.0/8\` names networks whose connections begin with a PROXY protocol header (v1 or v2; others
must not send one), \`login=plain\` allows logins without TLS (on loopback only), \`role=mx\` or \`role=submission\` says
what an SMTP listener is for.
`;

export interface Setting {
  readonly name: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** The settings of one schema: each key with the comment above it and its default. */
export function readSettingsOf(source: string): Setting[] {
  const entry =
    /(?:\/\*\*((?:[^*]|\*(?!\/))*)\*\/\s*)?^ +(CONCERT_[A-Z0-9_]+): ((?:[^,'`(]|'[^']*'|\((?:[^()]|\([^()]*\))*\)|`[^`]*`)+),$/gm;
  return Array.from(source.matchAll(entry), ([, comment = '', name = '', schema = '']) => {
    const [, call = ''] =
      /\.(?:prefault|default)\(([\s\S]*?)\)\s*$/.exec(schema) ??
      /\.(?:prefault|default)\(([^)]*)\)/.exec(schema) ??
      [];
    const literals = Array.from(call.matchAll(/'([^']*)'/g), ([, text = '']) => text);
    return {
      name,
      fallback: /^\s*(?:'[^']*'\s*\+?\s*)+,?\s*$/.test(call) ? literals.join('') : '',
      meaning: comment.replaceAll(/\s*\n\s*\*\s?/g, ' ').trim(),
    };
  });
}

function page(): string {
  const sections = SECTIONS.map(([heading, files]) => {
    const rows = files
      .flatMap((file) => readSettingsOf(readFileSync(join(root, file), 'utf8')))
      .map(
        ({ name, fallback, meaning }) =>
          `| \`${name}\` | ${fallback && `\`${fallback}\``} | ${meaning.replaceAll('|', '\\|')} |`,
      );
    return [
      `## ${heading}`,
      '',
      '| setting | default | meaning |',
      '| --- | --- | --- |',
      ...rows,
      '',
    ].join('\n');
  });
  return [INTRODUCTION, ...sections].join('\n');
}

if (import.meta.main) {
  const wanted = page();
  if (!process.argv.includes('--check')) writeFileSync(join(root, PAGE), wanted);
  else if (readFileSync(join(root, PAGE), 'utf8') !== wanted) {
    console.error(`${PAGE} is not what the schemas say: run npm run document-settings`);
    process.exit(1);
  }
}
