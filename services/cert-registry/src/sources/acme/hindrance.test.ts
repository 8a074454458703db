import { silentLogger } from '@mail/service';
import { expect, test, vi } from 'vitest';
import { RegistryError } from '../../errors.ts';
import { Hindrance } from './hindrance.ts';

test('told once for each reason, and again once it was over', () => {
  const logger = silentLogger();
  const error = vi.spyOn(logger, 'error');
  const hindrance = new Hindrance('cannot fly', logger);
  expect(hindrance.beside('it is late')).toBe('');
  for (let count = 0; count < 3; count += 1) hindrance.is(new RegistryError('exhausted', 'tired'));
  expect(hindrance.beside('it is late')).toBe('cannot fly: tired');
  expect(hindrance.beside('no flight, for it is tired')).toBe('');
  expect(error).toHaveBeenCalledTimes(1);
  hindrance.is(new TypeError('no wings'));
  expect(hindrance.beside('it is late')).toBe(
    'cannot fly: a fault of the registry, which its log tells',
  );
  expect(error).toHaveBeenCalledTimes(2);
  hindrance.isOver();
  expect(hindrance.beside('it is late')).toBe('');
  hindrance.is(new TypeError('no wings'));
  expect(error).toHaveBeenCalledTimes(3);
});

test('a full disk is no fault of the registry', () => {
  const hindrance = new Hindrance('cannot fly', silentLogger());
  hindrance.is(Object.assign(new Error('database or disk is full'), { errcode: 13 }));
  expect(hindrance.beside('it is late')).toMatch(/^cannot fly: the disk .* is full$/);
});
