import { describe, expect, it } from 'vitest';
import { addressBlock, ConnectionLimits, Places } from './limits.ts';

describe('addressBlock', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['', ''],
  ])('of %s', (address, block) => {
    expect(addressBlock(address)).toBe(block);
  });
});

describe('Places', () => {
  it('are counted for each holder, and given back once', () => {
    const places = new Places<number>(2);
    const giveBack = places.take(7);
    expect(places.take(7)).toBeDefined();
    expect(places.take(7)).toBeUndefined();
    expect(places.take(8)).toBeDefined();
    giveBack?.();
    giveBack?.();
    expect(places.take(7)).toBeDefined();
    expect(places.take(7)).toBeUndefined();
  });
});

describe('ConnectionLimits', () => {
  it('counts one party by its block, and lets in again who has left', () => {
    const limits = new ConnectionLimits({ total: 10, perAddress: 2 });
    const first = limits.enter('2001:db8::1');
    expect(limits.enter('2001:db8::2')).toBeDefined();
    expect(limits.enter('2001:db8::3')).toBeUndefined();
    expect(limits.enter('2001:db8:0:1::1')).toBeDefined();
    first?.();
    first?.();
    expect(limits.total).toBe(2);
    expect(limits.enter('2001:db8::3')).toBeDefined();
    expect(limits.enter('2001:db8::4')).toBeUndefined();
  });

  it('counts all parties together', () => {
    const limits = new ConnectionLimits({ total: 1, perAddress: 5 });
    const leave = limits.enter('192.0.2.1');
    expect(limits.enter('192.0.2.2')).toBeUndefined();
    leave?.();
    expect(limits.enter('192.0.2.2')).toBeDefined();
  });
});
