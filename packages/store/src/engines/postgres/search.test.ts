import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../open-store.ts';
import { PostgresServer, postgresIsMissing } from '../../testing/postgres-server.ts';
import { searchSuite } from '../../testing/search-suite.ts';
import { POSTGRES_TEXT_INDEX } from './text-index.ts';

describe.skipIf(postgresIsMissing())('on one server', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server?.dispose());

  searchSuite('PostgreSQL', () => server.createDatabase(), POSTGRES_TEXT_INDEX);

  it('goes without the index where the extension may not be made', async () => {
    const database = await server.createDatabase();
    await database.query(`create role plain login password 'plain'`);
    await database.query('grant all on schema public to plain');
    const url = new URL(database.url);
    url.username = 'plain';
    url.password = 'plain';
    const store = await openStore({ url: url.href });
    try {
      const { id } = await store.accounts.add('alice@x.test', 'hash');
      await store.messages.deliver([id], { raw: Buffer.from('Subject: a\r\n\r\nfound') });
      const inbox = await store.mailboxes.find(id, 'INBOX');
      const page = await store.messages.findText(
        inbox?.id ?? 0,
        { within: 'body', value: 'oun' },
        { first: 1, last: 9 },
      );
      expect(page).toEqual({ uids: [1], upTo: 9 });
      expect(await database.query(`select 1 from pg_extension where extname = 'pg_trgm'`)).toEqual(
        [],
      );
    } finally {
      await store.close();
    }
  });
});
