/**
 * Watching: every process of a running system is scraped, and its figures follow what happens to it; its
 * lines of log say which session and which call they are of; the rules and the dashboard in
 * deploy/monitoring name metrics that exist, and promtool, where it is installed, says that they work.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { METRICS, type MetricDefinition } from '@mail/service';
import { ImapFlow } from 'imapflow';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Exposition, parseExposition } from './testing/exposition.ts';
import {
  freePorts,
  layOutSystem,
  makeCertificate,
  type ProcessName,
  ROOT,
  type System,
} from './testing/system.ts';

const PROCESSES = ['cert-registry', 'smtp', 'pop', 'imap'] as const;
const MAIL = ['smtp', 'pop', 'imap'] as const;
const DEFINITIONS: readonly MetricDefinition[] = Object.values(METRICS);

/** Says once that the program is missing: it comes with Prometheus. */
function promtoolMissing(): boolean {
  const missing = spawnSync('promtool', ['--version']).status !== 0;
  if (missing) console.log('promtool is not installed: what it checks is skipped');
  return missing;
}
const withoutPromtool = promtoolMissing();

function promtool(args: readonly string[], input = ''): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, {
    cwd: join(ROOT, 'deploy/monitoring'),
    input,
    encoding: 'utf8',
  });
  return { status, said: `${stdout}${stderr}` };
}

describe('a running system', () => {
  const user = 'alice@example.test';
  const password = 'correct horse battery';
  const admin = new Map<ProcessName, number>();
  let system: System;

  beforeAll(async () => {
    system = await layOutSystem();
    const ports = await freePorts(PROCESSES.length);
    for (const [index, name] of PROCESSES.entries()) admin.set(name, ports[index] ?? 0);
    for (const name of PROCESSES) {
      await system.start(name, {
        CONCERT_ADMIN_LISTEN: `127.0.0.1:${admin.get(name)}`,
        CONCERT_WORKERS: name === 'imap' ? '2' : '1',
      });
    }
    await system.concertJson(['account', 'add', user, '--password-stdin'], `${password}\n`);
  });
  afterAll(() => system?.close());

  const ask = (name: ProcessName, path: string, method = 'GET'): Promise<Response> =>
    fetch(`http://127.0.0.1:${admin.get(name)}${path}`, { method });

  async function scrape(name: ProcessName): Promise<Exposition> {
    const response = await ask(name, '/metrics');
    expect(response.status).toBe(200);
    return parseExposition(await response.text());
  }

  /** Scrapes until a figure is there: what is counted when a connection ends has no other sign. */
  async function scrapeWhere(
    name: ProcessName,
    wanted: (exposition: Exposition) => boolean,
  ): Promise<Exposition> {
    for (let tries = 0; tries < 2_000; tries += 1) {
      const exposition = await scrape(name);
      if (wanted(exposition)) return exposition;
    }
    throw new Error(`the figure of ${name} never came`);
  }

  function tls(port: number): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
      socket.once('secureConnect', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  async function untilClosed(socket: NodeJS.EventEmitter & { resume(): unknown }): Promise<void> {
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    await closed;
  }

  test('every process answers probes, by GET and HEAD', async () => {
    for (const name of PROCESSES) {
      for (const path of ['/livez', '/healthz', '/startupz', '/readyz']) {
        const response = await ask(name, path);
        expect([name, path, response.status]).toEqual([name, path, 200]);
        expect(await response.json()).toMatchObject({ status: expect.any(String) });
        expect((await ask(name, path, 'HEAD')).status).toBe(200);
      }
    }
  });

  test('every process exposes what metric-names.ts says, and names nothing else', async () => {
    const seen = new Set<string>();
    for (const name of PROCESSES) {
      const { families, value } = await scrape(name);
      for (const [metric, family] of families) {
        if (!metric.startsWith('concert_')) continue;
        seen.add(metric);
        const definition = DEFINITIONS.find((candidate) => candidate.name === metric);
        expect({ metric, ...family }).toEqual({
          metric,
          type: definition?.type,
          help: definition?.help,
        });
      }
      expect(value('concert_build_info', { component: name })).toBe(1);
      expect(value('concert_ready')).toBe(1);
      expect(value('concert_generation')).toBe(1);
      expect(value('process_resident_memory_bytes')).toBeGreaterThan(0);
      expect(value('concert_certificate_not_after_timestamp_seconds')).toBeGreaterThan(
        Date.now() / 1000,
      );
      expect(value('concert_identity_not_after_timestamp_seconds')).toBeGreaterThan(
        Date.now() / 1000,
      );
      for (const level of ['warn', 'error', 'fatal']) {
        expect([name, level, value('concert_log_lines_total', { level })]).toEqual([
          name,
          level,
          0,
        ]);
      }
    }
    // what a source or a failure brings is not here; what everybody has is
    expect(seen.size).toBeGreaterThan(30);
    expect((await scrape('imap')).value('concert_processes')).toBe(2);
  });

  test.skipIf(withoutPromtool)('promtool finds nothing to say about the exposition', async () => {
    for (const name of PROCESSES) {
      const text = await (await ask(name, '/metrics')).text();
      const ours = text
        .split('\n\n')
        .filter((family) => family.startsWith('# HELP concert_'))
        .join('\n');
      expect([name, promtool(['check', 'metrics'], `${ours}\n`)]).toEqual([
        name,
        { status: 0, said: '' },
      ]);
    }
  });

  test('a mail that is sent and read shows in figures and in the lines of its sessions', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: system.ports.submissions.port,
      secure: true,
      auth: { user, pass: password },
      tls: { rejectUnauthorized: false },
    });
    await transport.sendMail({ from: user, to: user, subject: 'figures', text: 'hello' });
    await expect(
      transport.sendMail({ from: user, to: 'nobody@elsewhere.test', subject: 'no', text: 'no' }),
    ).rejects.toThrow(/5\.1\.2/);
    transport.close();

    const reader = new ImapFlow({
      host: '127.0.0.1',
      port: system.ports.imaps.port,
      secure: true,
      auth: { user, pass: password },
      tls: { rejectUnauthorized: false },
      logger: false,
    });
    await reader.connect();
    await reader.mailboxOpen('INBOX');
    await reader.fetchOne('*', { source: true });
    await reader.logout();

    const pop = await tls(system.ports.pop3s.port);
    pop.write(
      `USER ${user}\r\nPASS wrong\r\nUSER ${user}\r\nPASS ${password}\r\nRETR 1\r\nQUIT\r\n`,
    );
    await untilClosed(pop);

    const ended = (text: string) => text.includes('a session has ended');
    const smtp = await scrape('smtp');
    expect(smtp.value('concert_messages_stored_total', { way: 'submission' })).toBe(1);
    expect(smtp.value('concert_messages_delivered_total', { way: 'submission' })).toBe(1);
    expect(smtp.value('concert_smtp_refusals_total', { command: 'rcpt', status: '5.1.2' })).toBe(1);
    expect(smtp.value('concert_logins_total', { outcome: 'accepted', mechanism: 'plain' })).toBe(2);
    expect(smtp.value('concert_store_writes_total', { outcome: 'done' })).toBeGreaterThan(0);
    expect(smtp.value('concert_store_commits_total')).toBeGreaterThan(0);
    expect(smtp.value('concert_store_write_duration_seconds_count')).toBeGreaterThan(0);
    const imap = await scrapeWhere('imap', () => ended(system.log('imap')));
    expect(imap.value('concert_messages_read_total', { way: 'fetch' })).toBe(1);
    expect(imap.value('concert_logins_total', { outcome: 'accepted' })).toBe(1);
    expect(imap.value('concert_tls_handshakes_total', { version: 'TLSv1.3' })).toBeGreaterThan(0);
    const popFigures = await scrapeWhere('pop', () => ended(system.log('pop')));
    expect(popFigures.value('concert_messages_read_total', { way: 'retr' })).toBe(1);
    expect(
      popFigures.value('concert_logins_total', { outcome: 'refused', mechanism: 'user' }),
    ).toBe(1);
    expect(popFigures.value('concert_logins_total', { outcome: 'accepted' })).toBe(1);

    for (const [name, counted] of [
      ['smtp', { messages: 1 }],
      ['pop', { lines: expect.any(Number) }],
      ['imap', { lines: expect.any(Number), worker: expect.any(Number) }],
    ] as const) {
      const lines = linesOf(name);
      const last = lines.find(
        (line) => line['msg'] === 'a session has ended' && line['account'] !== undefined,
      );
      expect(last).toMatchObject({
        level: 'info',
        service: name,
        instance: expect.stringMatching(/^one/),
        session: expect.stringMatching(/^[0-9a-f]{12}\.[0-9a-z]+$/),
        listener: expect.stringContaining('127.0.0.1'),
        remoteAddress: '127.0.0.1',
        tls: 'TLSv1.3',
        cipher: expect.stringContaining('TLS_'),
        generation: 1,
        seconds: expect.any(Number),
        received: expect.any(Number),
        sent: expect.any(Number),
        ...counted,
      });
    }
    const refused = linesOf('pop').find(({ msg }) => msg === 'a login was refused');
    const popSession = linesOf('pop').find(({ msg }) => msg === 'a session has ended');
    expect(refused).toMatchObject({
      session: popSession?.['session'],
      mechanism: 'user',
      origin: '127.0.0.1',
    });
    for (const name of PROCESSES) expect(system.log(name)).not.toContain(password);
  });

  function linesOf(name: ProcessName): Record<string, unknown>[] {
    return system
      .log(name)
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  test('handshakes that fail are counted by why', async () => {
    const before = await scrape('pop');
    const failures = (exposition: Exposition, reason: string) =>
      exposition.value('concert_tls_handshake_failures_total', { reason }) ?? 0;
    for (const text of ['GET / HTTP/1.0\r\n\r\n', 'USER alice\r\n']) {
      const tcp = connectTcp(system.ports.pop3s.port, '127.0.0.1');
      tcp.write(text);
      await untilClosed(tcp);
    }
    const wrongProtocol = connect({
      host: '127.0.0.1',
      port: system.ports.pop3s.port,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await untilClosed(wrongProtocol);
    // a client that judges the certificate, and says so in an alert
    const address = `127.0.0.1:${system.ports.pop3s.port}`;
    const judge = spawn('openssl', ['s_client', '-connect', address, '-verify_return_error'], {
      stdio: 'ignore',
    });
    await once(judge, 'exit');
    const after = await scrapeWhere('pop', (exposition) => failures(exposition, 'unknown_ca') > 0);
    for (const reason of ['http', 'plain_text', 'no_shared_alpn', 'unknown_ca']) {
      expect([reason, failures(after, reason) - failures(before, reason)]).toEqual([reason, 1]);
    }
  });

  test('a rotation moves the generation everywhere, and the registry shows how it went', async () => {
    const before = Date.now() / 1000;
    const id = await makeCertificate(system);
    await system.concertJson(['cert', 'rotate', id]);
    for (const name of MAIL) {
      const { value } = await scrape(name);
      expect(value('concert_generation')).toBe(2);
      expect(value('concert_registry_stream_up')).toBe(1);
      expect(value('concert_registry_round_trip_seconds')).toBeGreaterThan(0);
      expect(value('concert_registry_clock_error_seconds')).toBeLessThan(1);
      expect(value('concert_subscriber_stale')).toBe(0);
      expect(value('concert_self_probe_ports', { result: 'mismatch' })).toBe(0);
      expect(value('concert_self_probe_ports', { result: 'failed' })).toBe(0);
      expect(value('concert_self_probe_ports', { result: 'match' })).toBeGreaterThan(1);
    }
    const { value } = await scrape('cert-registry');
    expect(value('concert_generation')).toBe(2);
    expect(value('concert_registry_rotations_total', { kind: 'rotate', outcome: 'verified' })).toBe(
      1,
    );
    expect(value('concert_registry_last_switch_timestamp_seconds')).toBeGreaterThan(before);
    expect(value('concert_registry_last_switch_duration_seconds')).toBeGreaterThan(0);
    expect(value('concert_registry_rotation_skew_seconds_count')).toBe(1);
    expect(value('concert_registry_rotation_running')).toBe(0);
    expect(value('concert_registry_certificates')).toBe(2);
    expect(value('concert_registry_subscribers', { state: 'connected' })).toBe(4);
    expect(value('concert_registry_subscribers', { subscriber: 'imap', state: 'lost' })).toBe(0);
    expect(value('concert_registry_subscribers_lagging')).toBe(0);
    expect(value('concert_registry_rpcs_total', { method: 'RotateCertificate', code: 'OK' })).toBe(
      1,
    );
    expect(value('concert_registry_rpc_duration_seconds_count')).toBeGreaterThan(1);
  });

  test('the log of a refused call says whose it is and which', async () => {
    const { code } = await system.concert(['cert', 'show', '00000000-0000-0000-0000-000000000000']);
    expect(code).not.toBe(0);
    const refused = linesOf('cert-registry').find(({ msg }) => msg === 'refused a call');
    expect(refused).toMatchObject({
      request: expect.stringMatching(/^[0-9a-f-]{36}$/),
      caller: 'spiffe://concert/operator/admin',
    });
  });

  test('a process that dies is lost, one that stops is gone', async () => {
    await system.kill('pop');
    const lost = await scrapeWhere(
      'cert-registry',
      ({ value }) => value('concert_registry_subscribers', { state: 'lost' }) === 1,
    );
    expect(lost.value('concert_registry_subscribers', { subscriber: 'pop', state: 'lost' })).toBe(
      1,
    );
    await system.stop('smtp');
    await scrapeWhere(
      'cert-registry',
      ({ value }) => value('concert_registry_subscribers', { subscriber: 'smtp' }) === undefined,
    );
    await expect(ask('pop', '/livez')).rejects.toThrow();
  });

  test('without the registry a service is not ready once it has no certificate, and alive', async () => {
    await system.stop('imap');
    await system.stop('cert-registry');
    // another instance has no cache
    void system
      .start('imap', { CONCERT_ADMIN_LISTEN: `127.0.0.1:${admin.get('imap')}` }, 'two')
      .catch(() => {});
    let ready: Response | undefined;
    for (let tries = 0; tries < 5_000 && ready === undefined; tries += 1) {
      ready = await ask('imap', '/readyz').catch(() => undefined);
    }
    expect(ready?.status).toBe(503);
    expect((await ask('imap', '/livez')).status).toBe(200);
    let body = '';
    for (let tries = 0; tries < 5_000 && !body.includes('certificate'); tries += 1) {
      body = await (await ask('imap', '/readyz')).text();
    }
    expect(JSON.parse(body)).toMatchObject({
      status: 'not ready',
      unmet: { certificate: 'no certificate yet from the registry' },
    });
    expect((await ask('imap', '/startupz')).status).toBe(200);
    expect((await scrape('imap')).value('concert_ready')).toBe(0);
    // nothing that tells a stranger of the inside
    expect(body).not.toContain(String(system.registryPort));
    expect(body).not.toContain(system.data);
  });
});

/** Names that a query may have: those of metrics, and of the parts of histograms. */
const NAMES = new Set(
  DEFINITIONS.flatMap(({ name, type }) =>
    type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

const queried = ({ panels }: Dashboard): Panel[] => panels.filter(({ type }) => type !== 'row');

interface RulesFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: Record<string, string>;
      readonly annotations: Record<string, string>;
    }[];
  }[];
}

const monitoring = (file: string): string =>
  readFileSync(join(ROOT, 'deploy/monitoring', file), 'utf8');
const namesIn = (text: string): string[] => text.match(/\bconcert_\w+/g) ?? [];
const rules = (parse(monitoring('concert.rules.yaml')) as RulesFile).groups.flatMap(
  (group) => group.rules,
);

describe('deploy/monitoring', () => {
  test.each(['concert.rules.yaml', 'concert.rules.test.yaml', 'concert-dashboard.json'])(
    '%s names metrics that exist',
    (file) => {
      const names = namesIn(monitoring(file));
      expect(names.length).toBeGreaterThan(10);
      expect(names.filter((name) => !NAMES.has(name))).toEqual([]);
    },
  );

  test('each alert says what, which and where it is explained, and has a test', () => {
    const page = readFileSync(join(ROOT, 'docs/monitoring.md'), 'utf8');
    const tests = monitoring('concert.rules.test.yaml');
    for (const { alert, labels, annotations } of rules) {
      expect([alert, labels['severity']]).toEqual([
        alert,
        expect.stringMatching(/^(info|warning|critical)$/),
      ]);
      expect(annotations['summary']).toBeTruthy();
      expect(annotations['description']).toBeTruthy();
      expect(annotations['runbook_url']).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
      expect(page).toMatch(new RegExp(`^### ${alert}$`, 'm'));
      expect(tests).toContain(alert);
    }
  });

  test('rules ask only for labels that a metric has, or that scraping adds', () => {
    const added = ['job', 'instance', 'namespace', 'le'];
    const all = new Set<string>([
      ...added,
      ...DEFINITIONS.flatMap((definition) => definition.labels ?? []),
    ]);
    for (const { expr } of rules) {
      for (const [, name = '', matchers = ''] of expr.matchAll(/\b(concert_\w+)\{([^}]*)\}/g)) {
        const definition = DEFINITIONS.find((candidate) => name.startsWith(candidate.name));
        for (const [, label = ''] of matchers.matchAll(/(\w+)[=!]/g)) {
          expect([name, ...added, ...(definition?.labels ?? [])]).toContain(label);
        }
      }
      for (const [, grouped = ''] of expr.matchAll(/\b(?:by|on|ignoring) \(([^)]*)\)/g)) {
        for (const label of grouped.split(',')) expect(all).toContain(label.trim());
      }
    }
  });

  const dashboard = JSON.parse(monitoring('concert-dashboard.json')) as Dashboard;

  test('the dashboard is whole: panels with a unit, a description and queries, side by side', () => {
    expect(dashboard.templating.list.map(({ name }) => name)).toContain('datasource');
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, type, description, fieldConfig, datasource, targets } of queried(
      dashboard,
    )) {
      expect([title, description]).toEqual([title, expect.stringMatching(/\.$/)]);
      expect([title, datasource?.uid]).toEqual([
        title,
        expect.stringMatching(/^\$\{datasource\}$/),
      ]);
      if (type !== 'table')
        expect([title, fieldConfig?.defaults.unit]).toEqual([title, expect.any(String)]);
      expect([title, targets?.length]).not.toEqual([title, 0]);
    }
    const cells = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, cells.has(`${x} ${y}`)]).toEqual([title, false]);
          cells.add(`${x} ${y}`);
        }
      }
    }
  });

  test.skipIf(withoutPromtool)('the queries of the dashboard are PromQL', () => {
    const expressions = [
      ...queried(dashboard).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...dashboard.annotations.list.map(({ expr }) => expr),
    ];
    const records = expressions.map((expr, index) => ({
      record: `dashboard:query${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$namespace', '.*'),
    }));
    const folder = mkdtempSync(join(tmpdir(), 'concert-dashboard-'));
    try {
      const file = join(folder, 'queries.yaml');
      // JSON is YAML
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: records }] }));
      const { status, said } = promtool(['check', 'rules', file]);
      expect([status, said]).toEqual([0, expect.stringContaining(`${records.length} rules`)]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.skipIf(withoutPromtool)('promtool takes the rules, and they fire when they should', () => {
    expect(promtool(['check', 'rules', 'concert.rules.yaml'])).toMatchObject({ status: 0 });
    expect(promtool(['test', 'rules', 'concert.rules.test.yaml'])).toMatchObject({ status: 0 });
    for (const file of ['prometheus.example.yaml', 'prometheus.compose.yaml']) {
      expect(promtool(['check', 'config', file])).toMatchObject({ status: 0 });
    }
  });
});
