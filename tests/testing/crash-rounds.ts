/**
 * Rounds of crashes: several IMAP clients and a sending server work on one account, then processes are
 * killed in the middle of it and started again, and everything that was acknowledged must be there, once.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { type CheckReport, type Fault, openStore } from '@mail/store';
import { type Answer, CrashClient, CutOff } from './crash-client.ts';
import { CrashModel, type Found, type FoundPlace, type Place } from './crash-model.ts';
import type { startSystem } from './system.ts';

type RunningSystem = Awaited<ReturnType<typeof startSystem>>;

/** What is killed: the IMAP service, the database server, or every process at once. */
export type CrashKind = 'imap' | 'database' | 'machine';

export interface DatabaseServer {
  kill(): Promise<void>;
  startAgain(): Promise<void>;
}

export interface CrashOptions {
  readonly system: RunningSystem;
  readonly storeUrl: string;
  /** The server that the store is on, where it is on one. */
  readonly server?: DatabaseServer;
  /** One round each. */
  readonly kinds: readonly CrashKind[];
  readonly seed: number;
  readonly tell?: (line: string) => void;
}

const CLIENTS = 4;
const MAILBOXES = ['INBOX', 'Archive', 'Junk'];
const FLAGS = ['\\Seen', '\\Flagged', '\\Answered', '$Work', 'later'];
/** A few octets, most of a row of the store, more than one row. */
const SIZES = [20, 200, 3_000, 3_000, 60_000, 400_000];
/** Acknowledged commands in a round. */
const COMMANDS = { least: 20, most: 160 };
/** Each client's messages have numbers of their own. */
const NUMBERS_PER_CLIENT = 1_000_000;

/** mulberry32: the same choices for the same seed, as far as the processes' own timing lets them. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function numberedMessage(number: number): Buffer {
  const size = SIZES[number % SIZES.length] ?? 0;
  const line = `${String(number % 10).repeat(70)}\r\n`;
  const body = line.repeat(Math.ceil(size / line.length));
  return Buffer.from(`Subject: number ${number}\r\n\r\n${body}end ${number}\r\n`);
}

/** A delivered message has got a trace header on top. */
function numberOf(raw: string): { number: number; whole: boolean } {
  const start = raw.search(/^Subject: number \d+\r$/m);
  const number = Number(/^Subject: number (\d+)/.exec(raw.slice(start))?.[1]);
  return { number, whole: raw.slice(start) === numberedMessage(number).toString('latin1') };
}

/** Counts what is acknowledged and says when it is enough. */
class Countdown {
  readonly over = Promise.withResolvers<void>();
  stopped = false;
  #left: number;

  constructor(count: number) {
    this.#left = count;
  }

  count(): void {
    this.#left -= 1;
    if (this.#left === 0) this.over.resolve();
  }
}

/** Throws with every fault and the seed where something is not as it must be. */
export async function playCrashes(options: CrashOptions): Promise<void> {
  const { system, kinds, seed, tell } = options;
  const random = randomFrom(seed);
  const model = new CrashModel();
  const numbers = Array.from({ length: CLIENTS + 1 }, (_, client) => client * NUMBERS_PER_CLIENT);
  for (const [round, kind] of kinds.entries()) {
    const commands = COMMANDS.least + random(COMMANDS.most - COMMANDS.least);
    const countdown = new Countdown(commands);
    const working = numbers.map((first, client) => {
      const worker = client === CLIENTS ? deliver : work;
      return worker(
        { system, model, countdown, random, first, last: () => numbers[client] ?? 0 },
        () => {
          numbers[client] = (numbers[client] ?? 0) + 1;
          return numbers[client] ?? 0;
        },
      );
    });
    await Promise.race([countdown.over.promise, Promise.all(working)]);
    await crash(options, kind);
    countdown.stopped = true;
    await Promise.all(working);
    await recover(options, kind);
    const faults = model.compare(await readAll(system));
    const { told } = await checkStore(options.storeUrl);
    faults.push(...told.map((fault) => `check: ${fault.code} ${fault.where} ${fault.what}`));
    if (faults.length > 0) {
      const head = `after round ${round} (${kind}) of seed ${seed}, ${commands} commands:`;
      throw new Error([head, ...faults].join('\n'));
    }
    tell?.(`round ${round} (${kind}): ${commands} commands acknowledged, all there`);
  }
}

async function crash({ system, server }: CrashOptions, kind: CrashKind): Promise<void> {
  if (kind === 'imap') return system.kill('imap');
  if (kind === 'database') return server?.kill();
  await Promise.all([
    server?.kill(),
    ...(['imap', 'smtp', 'pop', 'cert-registry'] as const).map((name) => system.kill(name)),
  ]);
}

async function recover({ system, server }: CrashOptions, kind: CrashKind): Promise<void> {
  if (kind !== 'imap') await server?.startAgain();
  if (kind === 'imap') await system.start('imap');
  if (kind !== 'machine') return;
  await system.start('cert-registry');
  await Promise.all((['imap', 'smtp', 'pop'] as const).map((name) => system.start(name)));
}

async function checkStore(url: string): Promise<CheckReport & { told: Fault[] }> {
  const store = await openStore({ url });
  try {
    const told: Fault[] = [];
    const report = await store.check({ onFault: (fault) => told.push(fault) });
    return { ...report, told };
  } finally {
    await store.close();
  }
}

interface Work {
  readonly system: RunningSystem;
  readonly model: CrashModel;
  readonly countdown: Countdown;
  readonly random: (below: number) => number;
  /** Numbers of this worker: above the first, up to the last. */
  readonly first: number;
  readonly last: () => number;
}

function pick<T>(random: Work['random'], from: readonly T[]): T {
  const picked = from[random(from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

/** One IMAP client until it is cut off or something is refused. */
async function work(context: Work, nextNumber: () => number): Promise<void> {
  const { system, countdown } = context;
  let client: CrashClient | undefined;
  try {
    client = await CrashClient.open(system.ports.imaps, system.user, system.password);
    while (!countdown.stopped) {
      if (!(await step(client, context, nextNumber))) return;
      countdown.count();
    }
  } catch (error) {
    // also while it connects
    if (!(error instanceof CutOff) && !countdown.stopped && client !== undefined) throw error;
  } finally {
    client?.close();
  }
}

/** One change; false where it was not acknowledged. */
async function step(
  client: CrashClient,
  context: Work,
  nextNumber: () => number,
): Promise<boolean> {
  const { model, random, first, last } = context;
  const number = first + 1 + random(Math.max(1, last() - first));
  const places = model.placesOf(number);
  const choice = random(10);
  if (choice < 4 || places.length === 0) return append(client, context, nextNumber());
  const place = pick(random, places);
  const others = places.filter((other) => other !== place);
  if (choice < 7) return store(client, model, number, place, others, random);
  if (choice < 8) return expunge(client, model, number, place, others);
  const move = choice === 9;
  const target = pick(
    random,
    MAILBOXES.filter((mailbox) => mailbox !== place.mailbox),
  );
  return transfer(client, model, { number, place, others, target, move });
}

async function append(
  client: CrashClient,
  { model, random }: Work,
  number: number,
): Promise<boolean> {
  const mailbox = pick(random, MAILBOXES);
  const flags = FLAGS.filter(() => random(3) === 0);
  const place = { mailbox, uid: undefined, flags, modSeq: 0 };
  model.begin(number, [place]);
  const answer = await client.ask(
    `APPEND ${mailbox} (${flags.join(' ')})`,
    numberedMessage(number),
  );
  if (!answer.ok) return false;
  const uid = Number(/\[APPENDUID \d+ (\d+)\]/.exec(answer.text)?.[1]);
  model.acknowledge(number, [{ ...place, uid }]);
  return true;
}

async function store(
  client: CrashClient,
  model: CrashModel,
  number: number,
  place: Place,
  others: readonly Place[],
  random: Work['random'],
): Promise<boolean> {
  const flag = pick(random, FLAGS);
  const add = random(2) === 0;
  const without = place.flags.filter((each) => each !== flag);
  const flags = add ? [...without, flag] : without;
  return change(client, model, number, place, others, flags, `${add ? '+' : '-'}FLAGS (${flag})`);
}

async function change(
  client: CrashClient,
  model: CrashModel,
  number: number,
  place: Place,
  others: readonly Place[],
  flags: readonly string[],
  command: string,
): Promise<boolean> {
  await client.select(place.mailbox);
  model.begin(number, [...others, { ...place, flags }]);
  const answer = await client.ask(`UID STORE ${place.uid} ${command}`);
  if (!answer.ok) return false;
  const modSeq = modSeqOf(answer, place.uid) ?? place.modSeq;
  model.acknowledge(number, [...others, { ...place, flags, modSeq }]);
  return true;
}

function modSeqOf({ untagged }: Answer, uid: number | undefined): number | undefined {
  const response = untagged.find((line) => new RegExp(`FETCH \\(.*UID ${uid}\\b`).test(line));
  const modSeq = /MODSEQ \((\d+)\)/.exec(response ?? '')?.[1];
  return modSeq === undefined ? undefined : Number(modSeq);
}

async function expunge(
  client: CrashClient,
  model: CrashModel,
  number: number,
  place: Place,
  others: readonly Place[],
): Promise<boolean> {
  const flags = [...place.flags, '\\Deleted'];
  const command = '+FLAGS.SILENT (\\Deleted)';
  if (!(await change(client, model, number, place, others, flags, command))) return false;
  model.begin(number, others);
  const { ok } = await client.ask(`UID EXPUNGE ${place.uid}`);
  if (ok) model.acknowledge(number, others);
  return ok;
}

async function transfer(
  client: CrashClient,
  model: CrashModel,
  {
    number,
    place,
    others,
    target,
    move,
  }: { number: number; place: Place; others: readonly Place[]; target: string; move: boolean },
): Promise<boolean> {
  const staying = move ? others : [...others, place];
  const arriving = { ...place, mailbox: target, uid: undefined, modSeq: 0 };
  await client.select(place.mailbox);
  model.begin(number, [...staying, arriving]);
  const answer = await client.ask(`UID ${move ? 'MOVE' : 'COPY'} ${place.uid} ${target}`);
  if (!answer.ok) return false;
  const said = [answer.text, ...answer.untagged].join('\n');
  const uid = Number(/\[COPYUID \d+ \d+ (\d+)\]/.exec(said)?.[1]);
  model.acknowledge(number, [...staying, { ...arriving, uid }]);
  return true;
}

/** Another server that delivers until it is cut off, one message at a time. */
async function deliver(context: Work, nextNumber: () => number): Promise<void> {
  const { system, model, countdown } = context;
  const socket = connect(system.ports.smtp.port, '127.0.0.1');
  socket.on('error', () => {});
  const lines = createInterface(socket)[Symbol.asyncIterator]();
  const reply = async (): Promise<string> => {
    for (;;) {
      // a connection that is reset is one that has ended
      const { value, done } = await lines.next().catch(() => ({ value: '', done: true }));
      if (done) return '';
      if (/^\d{3} /.test(value)) return value;
    }
  };
  const ask = (text: string): Promise<string> => {
    socket.write(text);
    return reply();
  };
  try {
    await reply();
    await ask('EHLO a.test\r\n');
    while (!countdown.stopped) {
      const number = nextNumber();
      const places = [{ mailbox: 'INBOX', uid: undefined, flags: [], modSeq: 0 }];
      for (const command of ['MAIL FROM:<a@b.test>', `RCPT TO:<${system.user}>`, 'DATA']) {
        if (!/^[23]/.test(await ask(`${command}\r\n`))) return;
      }
      model.begin(number, places);
      if (!(await ask(`${numberedMessage(number)}.\r\n`)).startsWith('250 ')) return;
      model.acknowledge(number, places);
      countdown.count();
    }
  } finally {
    socket.destroy();
  }
}

/** Everything in the mailboxes, as a client sees it. */
async function readAll(system: RunningSystem): Promise<Found> {
  const client = await CrashClient.open(system.ports.imaps, system.user, system.password);
  const places = new Map<number, FoundPlace[]>();
  const mailboxes = new Map<
    string,
    Found['mailboxes'] extends ReadonlyMap<string, infer M> ? M : never
  >();
  for (const mailbox of MAILBOXES) {
    const opened = (await client.select(mailbox)).join('\n');
    const told = (code: string): number =>
      Number(new RegExp(`\\[${code} (\\d+)\\]`).exec(opened)?.[1]);
    mailboxes.set(mailbox, {
      uidValidity: told('UIDVALIDITY'),
      uidNext: told('UIDNEXT'),
      highestModSeq: told('HIGHESTMODSEQ'),
    });
    const { untagged } = await client.ask('UID FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[])');
    for (const response of untagged) {
      const place = readPlace(mailbox, response);
      if (place === undefined) continue;
      const { number, ...found } = place;
      places.set(number, [...(places.get(number) ?? []), found]);
    }
  }
  client.close();
  return { places, mailboxes };
}

function readPlace(
  mailbox: string,
  response: string,
): (FoundPlace & { number: number }) | undefined {
  if (!/^\d+ FETCH /.test(response)) return undefined;
  const [, octets = '0'] = /BODY\[\] \{(\d+)\}\r\n/.exec(response) ?? [];
  const start = response.indexOf('\r\n') + 2;
  const raw = response.slice(start, start + Number(octets));
  const items = response.slice(0, start) + response.slice(start + Number(octets));
  const flags = /FLAGS \(([^)]*)\)/.exec(items)?.[1] ?? '';
  return {
    mailbox,
    uid: Number(/UID (\d+)/.exec(items)?.[1]),
    flags: flags.split(' ').filter((flag) => flag !== '' && flag !== '\\Recent'),
    modSeq: Number(/MODSEQ \((\d+)\)/.exec(items)?.[1]),
    ...numberOf(raw),
  };
}
