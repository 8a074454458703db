import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ArchiveBench } from '../archives/testing/archive-bench.ts';

let bench: ArchiveBench;
beforeEach(async () => {
  bench = await ArchiveBench.open();
  const alice = await bench.addAccount('alice');
  const inbox = await bench.mailbox(alice, 'INBOX');
  await bench.store.messages.append(inbox, [
    { raw: Buffer.from('a\r\n') },
    { raw: Buffer.from('b') },
  ]);
});
afterEach(() => bench.close());

function plant(sql: string): void {
  const file = new DatabaseSync(bench.path('mail', 'mail.db'), { timeout: 1_000 });
  file.exec(sql);
  file.close();
}

test('a sound store ends with 0', async () => {
  const { code, json } = await bench.run('store', 'check', '--quick');
  expect(code).toBe(0);
  expect(json).toEqual({
    ...{ mailboxes: 6, messages: 2, contents: 2, faults: 0, remaining: 0, told: [] },
  });
});

test('a fault ends with 1 until it is mended', async () => {
  plant("update mailboxes set unseen = 7 where name = 'INBOX'");
  const fault = {
    code: 'mailbox-counters',
    where: 'mailbox INBOX of alice@x.test',
    what: 'unseen is 7 and should be 2',
  };
  const found = await bench.run('store', 'check');
  expect(found).toMatchObject({ code: 1, json: { told: [{ ...fault, outcome: 'mendable' }] } });
  const mended = await bench.run('store', 'check', '--repair');
  expect(mended).toMatchObject({ code: 0, json: { told: [{ ...fault, outcome: 'mended' }] } });
  expect(await bench.run('store', 'check')).toMatchObject({ code: 0, json: { faults: 0 } });
});

test('a lost message stays until it may be dropped', async () => {
  plant('delete from content_chunks where content_id = 1');
  const kept = await bench.run('store', 'check', '--repair');
  expect(kept).toMatchObject({ code: 1, json: { faults: 2, remaining: 2 } });
  const dropped = await bench.run('store', 'check', '--drop-lost');
  expect(dropped.json['told']).toContainEqual(
    expect.objectContaining({ code: 'message-lost', outcome: 'dropped' }),
  );
  expect(await bench.run('store', 'check')).toMatchObject({ code: 0, json: { messages: 1 } });
});
