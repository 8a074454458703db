/**
 * Single values of the registry that outlive it, as JSON. Read once, through a schema; what somebody else
 * wrote there is told and counts as nothing. In memory they change at once, and on the disk as soon as it
 * takes them.
 */
import type { Logger } from '@mail/service';
import type { z } from 'zod';
import type { RegistryDatabase } from './database.ts';
import { OwedWrites } from './owed-writes.ts';

export type SettingsDisk = Pick<RegistryDatabase, 'setting' | 'setSetting'>;

export class StoredValues {
  readonly #disk: SettingsDisk;
  readonly #logger: Logger;
  readonly #owed: OwedWrites;

  constructor(disk: SettingsDisk, logger: Logger) {
    this.#disk = disk;
    this.#logger = logger;
    this.#owed = new OwedWrites(logger, {
      owing: 'what is to outlive a restart could not be written; trying again',
      settled: 'all that is to outlive a restart is written again',
    });
  }

  /** `name` belongs to one value alone. */
  open<T>(name: string, schema: z.ZodType<T>): StoredValue<T> {
    const kept = this.#read(name, schema);
    return new StoredValue(kept, name, this.#disk, this.#owed);
  }

  /** What is owed is tried once more; from then on what the disk does not take at once is lost. */
  stop(): void {
    this.#owed.stop();
  }

  #read<T>(name: string, schema: z.ZodType<T>): T | undefined {
    const text = this.#disk.setting(name);
    if (text === undefined) return undefined;
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      this.#logger.warn({ error, name }, 'a stored value cannot be read, and counts as none');
      return undefined;
    }
  }
}

export class StoredValue<T> {
  readonly #name: string;
  readonly #disk: SettingsDisk;
  readonly #owed: OwedWrites;
  #value: T | undefined;

  constructor(value: T | undefined, name: string, disk: SettingsDisk, owed: OwedWrites) {
    this.#value = value;
    this.#name = name;
    this.#disk = disk;
    this.#owed = owed;
  }

  /** Undefined before the first. */
  get value(): T | undefined {
    return this.#value;
  }

  /** Throws nothing. */
  set(value: T): void {
    this.#value = value;
    this.#owed.write(this.#name, () => this.#write(value));
  }

  /** For what must not be lost: throws what the disk throws, and then nothing has changed. */
  setDurably(value: T): void {
    this.#write(value);
    this.#value = value;
    this.#owed.forget(this.#name);
  }

  #write(value: T): void {
    this.#disk.setSetting(this.#name, JSON.stringify(value));
  }
}
