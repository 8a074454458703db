import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bell, listenToBell } from './bell.ts';

describe('the bell', () => {
  let folder: string;
  let bellPath: string;
  let writer: DatabaseSync;
  let reader: DatabaseSync;
  let value = 0;

  const commit = (): void => {
    value += 1;
    writer.exec(`insert into t values (${value})`);
  };

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    folder = mkdtempSync(join(tmpdir(), 'concert-bell-'));
    bellPath = join(folder, 'bell');
    writer = new DatabaseSync(join(folder, 'db'));
    writer.exec('pragma journal_mode = wal; create table t (x)');
    reader = new DatabaseSync(join(folder, 'db'), { readOnly: true });
  });
  afterEach(() => {
    vi.useRealTimers();
    reader.close();
    writer.close();
    rmSync(folder, { recursive: true });
  });

  it('is heard after each commit, without waiting for the poll', async () => {
    const bell = new Bell(bellPath);
    let heard = Promise.withResolvers<void>();
    const stop = listenToBell(bellPath, reader, () => heard.resolve(), silentLogger());
    for (let round = 0; round < 5; round += 1) {
      heard = Promise.withResolvers<void>();
      commit();
      bell.ring();
      await heard.promise;
    }
    stop();
    bell.close();
  });

  it('is not needed for long: a commit without it is found by the poll, once', () => {
    new Bell(bellPath).close();
    const heard = vi.fn();
    const stop = listenToBell(bellPath, reader, heard, silentLogger());
    commit();
    expect(heard).not.toHaveBeenCalled();
    vi.advanceTimersToNextTimer();
    expect(heard).toHaveBeenCalledTimes(1);
    stop();
  });

  it('is heard late, and ends no process, where the database cannot be read for a while', async () => {
    new Bell(bellPath).close();
    const logger = silentLogger();
    const warn = vi.spyOn(logger, 'warn');
    const heard = Promise.withResolvers<void>();
    const prepare = reader.prepare.bind(reader);
    let broken = false;
    vi.spyOn(reader, 'prepare').mockImplementation((sql) => {
      const statement = prepare(sql);
      const get = statement.get.bind(statement);
      vi.spyOn(statement, 'get').mockImplementation(() => {
        if (broken) throw new Error('disk I/O error');
        return get();
      });
      return statement;
    });
    const stop = listenToBell(bellPath, reader, () => heard.resolve(), logger);
    broken = true;
    commit();
    vi.advanceTimersToNextTimer();
    expect(warn).toHaveBeenCalledOnce();
    broken = false;
    vi.advanceTimersToNextTimer();
    await heard.promise;
    stop();
  });

  it('is polled for where the file cannot be watched, with a warning', () => {
    const logger = silentLogger();
    const warn = vi.spyOn(logger, 'warn');
    const heard = vi.fn();
    const stop = listenToBell(join(folder, 'none', 'bell'), reader, heard, logger);
    expect(warn).toHaveBeenCalledOnce();
    commit();
    vi.advanceTimersToNextTimer();
    expect(heard).toHaveBeenCalledTimes(1);
    stop();
  });
});
