/** `concert dane`: what DNS says of each key, and the zone-file lines of what is to be published. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { columns, plain, when } from '../output.ts';
import { type TlsaRecordView, tlsaRecordView } from '../views.ts';

/** Where no record shows the TTL of the set. */
const SUGGESTED_TTL_S = 3600;
/** Of a key's digest in the table; the lines below have it whole. */
const KEY_CHARACTERS = 16;

function standing(record: TlsaRecordView): string {
  if (record.settled) return 'settled';
  if (record.visibleSince !== null) return 'visible';
  return record.problem === '' ? 'not there' : 'unknown';
}

/** `_25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 …`, with the TTL of what is there. */
function zoneLine(record: TlsaRecordView, all: readonly TlsaRecordView[]): string {
  const ttls = all.filter(({ owner }) => owner === record.owner).map((one) => one.ttlSeconds);
  const ttl = Math.max(...ttls) || SUGGESTED_TTL_S;
  return `${record.owner}. ${ttl} IN TLSA 3 1 1 ${record.spkiSha256}`;
}

function lines(title: string, chosen: readonly (TlsaRecordView & { line: string })[]): string[] {
  if (chosen.length === 0) return [];
  const commented = chosen.map(({ line, use, certificateId }) =>
    plain(`${line} ; ${certificateId === '' ? use : `${use}, certificate ${certificateId}`}`),
  );
  return ['', title, ...commented];
}

function warnings(records: readonly TlsaRecordView[]): string[] {
  const owners = [...new Set(records.map(({ owner }) => owner))];
  return owners.flatMap((owner) => {
    const ofOwner = records.filter((record) => record.owner === owner);
    const problem = ofOwner.find((record) => record.problem !== '')?.problem;
    const seen = ofOwner.filter(({ visibleSince }) => visibleSince !== null);
    const unsigned = seen.length > 0 && !seen.some(({ authenticated }) => authenticated);
    return [
      ...(problem === undefined ? [] : [`${owner} could not be looked up: ${problem}`]),
      ...(unsigned
        ? [
            `the resolver does not say that DNSSEC vouches for ${owner}; without that nobody goes by it`,
          ]
        : []),
    ];
  });
}

async function show({ registry, palette }: CommandContext): Promise<CommandResult> {
  const client = await registry();
  const response = await client.unary(CertRegistryServiceService.listTlsaRecords, {});
  const views = response.records.map(tlsaRecordView);
  const records = views.map((view) => ({ ...view, line: zoneLine(view, views) }));
  if (records.length === 0) {
    const text = 'DANE is not switched on: set CONCERT_DANE_NAMES of the registry.';
    return { json: { records }, text };
  }
  const table = columns(
    ['OWNER', 'KEY', 'USE', 'CERTIFICATE', 'STATE', 'SINCE', 'TTL'],
    records.map((record) => [
      record.owner,
      record.spkiSha256.slice(0, KEY_CHARACTERS),
      record.use,
      record.certificateId,
      standing(record),
      when(record.visibleSince),
      record.ttlSeconds === 0 ? '' : `${record.ttlSeconds} s`,
    ]),
    (line, row) => {
      const record = records[row];
      const missing = record?.use === 'active' && record.visibleSince === null;
      return missing ? palette.bad(line) : line;
    },
  );
  const missing = records.filter(({ visibleSince }) => visibleSince === null);
  const needed = missing.filter(({ use }) => use === 'active' || use === 'next');
  const text = [
    table,
    ...lines('To publish:', needed),
    ...lines(
      'To publish before a switch to one of these, for twice the TTL:',
      missing.filter(({ use }) => use === 'held'),
    ),
    ...lines(
      'Of no key that the registry holds:',
      records.filter(({ use }) => use === 'foreign'),
    ),
    ...warnings(records).map((warning) => palette.warn(`Warning: ${plain(warning)}`)),
  ].join('\n');
  return { json: { records }, text };
}

export function addDaneCommand(program: Command, run: Run): void {
  program
    .command('dane')
    .description('show the TLSA records of all keys, and the lines of what is to be published')
    .addHelpText('after', examples('concert dane'))
    .action(() => run(show));
}
