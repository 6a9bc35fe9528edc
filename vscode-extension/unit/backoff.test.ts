import { describe, expect, it } from 'vitest';
import { Backoff } from '../src/server/backoff';

function deaths(number: number): { backoff: Backoff; delays: number[] } {
  const backoff = new Backoff();
  const delays = Array.from({ length: number }, (_, index) => {
    backoff.started(index * 1000 + 1);
    return backoff.died(index * 1000 + 2);
  });
  return { backoff, delays };
}

describe('the wait before a dead server is started again', () => {
  it('is half a second at first, doubles, and ends at a minute', () => {
    expect(deaths(9).delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('is short again behind a server that lived for a minute', () => {
    const { backoff } = deaths(6);
    backoff.started(100_000);
    expect(backoff.died(160_000)).toBe(500);
  });

  it('is short again after the user has restarted the server', () => {
    const { backoff } = deaths(6);
    backoff.reset();
    expect(backoff.died(7000)).toBe(500);
  });
});
